"""Pictures and folders as people have them: any kind of file that a viewer shows, in folders of any origin."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

#: What people call the two parts of their pictures.
TRAIN, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
#: What operating systems and programs leave behind in folders.
LEFT_BEHIND = {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
LEFT_BEHIND |= {"thumbs.db", "desktop.ini"}


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def folders_in(root: Path) -> list[str]:
    """The folders in this one, without hidden ones and what systems leave behind, in alphabetical order.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("wolf", "dog", "__MACOSX", ".git"):
    ...     (root / name).mkdir()
    >>> folders_in(root)
    ['dog', 'wolf']
    """
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not _hidden(path.name))


def split_of(root: Path) -> tuple[Path, Path] | None:
    """The folders to train on and to test on, or None if the folders are classes.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("train/cat", "train/dog", "Val/cat", "Val/dog"):
    ...     (root / name).mkdir(parents=True)
    >>> [path.name for path in split_of(root)]
    ['train', 'Val']

    Raises ValueError if one of the two is missing or other folders lie beside them.
    """
    names = folders_in(root)
    train = [name for name in names if name.lower() in TRAIN and folders_in(root / name)]  # a class may be called train
    test = [name for name in names if name.lower() in TEST and folders_in(root / name)]
    others = [name for name in names if name not in train + test]
    if not train and not test:
        return None
    if len(test) > 1:  # train, val and test: val is for choices along the way, of which there are none here
        left = [name for name in test if not name.lower().startswith("test")]
        test = [name for name in test if name not in left]
        if len(test) == 1:
            warnings.warn(f"{', '.join(left)} in {root} is left out; {test[0]} is tested on", stacklevel=3)
    if len(train) != 1 or len(test) != 1 or others:
        raise ValueError(
            f"{root} holds {', '.join(names)}; expected either a folder for each class, or train and test with a "
            "folder for each class inside. Rename the folder to train on to train, the one to test on to test, and "
            "take the others away"
        )
    return root / train[0], root / test[0]


def class_folders(root: Path) -> list[str]:
    """The names of the classes: the folders that are not hidden, in alphabetical order.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("dog", "cat", "__MACOSX", ".git"):
    ...     (root / name).mkdir()
    >>> class_folders(root)
    ['cat', 'dog']

    Raises ValueError for fewer than two.
    """
    names = folders_in(root)
    if len(names) == 1 and len(folders_in(root / names[0])) > 1:
        raise ValueError(f"{root} holds nothing but the folder {names[0]}; do you mean {root / names[0]}?")
    if len(names) < 2:
        raise ValueError(f"{root} must hold two folders or more, one for each class; it holds {len(names)}")
    return names


def read_pictures(path: Path, root: Path, size: int, skipped: list[str]) -> Tensor:
    """Every picture below the folder, ``(N, 3, size, size)``; names of other files are added to ``skipped``.

    >>> import tempfile
    >>> root, skipped = Path(tempfile.mkdtemp()), []
    >>> (root / "dog").mkdir()
    >>> Image.new("RGB", (40, 30)).save(root / "dog/a.png")
    >>> _ = (root / "dog/notes.txt").write_text("not a picture")
    >>> tuple(read_pictures(root / "dog", root, 16, skipped).shape), [Path(name).name for name in skipped]
    ((1, 3, 16, 16), ['notes.txt'])

    Raises ValueError if there is none.
    """
    images = []
    for file in sorted(path.rglob("*")):
        if file.is_dir() or any(_hidden(part) for part in file.relative_to(path).parts):
            continue
        try:
            with Image.open(file) as picture:
                # Phones store the turn beside the pixels; fit keeps the middle.
                upright = shown(ImageOps.exif_transpose(picture), wide=picture.format == "PNG")
                images.append(torch.from_numpy(np.array(ImageOps.fit(upright, (size, size)))).permute(2, 0, 1))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for broken files
            skipped.append(str(file.relative_to(root)))
    if not images:
        raise ValueError(f"class {path.name} has no readable picture in {path}; add some, or remove the folder")
    return torch.stack(images)


def shown(picture: Image.Image, *, wide: bool = False) -> Image.Image:
    """RGB in bytes, as a viewer shows it: transparency on white, 16 bits and floats from 0 to 1 scaled to bytes.

    ``wide`` says that whole numbers of 32 bits are 16 bits in truth, which is how Pillow may read a PNG.

    >>> shown(Image.new("F", (1, 1), 0.5)).getpixel((0, 0))                    # round(255·0.5)
    (128, 128, 128)

    Raises ValueError for numbers of which nobody says where white is.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and wide):
        gray = np.asarray(picture).astype(np.float64) / 65535
    elif picture.mode == "F":
        gray = np.asarray(picture).astype(np.float64)
    elif picture.mode == "I":
        raise ValueError("32 bits for each pixel")
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    else:
        return picture.convert("RGB")
    if not (gray.min() >= 0 and gray.max() <= 1):
        raise ValueError("floats outside of 0 to 1")
    return Image.fromarray((255 * gray).round().astype(np.uint8)).convert("RGB")
