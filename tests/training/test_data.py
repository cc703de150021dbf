"""Data sets: what comes out is balanced, normalized and repeatable; what goes wrong is said in one sentence."""

import dataclasses
import hashlib
import io
import pickle
import tarfile
import tempfile
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from resnet_edu.training import data, downloads, locks
from resnet_edu.training.downloads import fetch
from resnet_edu.training.pictures import class_folders, shown
from resnet_edu.training.synthetic_images import draw


@pytest.mark.parametrize("loaded", [data.digits(), data.shapes(200, 50)], ids=["digits", "shapes"])
def test_training_images_are_normalized_in_each_channel(loaded: data.ImageData) -> None:
    x = loaded.normalize(loaded.train.images)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(len(loaded.mean)), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(len(loaded.std)), atol=1e-3, rtol=0)
    assert loaded.train.images.dtype == torch.uint8
    assert set(loaded.test.labels.tolist()) == set(range(len(loaded.classes)))


def test_digits_are_scikit_learns_and_split_without_overlap() -> None:
    from sklearn.datasets import load_digits

    loaded, source = data.digits(), load_digits()
    ours = torch.cat([loaded.train.images, loaded.test.images]).flatten(1)
    theirs = torch.from_numpy(source.images * 255 / 16).round().to(torch.uint8).flatten(1)
    assert sorted(map(bytes, ours.numpy())) == sorted(map(bytes, theirs.numpy()))
    assert (len(loaded.train), len(loaded.test)) == (1437, 360)
    labels = torch.cat([loaded.train.labels, loaded.test.labels])
    assert labels.bincount().tolist() == np.bincount(source.target).tolist()


def test_the_same_seed_gives_the_same_images() -> None:
    assert torch.equal(data.digits(seed=3).train.images, data.digits(seed=3).train.images)
    assert not torch.equal(data.digits(seed=3).train.images, data.digits(seed=4).train.images)
    assert torch.equal(data.shapes(50, 20, seed=3).test.images, data.shapes(50, 20, seed=3).test.images)
    assert not torch.equal(data.shapes(50, 20, seed=3).test.images, data.shapes(50, 20, seed=4).test.images)


def test_no_shape_to_test_on_is_one_to_train_on() -> None:
    loaded = data.shapes(100, 100)
    assert not {bytes(x.numpy()) for x in loaded.train.images} & {bytes(x.numpy()) for x in loaded.test.images}


def test_what_one_seed_tests_on_no_other_seed_trains_on() -> None:
    for seed in (0, 1, 2):
        tested = {bytes(x.numpy()) for x in data.shapes(10, 30, seed=seed).test.images}
        for other in range(6):
            assert not tested & {bytes(x.numpy()) for x in data.shapes(30, 10, seed=other).train.images}


#: Of ten images, one of each class, the mean byte, and the same weighted by the column and by the row, from 1 to 32.
SHAPES = {
    0.0: (
        (122.55, 190.26, 186.11, 105.17, 85.2, 165.21, 151.02, 145.07, 103.96, 169.72),
        (2022.04, 3139.28, 3070.8, 1735.29, 1405.72, 2725.57, 2491.82, 2393.66, 1604.54, 2800.43),
        (2022.04, 3139.28, 3070.8, 1735.29, 1405.98, 2725.92, 2491.82, 2393.66, 1715.27, 2789.48),
    ),
    0.5: (
        (119.84, 191.2, 179.64, 115.2, 98.57, 162.99, 148.95, 132.63, 107.13, 158.75),
        (1963.41, 3184.89, 2940.1, 1902.45, 1616.76, 2714.9, 2491.75, 2177.17, 1785.49, 2620.79),
        (1998.8, 3130.35, 2989.24, 1909.32, 1617.72, 2708.5, 2460.19, 2179.37, 1778.94, 2591.63),
    ),
    1.0: (
        (114.64, 181.92, 171.71, 126.9, 112.63, 150.94, 137.39, 118.37, 118.53, 147.69),
        (1877.53, 3020.82, 2814.18, 2095.57, 1848.97, 2511.64, 2294.32, 1942.19, 1973.94, 2425.01),
        (1914.86, 2979.47, 2858.62, 2101.3, 1845.72, 2508.43, 2270.7, 1944.42, 1947.9, 2410.01),
    ),
}


