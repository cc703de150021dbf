"""What the network looks at: data sets as two tensors each, small enough to stay in memory.

``digits`` and ``shapes`` need no download. ``cifar10`` and ``cifar100`` are torchvision's, with its
checksums. ``folder`` reads pictures of your own. No worker processes: at these sizes a
``DataLoader`` with workers takes longer than the training step that it feeds.
"""

import contextlib
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_edu.counting.recipes import check_choice, check_count
from resnet_edu.training.downloads import fetch, md5_of
from resnet_edu.training.locks import alone
from resnet_edu.training.pictures import class_folders, folders_in, read_pictures, split_of


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``(N, C, H, W)`` as unsigned bytes, and a class number for each.

    >>> len(Split(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0])))
    3
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """The same on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set: what to train on, what to test on, and how to bring the numbers to mean 0 and deviation 1.

    >>> data = shapes(100, 20)
    >>> data.name, tuple(data.train.images.shape), len(data.test), tuple(data.mean.shape)
    ('shapes', (100, 3, 32, 32), 20, (3,))
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor
    """Mean of each channel over the training images, on the scale 0 to 1, ``(C,)``."""
    std: Tensor
    """Standard deviation of each channel over the training images, ``(C,)``."""
    skipped: tuple[str, ...] = ()
    """Files that could not be read as images."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def normalize(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` → floats of the same shape, (x/255 − mean) / std in each channel.

        x/255 for bytes: whole numbers are divided by the largest of their type, floats go from 0 to 1 already.

        >>> data = digits()
        >>> x = data.normalize(data.train.images)
        >>> abs(x.mean().item()) < 1e-4, round(x.std().item(), 3)
        (True, 1.0)
        """
        largest = 1 if images.is_floating_point() else torch.iinfo(images.dtype).max
        return (images / largest - self.mean.view(-1, 1, 1)) / self.std.view(-1, 1, 1)

    def fingerprint(self) -> dict[str, Any]:
        """What tells these images from others, as plain data: counts, shape, classes and a checksum.

        >>> digits().fingerprint()["training images"]
        1437
        """
        checksum = 0
        for tensor in (self.train.images, self.train.labels, self.test.images, self.test.labels):
            checksum = zlib.crc32(tensor.cpu().contiguous().view(torch.uint8).numpy().data, checksum)
        return {
            "training images": len(self.train),
            "test images": len(self.test),
            "shape": list(self.shape),
            "classes": list(self.classes),
            "checksum": f"{checksum:08x}",
        }

    def to(self, device: torch.device | str) -> "ImageData":
        """The same with all its tensors on another device."""
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


def cache() -> Path:
    """Where downloads are kept unless ``root`` says otherwise; for a user without a home, a temporary folder.

    >>> cache().parts[-1]
    'resnet_edu'
    """
    try:
        return Path.home() / ".cache" / "resnet_edu"
    except RuntimeError:  # a user whom the machine does not know, as in many containers
        return Path(tempfile.gettempdir()) / "resnet_edu"


def load(name: str, *, root: str | Path | None = None, url: str | None = None, size: int | None = None) -> ImageData:
    """The data set with this name: ``digits``, ``shapes``, ``cifar10``, ``cifar100`` or ``folder``.

    >>> load("shapes", size=16).shape
    (3, 16, 16)

    Raises ValueError for an unknown name, or an option that this data set does not have.
    """
    takes = {"digits": (), "shapes": ("size",), "cifar10": ("root", "url"), "cifar100": ("root", "url")}
    takes["folder"] = ("root", "size")
    check_choice("data", name, takes)
    given = {"root": root, "url": url, "size": size}
    options = {key: value for key, value in given.items() if value is not None}
    for key in options:
        if key not in takes[name]:
            raise ValueError(f"{name} has no option {key}; it takes {', '.join(takes[name]) or 'none'}")
    if name == "folder" and root is None:
        raise ValueError("folder needs root=, the folder that holds one folder of pictures for each class")
    functions = {"digits": digits, "shapes": shapes, "cifar10": cifar10, "cifar100": cifar100, "folder": folder}
    loaded: ImageData = functions[name](**options)  # type: ignore[operator]
    return loaded


def digits(*, seed: int = 0) -> ImageData:
    """Real handwriting that comes with scikit-learn: 1,797 digits of 8×8 pixels, split 1,437 to 360.

    >>> data = digits()
    >>> len(data.train), len(data.test), data.shape
    (1437, 360, (1, 8, 8))

    The 17 levels of gray, 0 to 16, become bytes 0 to 255. ``seed`` shuffles before the split.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (torch.from_numpy(bunch.images)[:, None] * 255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    cut = 4 * len(order) // 5
    return _make(
        "digits",
        Split(images[order[:cut]], labels[order[:cut]]),
        Split(images[order[cut:]], labels[order[cut:]]),
        map(str, range(10)),
    )


def shapes(train: int = 5000, test: int = 1000, *, size: int = 32, difficulty: float = 0.5, seed: int = 0) -> ImageData:
    """Ten shapes in RGB, drawn in memory: as many as you like, as large as you like, the same for the same seed.

    ``difficulty`` goes from 0 (large, upright, clear) to 1 (small, turned, pale, noisy).

    >>> data = shapes(100, 20, size=64)
    >>> data.shape, data.classes[:3]
    ((3, 64, 64), ('disc', 'ring', 'square'))
    >>> data.train.labels.bincount().tolist()                       # as many of each class, 100/10
    [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]

    Raises ValueError for fewer than 10 images in a split, fewer than 8 pixels a side or a difficulty outside [0, 1].
    """
    from resnet_edu.training.synthetic_images import SHAPES, draw

    size = check_count("size", size)
    if size < 8:
        raise ValueError(f"a shape needs at least 8 pixels a side to be told from another, got size={size}")
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty goes from 0 to 1, got {difficulty}")
    splits = []
    for number, count in enumerate((check_count("train", train), check_count("test", test))):
        if count < len(SHAPES):
            raise ValueError(f"each split needs one image of each of the {len(SHAPES)} classes or more, got {count}")
        generator = torch.Generator().manual_seed(2 * seed + number)
        labels = torch.arange(count)[torch.randperm(count, generator=generator)] % len(SHAPES)
        # In portions: the plane of each image is held as floats while it is drawn.
        images = [draw(portion, size, difficulty, generator) for portion in torch.split(labels, 256)]
        splits.append(Split(torch.cat(images), labels))
    return _make("shapes", splits[0], splits[1], SHAPES)


def cifar10(*, root: str | Path | None = None, url: str | None = None, progress: bool = True) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009): 50,000 and 10,000 images of 32×32, ten classes, 163 MiB to download.

    ``root`` is a folder that has it already, unpacked or as the archive, or where it shall go.
    ``url`` is a mirror of the archive, which must have the same checksum. A download that breaks
    goes on where it stopped.

    >>> cifar10(root="/no/such/folder", url="file:///no/such/archive")     # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ConnectionError: CIFAR10 is not in ...

    Raises ConnectionError if it is not there and cannot be fetched, ValueError if what came is another file.
    """
    return _cifar("CIFAR10", root, url, progress)


def cifar100(*, root: str | Path | None = None, url: str | None = None, progress: bool = True) -> ImageData:
    """CIFAR-100 (Krizhevsky 2009): the same sizes, a hundred classes. Arguments as in :func:`cifar10`.

    >>> cifar100(root="/no/such/folder", url="file:///no/such/archive")    # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ConnectionError: CIFAR100 is not in ...
    """
    return _cifar("CIFAR100", root, url, progress)


def folder(root: str | Path, *, size: int = 64, test_fraction: float = 0.2, seed: int = 0) -> ImageData:
    """Pictures of your own, ``root/cat/*.jpg``, scaled and cut to ``size``×``size`` pixels.

    With ``root/train/cat/…`` and ``root/test/cat/…`` (or ``val``, ``valid``, ``validation``, in any case of letters)
    the split is yours; otherwise a seeded share of each class becomes the test set. Pictures come out as a viewer
    shows them: turned as the camera says, transparency on white, 16 bits and floats scaled to bytes. Files that are
    no pictures are left out, counted in a warning and named in ``skipped``; hidden ones are passed over.

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for number, name in enumerate(("cat", "cat", "dog", "dog")):
    ...     (root / name).mkdir(exist_ok=True)
    ...     Image.new("RGB", (90, 70)).save(root / name / f"{number}.png")
    >>> data = folder(root, size=32)
    >>> data.classes, tuple(data.train.images.shape)                 # one of two pictures is the test's
    (('cat', 'dog'), (2, 3, 32, 32))

    Raises FileNotFoundError if the folder is missing; ValueError for fewer than two classes, a class
    without pictures, or a class that only one split has.
    """
    root = Path(root).expanduser()
    size = check_count("size", size)
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must lie between 0 and 1, got {test_fraction}")
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder {root}; expected one that holds a folder of pictures for each class"
        )
    skipped: list[str] = []
    split = split_of(root)
    if split is not None:
        only = set(folders_in(split[0])) ^ set(folders_in(split[1]))
        if only:
            raise ValueError(
                f"every class must be in {split[0].name} and in {split[1].name}; "
                f"only one of them has {', '.join(sorted(only))}"
            )
        names = class_folders(split[0])
        splits = [_stack([read_pictures(part / name, root, size, skipped) for name in names]) for part in split]
    else:
        names = class_folders(root)
        generator = torch.Generator().manual_seed(seed)
        parts: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name in names:
            images = read_pictures(root / name, root, size, skipped)
            if len(images) < 2:
                raise ValueError(f"class {name} has one picture; it needs two, one to train on and one to test on")
            images = images[torch.randperm(len(images), generator=generator)]
            cut = min(max(1, round(test_fraction * len(images))), len(images) - 1)
            parts[0].append(images[cut:])
            parts[1].append(images[:cut])
        splits = [_stack(part) for part in parts]
    if skipped:
        warnings.warn(
            f"{len(skipped)} of the files in {root} could not be read as pictures and were left out: "
            + ", ".join(skipped[:5])
            + (", …" if len(skipped) > 5 else ""),
            stacklevel=2,
        )
    return _make(root.name, splits[0], splits[1], names, tuple(skipped))


def _make(name: str, train: Split, test: Split, classes: Iterable[str], skipped: tuple[str, ...] = ()) -> ImageData:
    # A byte has 256 values, so a histogram gives mean and deviation without a copy in floats.
    value = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in train.images.unbind(1):
        share = channel.flatten().bincount(minlength=256).double() / channel.numel()
        mean.append(float(share @ value))
        std.append(max(float(share @ (value - mean[-1]) ** 2) ** 0.5, 1e-6))  # one color only: do not divide by 0
    return ImageData(name, train, test, tuple(classes), torch.tensor(mean), torch.tensor(std), skipped)


def _stack(of_class: list[Tensor]) -> Split:
    labels = [torch.full((len(images),), number) for number, images in enumerate(of_class)]
    return Split(torch.cat(of_class), torch.cat(labels))


def _cifar(class_name: str, root: str | Path | None, url: str | None, progress: bool) -> ImageData:
    from torchvision import datasets

    source = getattr(datasets, class_name)
    home = cache() if root is None else Path(root).expanduser()
    if home.name == source.base_folder:  # the unpacked folder itself
        home = home.parent
    archive = home / source.filename
    try:
        parts = [source(home, train=True), source(home, train=False)]
    except RuntimeError:  # not there, or its checksums are wrong
        with alone(home / source.base_folder):  # another process may be unpacking it
            parts = _unpacked(source, home, archive, url or source.url, progress)
    splits = []
    for part in parts:
        images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # (N, 32, 32, 3) → (N, 3, 32, 32)
        splits.append(Split(images, torch.tensor(part.targets)))
    return _make(class_name.lower(), splits[0], splits[1], parts[0].classes)


def _unpacked(source: Any, home: Path, archive: Path, address: str, progress: bool) -> list[Any]:
    with contextlib.suppress(RuntimeError):  # by the process that was there before
        return [source(home, train=True), source(home, train=False)]
    try:
        if not archive.exists() or md5_of(archive) != source.tgz_md5:
            fetch(address, archive, source.tgz_md5, progress=progress)
    except (ConnectionError, ValueError) as error:
        raise type(error)(
            f"{source.__name__} is not in {home}, and fetching it failed: {error}. Point at a copy with root=, "
            "or at a mirror of the archive with url=, and call again to go on; "
            "the data sets digits and shapes need no download"
        ) from error
    with tarfile.open(archive) as tar:
        tar.extractall(home, filter="data")
    return [source(home, train=True), source(home, train=False)]
