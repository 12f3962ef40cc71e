"""The demonstration: what it prints, what it writes, and that its figures are those of the files."""

import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console

import refcodec
from refcodec.config import EncoderConfig
from refcodec.demo.network import FEATURE_SHAPES
from refcodec.demo.run import SETTINGS, run_demo

LOSSLESS = ("raw", "zlib", "gzip", "bzip2", "lzma", "native-lossless")

FEW = (
    *(EncoderConfig(coder=coder) for coder in LOSSLESS),
    EncoderConfig(coder="native", qp=32),
    EncoderConfig(coder="hevc", qp=32),
    EncoderConfig(coder="raw", quantiser="uniform", bits=8),
)

RAW = (EncoderConfig(coder="raw"),)


class Demo(NamedTuple):
    status: int
    folder: Path
    printed: str

    @property
    def results(self) -> Any:
        return json.loads((self.folder / "results.json").read_text(encoding="utf-8"))


def run(folder: Path, settings: tuple[EncoderConfig, ...], width: int = 80) -> Demo:
    printed = io.StringIO()
    status = run_demo(folder, Console(file=printed, width=width), images=6, settings=settings)
    return Demo(status, folder, printed.getvalue())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    pytest.importorskip("matplotlib")
    return run(tmp_path_factory.mktemp("demo") / "new" / "folder", FEW)


def test_every_stream_conforms(demo: Demo) -> None:
    assert demo.status == 0
    rows = demo.results["rows"]
    assert len(rows) == len(FEATURE_SHAPES) * len(FEW)
    assert all(row["conforming"] for row in rows)


def test_lossless_coders_are_bit_exact(demo: Demo) -> None:
    rows = [row for row in demo.results["rows"] if row["quantiser"] is None]
    assert len(rows) == len(FEATURE_SHAPES) * len(LOSSLESS)
    assert all(row["bit_exact"] and row["fidelity"] == 1 for row in rows)


def test_lossy_coders_are_not_called_bit_exact(demo: Demo) -> None:
    rows = [row for row in demo.results["rows"] if row["quantiser"] is not None]
    assert len(rows) == len(FEATURE_SHAPES) * 3
    assert not any(row["bit_exact"] for row in rows)


def test_rates_are_those_of_the_files(demo: Demo) -> None:
    rows = demo.results["rows"]
    for row in rows:
        size = (demo.folder / row["file"]).stat().st_size
        assert row["coded_bytes"] == size
        assert row["bits_per_element"] == pytest.approx(8 * size / row["elements"])
        assert row["compression_rate_of_float32"] == pytest.approx(size / (4 * row["elements"]))
        assert row["encode_seconds"] > 0
        assert row["decode_seconds"] > 0
    assert len({row["file"] for row in rows}) == len(rows)
    assert len(list((demo.folder / "streams").iterdir())) == len(rows)


def test_a_stream_holds_a_feature_an_image(demo: Demo) -> None:
    for row in demo.results["rows"]:
        with refcodec.open(demo.folder / row["file"]) as reader:
            assert len(reader) == 6
            assert list(reader[0].shape) == row["shape"]


def test_results_name_their_versions(demo: Demo) -> None:
    assert demo.results["images"] == 6
    assert demo.results["versions"]["refcodec"] == refcodec.__version__


def test_plot_is_a_png_and_an_svg(demo: Demo) -> None:
    assert (demo.folder / "rate-fidelity.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    drawing = (demo.folder / "rate-fidelity.svg").read_text(encoding="utf-8")
    assert drawing.startswith("<?xml")
    assert "<dc:date>" not in drawing


def test_no_temporary_files_are_left(demo: Demo) -> None:
    names = {path.name for path in demo.folder.iterdir()}
    assert names == {"rate-fidelity.png", "rate-fidelity.svg", "results.json", "streams"}


def test_table_fits_80_columns(demo: Demo) -> None:
    table = demo.printed.partition("Written to")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    for layer in FEATURE_SHAPES:
        assert f"\n  {layer} " in table
    for text in (
        "zlib lossless",
        "native lossless",
        "native QP 32",
        "hevc QP 32",
        "raw uniform 8 bit",
    ):
        assert table.count(text) == len(FEATURE_SHAPES)


def test_a_terminal_may_know_ascii_only(tmp_path: Path) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert run_demo(tmp_path, Console(file=terminal, width=80), images=2, settings=RAW) == 0
    terminal.flush()


def test_summary_names_the_files(demo: Demo) -> None:
    summary = demo.printed.partition("Written to")[2]
    for name in ("rate-fidelity.png", "rate-fidelity.svg", "results.json", "27 files in streams"):
        assert name in summary
    assert "refcodec inspect" in summary


def test_matplotlib_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("refcodec.demo.plot", "refcodec.plotting"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    demo = run(tmp_path, RAW)
    assert demo.status == 0
    assert "pip install 'refcodec[demo]'" in demo.printed
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "streams"}


def test_the_plot_is_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first, second = run(tmp_path / "1", RAW).folder, run(tmp_path / "2", RAW).folder
    for name in ("rate-fidelity.png", "rate-fidelity.svg"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_violation_makes_the_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refcodec.validator import Report

    monkeypatch.setattr(
        refcodec, "validate", lambda path: Report(unverified=["all"]), raising=False
    )
    demo = run(tmp_path, RAW)
    assert demo.status == 1
    assert "✗" in demo.printed


def test_an_unwritable_place_is_the_callers_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(refcodec.CallerError, match="cannot open"):
        run(tmp_path / "file", RAW)


def test_every_coder_is_shown() -> None:
    assert {config.coder for config in SETTINGS} == {*LOSSLESS, "native", "hevc"}