@pytest.mark.parametrize("difficulty", SHAPES)
def test_a_seed_draws_the_same_shapes_in_every_version(difficulty: float) -> None:
    """Recorded errors are those of these images; a byte that is rounded the other way does not show."""
    images = draw(torch.arange(10), 32, difficulty, torch.Generator().manual_seed(5)).double()
    place = torch.arange(1, 33)
    found = (images, images * place, images * place[:, None])
    for known, values in zip(SHAPES[difficulty], found, strict=True):
        assert values.mean((1, 2, 3)).tolist() == pytest.approx(known, abs=0.3)


def test_many_shapes_are_drawn_in_portions_of_256() -> None:
    """How many are drawn at a time decides which random numbers an image gets."""
    loaded, generator = data.shapes(260, 10, size=8, difficulty=1), torch.Generator().manual_seed(0)
    labels = torch.randperm(260, generator=generator) % 10
    portions = [draw(labels[first:last], 8, 1, generator) for first, last in ((0, 256), (256, 260))]
    assert torch.equal(loaded.train.labels, labels)
    assert torch.equal(loaded.train.images, torch.cat(portions))
    torch.testing.assert_close(loaded.std, (loaded.train.images / 255).std((0, 2, 3)), rtol=1e-3, atol=0)


def test_noise_stops_at_black_and_white() -> None:
    images = data.shapes(100, 20, difficulty=1).train.images
    assert ((images == 0) | (images == 255)).float().mean() > 0.01
    jump = (images[..., 1:].int() - images[..., :-1].int()).abs()
    assert (jump > 200).float().mean() < 0.001


def test_a_thousand_shapes_are_for_testing_unless_told_otherwise() -> None:
    assert len(data.shapes(10, size=8).test) == 1000


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ((), "must hold two folders or more, one for each class; it holds 0"),
        (("cat",), "must hold two folders or more, one for each class; it holds 1"),
        (("all/cat", "all/dog"), r"holds nothing but the folder all; do you mean .*all\?"),
    ],
)
def test_a_folder_without_two_classes_says_what_is_there(tmp_path: Path, folders: tuple[str, ...], told: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=told):
        class_folders(tmp_path)


def test_the_ten_classes_are_ten_shapes() -> None:
    # The same size, place and colors for each: what is left is the shape.
    drawn = [draw(torch.tensor([n]), 32, 0.0, torch.Generator().manual_seed(0)).float() for n in range(10)]
    assert min((one - other).abs().mean().item() for one, other in combinations(drawn, 2)) > 5


def test_an_easy_square_stands_upright_in_the_middle() -> None:
    squares = draw(torch.full((20,), 2), 32, 0.0, torch.Generator().manual_seed(0)).int()
    for side in (2, 3):
        assert (squares - squares.flip(side)).abs().max() <= 1  # rounding


def test_a_shape_is_lighter_or_darker_than_what_is_around_it() -> None:
    discs = draw(torch.zeros(200, dtype=torch.long), 32, 0.0, torch.Generator().manual_seed(0)).float().mean(1)
    assert 70 < (discs[:, 16, 16] > discs[:, 0, 0]).sum() < 130


def test_a_shape_lies_inside_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn", lambda shape, generator: torch.zeros(shape))  # without noise
    images = draw(torch.arange(500) % 10, 64, 1.0, torch.Generator().manual_seed(0)).int()
    edge = torch.cat([images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1]], dim=-1)
    inside = (images - images[:, :, :1, :1]).abs().amax((1, 2, 3))
    assert inside.min() > 25
    assert (edge - images[:, :, 0, :1]).abs().max() < 20


