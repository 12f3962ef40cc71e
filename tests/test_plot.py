"""``refcodec plot``: pictures of channels, errors, and the bits of each channel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from streams import stream_of

pytest.importorskip("matplotlib")

from refcodec.channel_plot import liveliest
from refcodec.coders.native.spent import bits_of_channels
from refcodec.stream.walk import Walk, coded_units
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header

NOISE = np.random.default_rng(0).normal(size=(3, 12, 16, 16)).astype(np.float32)
NOISE[:, 5] = 0
NOISE[:, 7] *= 3


def payloads(data: bytes) -> list[Any]:
    source = io.BytesIO(data)
    walk = Walk(parse_stream_header(source.read(STREAM_HEADER_SIZE)))
    return [one for unit in coded_units(walk, source) for one in unit.payloads]


# --- bits of channels ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"qp": 25}, {"qp": 35, "speed": "fast"}, {"qp": 20, "batch": False}]
)
def test_bits_of_channels(options: dict[str, Any]) -> None:
    data = stream_of(NOISE, coder="native", restoration="off", **options)
    for payload in payloads(data):
        bits = bits_of_channels(payload)
        assert bits is not None
        assert bits.shape == (12,)
        assert 0 <= bits[5] < 40  # constant
        others = np.delete(bits, (5, 7))
        assert bits[7] > others.max() > others.min() > 100
        rest = 8 * len(payload.data) - bits.sum()
        assert 0 < rest < 200  # the head, and the end


def test_channels_with_qps_of_their_own() -> None:
    qp = [20] * 6 + [40] * 6
    (payload, *_) = payloads(stream_of(NOISE, coder="native", restoration="off", qp=qp))
    bits = bits_of_channels(payload)
    assert bits is not None
    assert bits[:5].min() > 2 * bits[8:].max()


def test_bits_that_are_not_told() -> None:
    first, second = payloads(stream_of(NOISE[:2], coder="native", gop=2))
    assert bits_of_channels(first) is not None
    assert bits_of_channels(second) is None  # predicted
    (small, *_) = payloads(stream_of(NOISE[:, :, :1, :1], coder="native"))
    assert bits_of_channels(small) is None  # without blocks


# --- plots -----------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with features, and streams of them by the native coder and by zlib, and of vectors."""
    np.save(tmp_path / "a.npy", NOISE)
    (tmp_path / "a.dfc").write_bytes(stream_of(NOISE, coder="native", qp=30))
    (tmp_path / "z.dfc").write_bytes(stream_of(NOISE, coder="zlib"))
    np.save(tmp_path / "v.npy", NOISE[:, 0, 0])
    (tmp_path / "v.dfc").write_bytes(stream_of(NOISE[:, 0, 0], coder="native", qp=30))
    return tmp_path


def drawn(folder: Path, *arguments: object) -> bytes:
    target = folder / "out.svg"
    run("plot", *arguments, target, "--force")
    return target.read_bytes()


def test_pictures_before_and_after(files: Path) -> None:
    alone = drawn(files, files / "a.dfc")
    assert alone.startswith(b"<?xml")
    assert alone.count(b"<image") == 8
    both = drawn(files, files / "a.dfc", "--original", files / "a.npy")
    assert both.count(b"<image") == 3 * 8
    assert drawn(files, files / "a.dfc", "--channels", "7,0,11").count(b"<image") == 3
    other = drawn(files, files / "a.dfc", "--original", files / "a.npy", "--feature", 2)
    assert other.count(b"<image") == 3 * 8
    assert other != both


def test_bits_are_drawn_where_they_are_told(files: Path) -> None:
    """A panel of bars has an element of SVG for each channel."""
    native, zlib = (
        drawn(files, files / name, "--original", files / "a.npy") for name in ("a.dfc", "z.dfc")
    )
    assert native.count(b'id="axes_') == zlib.count(b'id="axes_') + 1


def test_png(files: Path) -> None:
    run("plot", files / "a.dfc", files / "out.png")
    assert (files / "out.png").read_bytes().startswith(b"\x89PNG")


def test_vectors_are_curves(files: Path) -> None:
    curve = drawn(files, files / "v.dfc")
    both = drawn(files, files / "v.dfc", "--original", files / "v.npy", "--feature", 1)
    assert b"<image" not in curve + both
    assert curve.count(b'id="axes_') == 1
    assert both.count(b'id="axes_') == 2


def test_infinities_are_drawn_around(tmp_path: Path) -> None:
    wild = NOISE[0].copy()
    wild[2, 3, 4], wild[3, 0, 0] = np.inf, np.nan
    np.save(tmp_path / "a.npy", wild)
    (tmp_path / "a.dfc").write_bytes(stream_of([wild], coder="zlib"))
    assert drawn(tmp_path, tmp_path / "a.dfc", "--original", tmp_path / "a.npy").count(b"<image")


def test_liveliest() -> None:
    assert liveliest(NOISE[0].astype(np.float64), 1) == [7]
    found = liveliest(NOISE[0].astype(np.float64), 11)
    assert found == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.dfc", "out.pdf"], "neither .png nor .svg"),
        (["a.dfc", "out.png", "--feature", "3"], "feature 3 of 3"),
        (["a.dfc", "out.png", "--channels", "0,12"], "there is no channel 12: the feature has 12"),
        (["a.dfc", "out.png", "--channels", "all"], "channels are 'all'"),
        (["v.dfc", "out.png", "--channels", "0"], "a vector is drawn whole"),
        (["a.dfc", "out.png", "--original", "v.npy"], "has shape (16,) in"),
        (["a.dfc", "out.png", "--original", "none.npy"], "none.npy"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_refusals(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str
) -> None:
    monkeypatch.chdir(files)
    assert text in run("plot", *arguments, status=CALL_AT_FAULT).stderr
    assert not list(files.glob("out*"))


def test_an_original_of_fewer_features(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    np.save("few.npy", NOISE[:1])
    found = run(
        *("plot", "a.dfc", "out.png", "--original", "few.npy", "--feature", 1), status=CALL_AT_FAULT
    )
    assert "few.npy holds 1 features, and no feature 1" in found.stderr
