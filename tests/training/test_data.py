"""Data sets: what comes out is balanced, normalized and repeatable; what goes wrong is said in one sentence."""

import hashlib
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from resnet_edu.training import data, downloads
from resnet_edu.training.downloads import fetch
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


def test_noise_stops_at_black_and_white() -> None:
    images = data.shapes(100, 20, difficulty=1).train.images
    assert ((images == 0) | (images == 255)).float().mean() > 0.01
    jump = (images[..., 1:].int() - images[..., :-1].int()).abs()
    assert (jump > 200).float().mean() < 0.001


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
    assert loaded.normalize(loaded.train.images).isfinite().all()  # one color only


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
    assert bool(told) == progress


def test_nobody_there_is_said_in_one_sentence(tmp_path: Path, tiny_cifar: bytes) -> None:
    with pytest.raises(ConnectionError, match=r"CIFAR10 is not in .*127\.0\.0\.1:1/none.*digits and shapes"):
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