def test_on_another_device_is_all_of_it() -> None:
    moved = data.shapes(20, 10).to("meta")
    tensors = (moved.train.images, moved.train.labels, moved.test.images, moved.test.labels, moved.mean, moved.std)
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_easy_shapes_are_told_apart_by_their_nearest_neighbor_and_hard_ones_are_not() -> None:
    def share_right(difficulty: float) -> float:
        loaded = data.shapes(500, 100, difficulty=difficulty)

        def outline(images: torch.Tensor) -> torch.Tensor:
            # Color and its sign are drawn at random: what is left is where a pixel differs from the corner.
            gray = images.float().mean(1)
            return (gray - gray[:, :1, :1]).abs().flatten(1)

        distance = torch.cdist(outline(loaded.test.images), outline(loaded.train.images))
        found = loaded.train.labels[distance.argmin(1)]
        return (found == loaded.test.labels).float().mean().item()

    assert share_right(0.0) > 0.8
    assert share_right(1.0) < 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.load("mnist"), "data must be one of 'digits', 'shapes'"),
        (lambda: data.load("digits", size=32), "digits has no option size; it takes none"),
        (lambda: data.load("shapes", root="x"), "shapes has no option root; it takes size"),
        (lambda: data.load("folder"), "folder needs root="),
        (lambda: data.shapes(5), "one image of each of the 10 classes or more, got 5"),
        (lambda: data.shapes(size=4), "at least 8 pixels"),
        (lambda: data.shapes(difficulty=2), "from 0 to 1, got 2"),
    ],
)
def test_a_wrong_argument_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# A class's own pictures


