"""Data to train on: images, arrays, binary files of CIFAR, records of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from PIL import Image
from records import example, field, record, varint, write_records

from refcodec.errors import CallerError
from refcodec.learn.data import Augmentation, Images, open_data
from refcodec.learn.records import VideoRecords
from refcodec.learn.tfrecord import crc32c, find_records, parse_example, read_record
from refcodec.models.images import normalise

# --- records


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the catalogue of CRCs
    assert crc32c(b"") == 0


def test_records_come_back(tmp_path: Path) -> None:
    parts = [b"", b"first", bytes(range(256)) * 3]
    write_records(tmp_path / "a", parts)
    found = [read_record(tmp_path / "a", *place) for place in find_records(tmp_path / "a")]
    assert found == parts


def test_every_cut_of_a_file_of_records_is_noticed(tmp_path: Path) -> None:
    whole = record(b"one") + record(b"another")
    path, ends = tmp_path / "a", {0, len(record(b"one")), len(whole)}
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        if size in ends:
            list(find_records(path))
        else:
            with pytest.raises(CallerError, match="is it a TFRecord file, and whole"):
                list(find_records(path))


def test_every_changed_bit_of_a_record_is_noticed(tmp_path: Path) -> None:
    whole, path = record(b"data"), tmp_path / "a"
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CallerError):
            _ = [read_record(path, *place) for place in find_records(path)]


def test_a_record_that_claims_more_than_there_is(tmp_path: Path) -> None:
    from records import masked

    length = (1 << 40).to_bytes(8, "little")
    (tmp_path / "a").write_bytes(length + masked(length) + b"x" * 100)
    with pytest.raises(CallerError, match="beyond its end"):
        list(find_records(tmp_path / "a"))


@pytest.mark.parametrize("packed", [True, False])
def test_an_example_by_name(packed: bool) -> None:
    content: dict[str, Any] = {
        "id": [b"abc", b""],
        "mean_rgb": [0.5, -2.0, 1e30],
        "labels": [0, 3861, -1, 1 << 62],
    }
    found = parse_example(example(content, packed=packed))
    assert found["id"] == content["id"]
    assert found["mean_rgb"].tolist() == np.float32(content["mean_rgb"]).tolist()  # type: ignore[union-attr]
    assert found["labels"].tolist() == content["labels"]  # type: ignore[union-attr]


def test_unknown_fields_are_skipped() -> None:
    more = varint(9 << 3) + varint(300) + varint(10 << 3 | 1) + bytes(8) + varint(11 << 3 | 5)
    whole = more + bytes(4) + example({"a": [1]}) + field(12, b"xyz")
    assert parse_example(whole)["a"].tolist() == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",  # no length
        b"\x0a\x05ab",  # cut off
        b"\x0a" + b"\xff" * 9 + b"\x7f",  # a length of more than 64 bits
        b"\x0b",  # a group
        b"\x08\x01",  # an integer in place of a message
        field(1, field(1, field(1, b"\xff") + field(2, b""))),  # a name that is not UTF-8
        field(1, field(1, field(2, field(2, field(1, b"abc"))))),  # three bytes of floats
        field(1, field(1, field(2, field(3, field(1, b"\x80"))))),  # an integer that is cut off
    ],
)
def test_what_is_no_example(data: bytes) -> None:
    with pytest.raises(CallerError, match=r"no tf\.train\.Example"):
        parse_example(data)


@given(strategies.binary(max_size=60))
def test_any_bytes_give_an_example_or_an_error(data: bytes) -> None:
    try:
        found = parse_example(data)
    except CallerError:
        return
    assert all(isinstance(name, str) for name in found)


def videos(path: Path, count: int, **changes: Any) -> None:
    path.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    messages = []
    for number in range(count):
        content = {
            "id": [b"%d" % number],
            "labels": [number % 5, 5 + number % 3],
            "mean_rgb": rng.random(6).tolist(),
            "mean_audio": [float(number), 0.25],
        } | changes
        messages.append(example({k: v for k, v in content.items() if v is not None}))
    write_records(path / "train00.tfrecord", messages[: count // 2])
    write_records(path / "train01.tfrecord", messages[count // 2 :])


def test_videos(tmp_path: Path) -> None:
    videos(tmp_path / "v", 9)
    data = open_data(tmp_path / "v", classes=8)
    assert isinstance(data, VideoRecords)
    assert (len(data), data.shape) == (9, (8,))
    inputs, targets = data.batch(np.array([7, 0]), None)
    assert inputs[:, 6].tolist() == [7, 0]
    assert [torch.nonzero(row)[:, 0].tolist() for row in targets] == [[2, 6], [0, 5]]
    assert len(open_data(tmp_path / "v", classes=8, count=3)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean_rgb": None, "mean_audio": None}, "without mean_rgb and labels"),
        ({"mean_rgb": [1, 2]}, "without mean_rgb and labels"),
        ({"labels": [b"cat"]}, "without mean_rgb and labels"),
        ({"labels": [8]}, "of class 8; there are 8"),
        ({"labels": [-1]}, "of class -1; there are 8"),
    ],
)
def test_videos_that_are_none(tmp_path: Path, changes: Any, message: str) -> None:
    videos(tmp_path / "v", 4, **changes)
    with pytest.raises(CallerError, match=message):
        open_data(tmp_path / "v", classes=8)


def test_more_videos_than_there_are(tmp_path: Path) -> None:
    videos(tmp_path / "v", 4)
    with pytest.raises(CallerError, match="holds 4 records; 5 are asked for"):
        open_data(tmp_path / "v", classes=8, count=5)


# --- images


def test_folders_of_images(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for index in range(3):
            pixels = np.full((40, 50, 3), 40 * number + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    data = open_data(tmp_path, size=(32, 32))
    assert (data.shape, data.classes, len(data)) == ((3, 32, 32), ("cat", "dog"), 6)
    inputs, labels = data.batch(np.array([4, 1]), None)
    assert labels.tolist() == [1, 0]
    wanted = normalise(np.array([41, 1], np.uint8).repeat(3).reshape(2, 1, 1, 3))
    assert torch.equal(inputs[:, :, 5, 5], wanted[:, :, 0, 0])


def test_images_of_a_list(tmp_path: Path) -> None:
    """Paths are relative to a folder above the list; what it lists is taken, class by class."""
    for number, name in enumerate(("brick", "carpet")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.full((40, 50, 3), 40 * number + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.png")
    (tmp_path / "labels").mkdir()
    text = "images/carpet/2.png\n\nimages/brick/0.png\nimages/carpet/1.png\n"
    (tmp_path / "labels" / "train1.txt").write_text(text, encoding="utf-8")
    data = open_data(tmp_path / "labels" / "train1.txt", size=(32, 32))
    assert (data.classes, len(data)) == (("brick", "carpet"), 3)
    inputs, labels = data.batch(np.arange(3), None)
    assert labels.tolist() == [0, 1, 1]
    wanted = normalise(np.array([0, 42, 41], np.uint8).repeat(3).reshape(3, 1, 1, 3))
    assert torch.equal(inputs[:, :, 5, 5], wanted[:, :, 0, 0])
    empty = tmp_path / "empty.txt"
    for text, message in (("\n", "lists no images"), ("no/such.png\n", "in none of the folders")):
        empty.write_text(text, encoding="utf-8")
        with pytest.raises(CallerError, match=message):
            open_data(empty)


class Ramp:
    """A source of one image whose columns and rows can be told apart."""

    names, classes = ("ramp",), ("only",)

    def __init__(self, side: int) -> None:
        self._side = side

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        from refcodec.models.images import Item

        rows, columns = np.mgrid[: self._side, : self._side]
        return Item(np.stack([rows, columns, rows], axis=2).astype(np.uint8), "ramp", 0)


def changed(data: Images, seed: int) -> Any:
    inputs, _ = data.batch(np.array([0]), np.random.default_rng(seed))
    scaled = inputs[0] * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    return (255 * (scaled + torch.tensor([0.485, 0.456, 0.406])[:, None, None])).round()


def test_flips_turn_columns_around() -> None:
    data = Images(Ramp(8), (8, 8), Augmentation(flip=True))
    columns = {tuple(changed(data, seed)[1, 0].tolist()) for seed in range(20)}
    assert columns == {tuple(range(8)), tuple(range(7, -1, -1))}


def test_padding_moves_images_by_whole_pixels() -> None:
    data = Images(Ramp(8), (8, 8), Augmentation(pad=2))
    plain = data.batch(np.array([0]), None)[0]
    shifts = set()
    for seed in range(60):
        inputs = data.batch(np.array([0]), np.random.default_rng(seed))[0]
        padded = torch.nn.functional.pad(plain, (2, 2, 2, 2))
        windows = padded.unfold(2, 8, 1).unfold(3, 8, 1)[0].permute(1, 2, 0, 3, 4)
        same = (windows == inputs[0]).flatten(2).all(dim=2)
        assert same.sum() == 1
        shifts.add(tuple(torch.nonzero(same)[0].tolist()))
    assert len(shifts) > 15  # of 25


def test_larger_images_are_cropped_at_the_centre_or_anywhere() -> None:
    data = Images(Ramp(12), (8, 8), Augmentation())
    centre = data.batch(np.array([0]), None)[0]
    assert centre.shape == (1, 3, 8, 8)
    firsts = {(int(c[0, 0, 0]), int(c[1, 0, 0])) for c in (changed(data, s) for s in range(80))}
    assert len(firsts) > 15
    assert all(0 <= row <= 4 and 0 <= column <= 4 for row, column in firsts)


@pytest.mark.parametrize(("labels", "classes"), [(1, 10), (2, 100)])
def test_binary_files_of_cifar(tmp_path: Path, labels: int, classes: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (5, labels + 3072), dtype=np.uint8)
    rows[:, :labels] = np.arange(5)[:, None] + np.arange(labels)[None]
    (tmp_path / "a.bin").write_bytes(rows.tobytes())
    data = open_data(tmp_path / "a.bin")
    assert (len(data), len(data.classes), data.shape) == (5, classes, (3, 32, 32))
    inputs, found = data.batch(np.array([3]), None)
    assert found.tolist() == [3 + labels - 1]
    pixels = rows[3, labels:].reshape(3, 32, 32).transpose(1, 2, 0)
    assert torch.equal(inputs, normalise(pixels[None]))


@pytest.mark.parametrize("size", [0, 100, 3073 * 2 + 1])
def test_binary_files_of_something_else(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(size))
    with pytest.raises(CallerError, match="no binary file of CIFAR"):
        open_data(tmp_path / "a.bin")


# --- arrays


def test_arrays_of_classes_and_of_values(tmp_path: Path) -> None:
    inputs = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=np.arange(4))
    np.savez(tmp_path / "b.npz", inputs=inputs, targets=inputs[:, :2])
    classes, values = open_data(tmp_path / "a.npz"), open_data(tmp_path / "b.npz", count=3)
    assert classes.batch(np.array([2]), None)[1].dtype == torch.int64
    assert values.batch(np.array([2]), None)[1].tolist() == [[6, 7]]
    assert (len(classes), len(values), values.shape) == (4, 3, (3,))


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=np.zeros((4, 3)), targets=np.zeros(5))
    with pytest.raises(CallerError, match="do not fit each other"):
        open_data(tmp_path / "a.npz")


def test_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"there are no data at .*--data"):
        open_data(tmp_path / "nowhere")
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(CallerError):
        open_data(tmp_path / "a.npz")