def _paint(path: Path, color: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def test_a_folder_of_pictures_is_split_class_by_class(tmp_path: Path) -> None:
    for name, color in (("cats", (250, 0, 0)), ("dogs", (0, 0, 250))):
        for number in range(10):
            _paint(tmp_path / name / f"{number}.png", color)
    loaded = data.folder(tmp_path, size=16, test_fraction=0.3)
    assert loaded.classes == ("cats", "dogs")
    assert loaded.shape == (3, 16, 16)
    assert loaded.train.labels.bincount().tolist() == [7, 7]
    assert loaded.test.labels.bincount().tolist() == [3, 3]
    red = loaded.train.images[loaded.train.labels == 0]
    assert red[:, 0].min() == 250
    assert red[:, 2].max() == 0


def test_the_seed_decides_which_pictures_are_tested(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(10):
            _paint(tmp_path / name / f"{number}.png", (20 * number, 0, 0))

    def tested(seed: int) -> list[int]:
        return data.folder(tmp_path, size=1, seed=seed, test_fraction=0.5).test.images[:, 0].flatten().tolist()

    assert tested(1) == tested(1)
    assert tested(1) != tested(2)


def test_a_wide_picture_is_cut_and_not_squeezed(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255  # the square in the middle
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    assert data.folder(tmp_path, size=20).train.images.min() == 255


def test_gray_and_transparent_pictures_get_three_channels_like_the_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for mode in ("RGB", "L", "RGBA", "P"):
            Image.new(mode, (20, 20)).save(tmp_path / name / f"{mode}.png")
    loaded = data.folder(tmp_path, size=8)
    assert (len(loaded.train) + len(loaded.test), loaded.shape) == (8, (3, 8, 8))
    assert loaded.normalize(loaded.train.images).isfinite().all()


@pytest.mark.parametrize("gray", [0, 90, 255])
def test_pictures_of_one_color_are_normalized_to_nothing(tmp_path: Path, gray: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (8, 8), gray).save(tmp_path / name / f"{number}.png")
    loaded = data.folder(tmp_path, size=8)
    assert loaded.std.tolist() == pytest.approx([1e-6] * 3)
    assert loaded.normalize(loaded.train.images).abs().max() < 0.1


def test_a_folder_with_its_own_split_keeps_it(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                _paint(tmp_path / split / name / f"{number}.jpg")
    loaded = data.folder(tmp_path, size=8)
    assert (len(loaded.train), len(loaded.test)) == (8, 4)


def test_broken_pictures_are_counted_and_named_and_not_fatal(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(3):
            _paint(tmp_path / name / f"{number}.png")
    (tmp_path / "a" / "broken.png").write_bytes((tmp_path / "a" / "0.png").read_bytes()[:40])
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    (tmp_path / "b" / ".DS_Store").write_text("not worth a word")
    with pytest.warns(UserWarning, match=r"2 of the files .* a/broken\.png, b/notes\.txt"):
        loaded = data.folder(tmp_path, size=8)
    assert loaded.skipped == ("a/broken.png", "b/notes.txt")
    assert len(loaded.train) + len(loaded.test) == 6
    for number in range(4):
        (tmp_path / "b" / f"{number}.txt").write_text("no picture")
        with pytest.warns(UserWarning, match="could not be read") as caught:
            data.folder(tmp_path, size=8)
        told = str(caught[0].message)
        assert told.endswith(", …") == (number == 3)  # five are named
        assert told.count(".txt") == (min(number, 2) + 2)
        assert caught[0].filename == __file__


def test_a_picture_is_turned_the_way_the_phone_says(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(2):
            path = tmp_path / name / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            pixels = np.zeros((32, 32, 3), np.uint8)
            pixels[:, 16:] = 255  # white on the right …
            exif = Image.Exif()
            exif[0x0112] = 6  # … of a picture that is to be turned clockwise: white belongs below
            Image.fromarray(pixels).save(path, exif=exif, quality=95)
    image = data.folder(tmp_path, size=32).train.images[0]
    assert image[:, 20:].min() > 200
    assert image[:, :12].max() < 50


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/1.png", "a/2.png", "b/readme.txt"], "class b has no readable picture"),
        (["a/1.png", "a/2.png", "b/1.png"], "class b has one picture"),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png"], "only one of them has b"),
        (["a/1.png", "a/2.png"], "two folders or more"),
    ],
)
def test_a_folder_that_cannot_teach_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        if name.endswith("png"):
            _paint(tmp_path / name)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("words")
    with pytest.raises(ValueError, match=message):
        data.folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        data.folder(tmp_path / "nowhere")


# Pictures as people have them


def _show(tmp_path: Path, picture: Image.Image, name: str, size: int = 32, **options: object) -> torch.Tensor:
    """The pixels ``(3, size, size)`` of a picture that went through a folder."""
    for number, kind in enumerate(("a", "b")):
        (tmp_path / kind).mkdir(exist_ok=True)
        picture.save(tmp_path / kind / name, **options)
        Image.new("RGB", (size, size), (number, 0, 0)).save(tmp_path / kind / "zz.png")
    split = data.folder(tmp_path, size=size, test_fraction=0.5)
    images = torch.cat([split.train.images, split.test.images]).float()
    return images[images.sum((1, 2, 3)).argmax()]


RAMP = np.tile(np.linspace(0, 1, 32), (32, 1))


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("16.png", Image.fromarray((65535 * RAMP).astype(np.uint16))),
        ("16.tif", Image.fromarray((65535 * RAMP).astype(np.uint16))),
        ("float.tif", Image.fromarray(RAMP.astype(np.float32))),
        ("gray.png", Image.fromarray((255 * RAMP).round().astype(np.uint8))),
        ("palette.png", Image.fromarray((255 * RAMP).round().astype(np.uint8)).convert("P")),
        ("cmyk.tif", Image.fromarray((255 * RAMP).round().astype(np.uint8)).convert("RGB").convert("CMYK")),
        ("alpha.png", Image.fromarray((255 * RAMP).round().astype(np.uint8)).convert("RGBA")),
    ],
)
def test_a_ramp_from_black_to_white_is_one_in_every_kind_of_file(
    tmp_path: Path, name: str, picture: Image.Image
) -> None:
    shown = _show(tmp_path, picture, name)
    torch.testing.assert_close(shown, torch.from_numpy(255 * RAMP).float().expand(3, 32, 32), atol=1.5, rtol=0)


@pytest.mark.parametrize(
    ("pixels", "byte"),
    [
        *((np.array([[value]], np.uint16), byte) for value, byte in ((0, 0), (65535, 255), (65407, 255), (65406, 254))),
        *((np.array([[value]], np.float32), byte) for value, byte in ((0, 0), (1, 255), (0.997, 254), (0.999, 255))),
        *((np.array([[value]], np.uint8), value) for value in (0, 1, 254, 255)),
    ],
)
def test_a_pixel_is_rounded_to_the_nearest_byte(pixels: np.ndarray, byte: int) -> None:
    """65,407 of 65,535 are 254.502 of 255, and 65,406 are 254.498; 0.997 are 254.2, 0.999 are 254.7."""
    assert shown(Image.fromarray(pixels)).getpixel((0, 0)) == (byte, byte, byte)


def test_what_is_transparent_is_white_whatever_color_hides_below(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 16:, 3] = 255  # black on the right, nothing on the left
    shown = _show(tmp_path, Image.fromarray(pixels), "half.png")
    assert shown[:, :, :14].min() == 255
    assert shown[:, :, 18:].max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_tiny_pictures_are_enlarged(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert _show(tmp_path, Image.new("RGB", shape, (200, 100, 50)), "tiny.png").mean((1, 2)).tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(np.full((8, 8), 40_000, np.int32)),
        Image.fromarray(np.full((8, 8), 37.5, np.float32)),
        Image.fromarray(np.full((8, 8), 1.01, np.float32)),
        Image.fromarray(np.full((8, 8), -0.01, np.float32)),
        Image.fromarray(np.full((8, 8), np.nan, np.float32)),
    ],
    ids=["32 bits", "floats far beyond 1", "floats beyond 1", "floats below 0", "not a number"],
)
def test_numbers_without_a_white_are_left_out_by_name(tmp_path: Path, picture: Image.Image) -> None:
    for name in ("a", "b"):
        for number in range(2):
            _paint(tmp_path / name / f"{number}.png")
    picture.save(tmp_path / "a" / "deep.tif")
    with pytest.warns(UserWarning, match=r"1 of the files .* a/deep\.tif"):
        assert data.folder(tmp_path, size=8).skipped == ("a/deep.tif",)


# Folders as people have them


def _class_tree(root: Path, count: int = 2) -> None:
    for name in ("cat", "dog"):
        for number in range(count):
            _paint(root / name / f"{number}.png")


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("train", "val"), ("Train", "Test"), ("TRAINING", "Validation"), ("training", "testing")],
)
def test_a_split_is_one_under_the_names_that_people_use(tmp_path: Path, train: str, test: str) -> None:
    _class_tree(tmp_path / train, 3)
    _class_tree(tmp_path / test, 1)
    loaded = data.folder(tmp_path, size=8)
    assert loaded.classes == ("cat", "dog")
    assert (len(loaded.train), len(loaded.test)) == (6, 2)


def test_what_systems_leave_behind_is_no_class_and_no_picture(tmp_path: Path) -> None:
    _class_tree(tmp_path / "train", 3)
    _class_tree(tmp_path / "val", 1)
    for root in (tmp_path, tmp_path / "train", tmp_path / "val"):
        for name in ("__MACOSX", "__pycache__", ".ipynb_checkpoints", "@eaDir"):
            (root / name / "cat").mkdir(parents=True)
            (root / name / "cat" / "._0.png").write_bytes(b"x")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png", "__MACOSX/0.png", ".hidden/0.png"):
        (tmp_path / "train" / "cat" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = data.folder(tmp_path, size=8)
    assert (loaded.classes, len(loaded.train), loaded.skipped) == (("cat", "dog"), 6, ())


def test_pictures_in_folders_of_a_class_belong_to_it(tmp_path: Path) -> None:
    _class_tree(tmp_path)
    _paint(tmp_path / "cat" / "2019" / "paris" / "1.png")
    (tmp_path / "cat" / "2019" / "broken.png").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"cat/2019/broken\.png"):
        loaded = data.folder(tmp_path, size=8)
    assert len(loaded.train) + len(loaded.test) == 5


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        for number in range(2):
            _paint(tmp_path / name / f"{number}.png")
    assert data.folder(tmp_path, size=8).classes == ("bus", "train")


def test_with_val_and_test_the_test_is_tested_on_and_the_other_is_named(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("val", 2), ("test", 1)):
        _class_tree(tmp_path / name, count)
    with pytest.warns(UserWarning, match="val in .* is left out; test is tested on") as caught:
        loaded = data.folder(tmp_path, size=8)
    assert (len(loaded.train), len(loaded.test)) == (6, 2)
    assert caught[0].filename == __file__  # where it was called, not in the package


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["train"], r"holds train; expected either .*the one to test on to test"),
        (["train", "test", "extra"], r"holds extra, test, train; .*take the others away"),
        (["train", "training", "test"], r"holds test, train, training; .*Rename the folder to train on to train"),
        (["animals"], r"holds nothing but the folder animals; do you mean .*animals\?"),
    ],
)
def test_a_folder_that_could_mean_two_things_says_what_to_rename(tmp_path: Path, folders: list[str], told: str) -> None:
    for name in folders:
        _class_tree(tmp_path / name)
    with pytest.raises(ValueError, match=told):
        data.folder(tmp_path)


def test_a_user_without_a_home_can_load_what_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert data.cache().is_relative_to(tempfile.gettempdir())


def test_a_fingerprint_tells_every_change_and_survives_the_way_to_a_device() -> None:
    loaded = data.shapes(20, 10)
    same = data.shapes(20, 10).fingerprint()
    assert loaded.fingerprint() == loaded.to("cpu").fingerprint() == same
    for part in ("train", "test"):
        split = getattr(loaded, part)
        for changed in (
            data.Split(split.images.flip(3), split.labels),
            data.Split(split.images, split.labels.flip(0)),
            data.Split(split.images.flip(0), split.labels),
        ):
            other = replace(loaded, **{part: changed}).fingerprint()
            assert {key for key in same if same[key] != other[key]} == {"checksum"}


def test_a_fingerprint_is_the_same_in_every_version() -> None:
    """It lies in checkpoints, with which a later version may want to go on."""
    images, labels = torch.arange(18, dtype=torch.uint8).view(2, 1, 3, 3), torch.tensor([1, 258])
    split = data.Split(images, labels)
    told = data.ImageData("own", split, split, ("a", "b"), torch.zeros(1), torch.ones(1)).fingerprint()
    content = bytes(range(18)) + (1).to_bytes(8, "little") + (258).to_bytes(8, "little")
    assert told == {
        "training images": 2,
        "test images": 2,
        "shape": [1, 3, 3],
        "classes": ["a", "b"],
        "checksum": f"{zlib.crc32(2 * content):08x}",
    }


def test_images_of_every_type_are_scaled_by_their_type() -> None:
    loaded = data.shapes(20, 10)
    exact = loaded.normalize(loaded.train.images)
    for images in (
        loaded.train.images.float() / 255,
        loaded.train.images.double() / 255,
        (loaded.train.images.int() * 257).to(torch.uint16),
    ):
        torch.testing.assert_close(loaded.normalize(images).float(), exact, rtol=1e-5, atol=1e-5)


def test_a_split_and_a_data_set_do_not_change() -> None:
    loaded = data.shapes(20, 10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.train = loaded.test
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.train.labels = loaded.test.labels


@pytest.mark.parametrize(("count", "fraction", "tested"), [(4, 0.4, 2), (5, 0.1, 1), (3, 0.9, 2), (8, 0.3, 2)])
def test_the_share_to_test_on_is_rounded_and_leaves_one_on_each_side(
    tmp_path: Path, count: int, fraction: float, tested: int
) -> None:
    _class_tree(tmp_path, count)
    loaded = data.folder(tmp_path, size=1, test_fraction=fraction)
    assert loaded.test.labels.bincount().tolist() == [tested, tested]


def test_eight_pixels_are_enough_for_a_shape() -> None:
    assert data.shapes(10, 10, size=8).shape == (3, 8, 8)
    with pytest.raises(ValueError, match="got size=7"):
        data.shapes(10, 10, size=7)


# CIFAR from a server of our own on this machine, with an archive of a few images


class _Server(ThreadingHTTPServer):
    content = b""
    give: int | None = None  # bytes of an answer before the line breaks
    ranges = True  # whether it can start in the middle
    asked: list[str]


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.give])  # less than announced: the line drops

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Answer)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _address(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"


@pytest.fixture
def tiny_cifar(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An archive built like CIFAR-10's, with 20 images, which torchvision is told to expect."""
    generator = np.random.default_rng(0)
    files: dict[str, bytes] = {}
    for name, count in [(f"data_batch_{n}", 2) for n in range(1, 6)] + [("test_batch", 10)]:
        pixels = generator.integers(0, 256, (count, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": pixels, "labels": [n % 10 for n in range(count)]})
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    files["batches.meta"] = pickle.dumps({"label_names": names})

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive = buffer.getvalue()

    def md5(content: bytes) -> str:
        return hashlib.md5(content).hexdigest()

    source = datasets.CIFAR10
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    monkeypatch.setattr(source, "train_list", [[n, md5(files[n])] for n, _ in source.train_list])
    monkeypatch.setattr(source, "test_list", [[n, md5(files[n])] for n, _ in source.test_list])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": md5(files["batches.meta"])})
    return archive


def test_cifar_comes_from_a_mirror_and_then_from_the_disk(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar
    loaded = data.cifar10(root=tmp_path, url=_address(server), progress=False)
    assert (len(loaded.train), len(loaded.test), loaded.shape) == (10, 10, (3, 32, 32))
    assert loaded.classes[3] == "cat"
    assert loaded.test.labels.tolist() == list(range(10))
    again = data.cifar10(root=tmp_path)
    inside = data.cifar10(root=tmp_path / "cifar-10-batches-py")
    assert len(server.asked) == 1
    assert torch.equal(again.train.images, loaded.train.images)
    assert torch.equal(inside.train.images, loaded.train.images)


def test_a_pixel_of_cifar_lands_where_it_belongs(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar
    loaded = data.cifar10(root=tmp_path, url=_address(server), progress=False)
    with (tmp_path / "cifar-10-batches-py" / "test_batch").open("rb") as file:
        row = pickle.load(file)["data"][4]  # red plane, green plane, blue plane, each row by row
    assert loaded.test.images[4, 2, 5, 7] == row[2 * 1024 + 5 * 32 + 7]


def test_the_archive_alone_is_enough(tmp_path: Path, tiny_cifar: bytes) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(tiny_cifar)
    assert len(data.cifar10(root=tmp_path, url="http://127.0.0.1:1/none", progress=False).train) == 10


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content, server.give = tiny_cifar, len(tiny_cifar) // 4
    with pytest.raises(ConnectionError) as caught:
        data.cifar10(root=tmp_path, url=_address(server), progress=False)
    told = str(caught.value)
    assert _address(server) in told
    assert all(words in told for words in ("broke off 3 times", "root=", "url=", "digits and shapes need no download"))
    kept = (tmp_path / "cifar-10-python.tar.gz.part").stat().st_size
    assert kept >= 3 * server.give > 0  # three tries, each from where the one before ended
    assert not (tmp_path / "cifar-10-python.tar.gz").exists()

    server.give, server.asked = None, []
    assert len(data.cifar10(root=tmp_path, url=_address(server), progress=False).train) == 10
    assert server.asked == [f"bytes={kept}-"]
    assert not (tmp_path / "cifar-10-python.tar.gz.part").exists()


def test_a_server_that_cannot_resume_is_asked_from_the_start(
    tmp_path: Path, server: _Server, tiny_cifar: bytes
) -> None:
    server.content, server.ranges = tiny_cifar, False
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(tiny_cifar[:1000])
    assert len(data.cifar10(root=tmp_path, url=_address(server), progress=False).train) == 10


def test_a_part_that_was_whole_already_is_used(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(tiny_cifar)
    assert len(data.cifar10(root=tmp_path, url=_address(server), progress=False).train) == 10


def test_another_file_under_the_same_name_is_thrown_away(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar[:-1] + b"?"
    with pytest.raises(ValueError, match=r"is not the expected file: its MD5 is .* expected .*root="):
        data.cifar10(root=tmp_path, url=_address(server), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_is_fetched_again(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(tiny_cifar[:-100])
    assert len(data.cifar10(root=tmp_path, url=_address(server), progress=False).train) == 10


def test_a_server_that_falls_silent_is_a_broken_line(
    tmp_path: Path, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    class Silent(_Answer):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            done.wait(10)

    server.RequestHandlerClass = Silent
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    try:
        with pytest.raises(ConnectionError, match=r"broke off 2 times \(.*timed out\); 0 bytes wait"):
            fetch(_address(server), tmp_path / "file", "0" * 32, attempts=2, progress=False)
    finally:
        done.set()


@pytest.mark.parametrize("progress", [True, False])
def test_the_bar_of_a_resumed_download_counts_what_was_there(
    tmp_path: Path, server: _Server, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    server.content = b"x" * 1000
    (tmp_path / "file.part").write_bytes(b"x" * 600)
    fetch(_address(server), tmp_path / "file", hashlib.md5(server.content).hexdigest(), progress=progress)
    told = capsys.readouterr().err
    assert ("100%" in told) == progress
    assert ("1.00k/1.00k" in told) == progress
    assert bool(told) == progress


def test_nobody_there_is_said_in_one_sentence(tmp_path: Path, tiny_cifar: bytes) -> None:
    told = r"CIFAR10 is not in .*127\.0\.0\.1:1/none broke off 3 times .* 0 bytes wait in .*\.part.*digits and shapes"
    with pytest.raises(ConnectionError, match=told):
        data.cifar10(root=tmp_path, url="http://127.0.0.1:1/none", progress=False)


def test_a_damaged_unpacked_file_is_unpacked_again(tmp_path: Path, server: _Server, tiny_cifar: bytes) -> None:
    server.content = tiny_cifar
    data.cifar10(root=tmp_path, url=_address(server), progress=False)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"half")
    assert len(data.cifar10(root=tmp_path, progress=False).train) == 10
    assert len(server.asked) == 1


def test_a_missing_page_is_not_asked_for_again(tmp_path: Path, server: _Server) -> None:
    server.content = b""

    class Missing(_Answer):
        def do_GET(self) -> None:
            self.server.asked.append("")
            self.send_error(404)

    server.RequestHandlerClass = Missing
    with pytest.raises(ConnectionError, match="answered 404"):
        fetch(_address(server), tmp_path / "file", "0" * 32, progress=False)
    assert len(server.asked) == 1


def test_a_checksum_is_taken_also_where_md5_is_forbidden_for_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on machines of some authorities."""
    real = hashlib.md5

    def md5(content: bytes = b"", *, usedforsecurity: bool = True) -> object:
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return real(content, usedforsecurity=False)

    (tmp_path / "file").write_bytes(b"56")
    monkeypatch.setattr(hashlib, "md5", md5)
    assert downloads.md5_of(tmp_path / "file") == "9f61408e3afb633e50cdf1b20de6f466"


def _fetch_it(address: str, path: str, md5: str) -> None:
    fetch(address, Path(path), md5, progress=False)


def test_two_processes_that_want_one_file_fetch_it_once(tmp_path: Path, server: _Server) -> None:
    server.content = bytes(range(256)) * 4000

    class Slow(_Answer):
        def do_GET(self) -> None:
            self.server.asked.append("")
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            for start in range(0, len(self.server.content), 50_000):
                self.wfile.write(self.server.content[start : start + 50_000])
                time.sleep(0.01)

    server.RequestHandlerClass = Slow
    wanted = (_address(server), str(tmp_path / "file"), hashlib.md5(server.content).hexdigest())
    processes = [get_context("fork").Process(target=_fetch_it, args=wanted) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "file").read_bytes() == server.content
    assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_another_process_has_unpacked_meanwhile_is_taken_as_it_is(tmp_path: Path) -> None:
    asked = []

    class Source:
        def __init__(self, home: Path, train: bool) -> None:
            asked.append((home, train))

    parts = data._unpacked(Source, tmp_path, tmp_path / "none.tar.gz", "http://127.0.0.1:9/none", False)
    assert asked == [(tmp_path, True), (tmp_path, False)]
    assert [type(part) for part in parts] == [Source, Source]


def test_no_split_of_shapes_is_a_split_of_another_seed() -> None:
    splits = [
        split.images
        for seed in range(3)
        for split in (data.shapes(10, 10, size=8, seed=seed),)
        for split in (split.train, split.test)
    ]
    assert all(not torch.equal(one, other) for n, one in enumerate(splits) for other in splits[n + 1 :])


@pytest.mark.parametrize("fraction", [-0.1, 0, 1, 1.5])
def test_a_share_to_test_on_lies_between_0_and_1(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(ValueError, match=f"test_fraction must lie between 0 and 1, got {fraction}"):
        data.folder(tmp_path, test_fraction=fraction)


def test_a_lock_in_a_folder_that_is_missing_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for _ in range(2):
        with locks.alone(path):
            assert [found.name for found in path.parent.iterdir()] == ["file.lock"]
    assert not list(path.parent.iterdir())
