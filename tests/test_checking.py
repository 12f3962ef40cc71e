"""``refcodec validate`` of many files, and ``refcodec decode --salvage``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command import CALL_AT_FAULT, INPUT_AT_FAULT, run
from streams import stream_of

import refcodec
from refcodec.errors import StreamError

INVALID = sorted((Path(__file__).parents[1] / "bitstreams" / "invalid").glob("*/stream.dfc"))
FEATURES = np.random.default_rng(0).normal(size=(6, 2, 4, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two streams that conform, one in a folder of its own, and one that is damaged."""
    data = stream_of(FEATURES, coder="raw", batch=False)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.dfc").write_bytes(data)
    (tmp_path / "deeper" / "b.dfc").write_bytes(data)
    changed = bytearray(data)
    changed[200] ^= 1
    (tmp_path / "damaged.dfc").write_bytes(changed)
    (tmp_path / "notes.txt").write_text("no stream", encoding="utf-8")
    return tmp_path


def test_a_file_that_is_not_there_stops_no_other(folder: Path) -> None:
    files = [folder / "a.dfc", folder / "none.dfc", folder / "damaged.dfc", folder / "deeper/b.dfc"]
    result = run("validate", *files, status=INPUT_AT_FAULT)
    lines = result.stdout.splitlines()
    assert [line for line in lines if "conforming, 6" in line] == [
        f"{folder}/{name}: conforming, 6 features in 9 units" for name in ("a.dfc", "deeper/b.dfc")
    ]
    assert lines[-2] == "4 files: 2 conforming, 1 rejected (checksum 1), 1 not read"
    assert lines[-1] == "REJECT checksum"
    assert f"error: cannot open {folder}/none.dfc: No such file" in result.stderr
    result = run("validate", folder / "none.dfc", folder / "a.dfc", status=CALL_AT_FAULT)
    assert result.stdout.splitlines()[-1] == "2 files: 1 conforming, 1 not read"


def test_folders_and_patterns(folder: Path) -> None:
    for name in (folder, f"{folder}/**/*.dfc"):
        found = json.loads(run("validate", name, "--json", status=INPUT_AT_FAULT).stdout)
        assert [Path(one["file"]).name for one in found] == ["a.dfc", "damaged.dfc", "b.dfc"]
    found = json.loads(run("validate", f"{folder}/*/*.dfc", folder / "deeper", "--json").stdout)
    assert [Path(one["file"]).name for one in found] == ["b.dfc"], "each file once"
    (folder / "empty").mkdir()
    result = run("validate", folder / "empty", f"{folder}/x*.dfc", status=CALL_AT_FAULT)
    assert f"there is no .dfc file in {folder}/empty" in result.stderr
    assert f"cannot open {folder}/x*.dfc" in result.stderr


def test_several_files_at_a_time(folder: Path) -> None:
    one, two = (
        run("validate", folder, "--workers", n, status=INPUT_AT_FAULT).stdout for n in (1, 2)
    )
    assert one == two


def test_lines_of_json(folder: Path) -> None:
    result = run("validate", folder, folder / "none.dfc", "--json-lines", status=INPUT_AT_FAULT)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["conforming"] for one in found] == [True, False, True, False]
    assert [bool(one["error"]) for one in found] == [False, False, False, True]


def test_quiet(folder: Path) -> None:
    result = run("validate", folder, "--quiet", status=INPUT_AT_FAULT)
    assert result.stdout == "REJECT checksum\n"
    assert run("validate", folder / "a.dfc", "-q").stdout == ""


def test_formats_exclude_each_other(folder: Path) -> None:
    result = run("validate", folder, "--quiet", "--json", status=CALL_AT_FAULT)
    assert "exclude each other" in result.stderr


def test_junit(folder: Path) -> None:
    strange = folder / "a\x1bb.dfc"
    shutil.copy(folder / "a.dfc", strange)
    report = folder / "report.xml"
    run("validate", folder, folder / "none.dfc", "--junit", report, status=INPUT_AT_FAULT)
    suite = ElementTree.parse(report).getroot()
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "0"}
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "checksum"
    assert "clause 8.2 Units" in failure.get("message", "")
    (error,) = suite.iter("error")
    assert error.get("type") == "not read"


def test_wrong_limits_are_told_once(folder: Path) -> None:
    result = run("validate", folder, "--max-level", 9, status=CALL_AT_FAULT)
    assert result.stderr == "error: max_level is 9; it is 1 to 4\n"
    assert result.stdout == ""


# --- validate and inspect --------------------------------------------------------------------------


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.parent.name)
def test_validate_and_inspect_cite_one_clause(path: Path) -> None:
    cited = {one.clause for one in refcodec.validate(path).violations}
    try:
        problems = [unit.problem for unit in refcodec.inspect(path) if unit.problem]
    except StreamError as error:
        problems = [str(error)]
    found = set()
    for problem in problems:
        place = re.search(r"\[bit \d+, byte \d+; clause ([\w.]+)(?:, R[\w.-]+)?\]", problem)
        assert place or problem.startswith("its feature parameter set ")
        found |= {place[1]} if place else set()
    assert found <= cited


def test_there_are_invalid_streams() -> None:
    assert len(INVALID) > 100


# --- salvage ---------------------------------------------------------------------------------------


def test_decode_salvages(folder: Path) -> None:
    out = folder / "out.npy"
    refused = run("decode", folder / "damaged.dfc", out, status=INPUT_AT_FAULT)
    assert refused.stdout == "REJECT checksum\n"
    assert not out.exists()
    result = run("decode", folder / "damaged.dfc", out, "--salvage")
    found = np.load(out)
    assert len(found) == 5
    assert [one.tobytes() for one in found] == [FEATURES[k].tobytes() for k in (0, 2, 3, 4, 5)]
    assert re.fullmatch(
        r"missing: bytes \d+ to \d+: the CRC-32 of the unit at byte \d+ does not match; "
        r"1 feature missing\n",
        result.stderr,
    )
    again = "decode", folder / "a.dfc", out, "--salvage"
    assert "out.npy exists and is replaced; --force omits" in run(*again).stderr
    assert run(*again, "--force").stderr == ""
    assert np.array_equal(np.load(out), FEATURES)


def test_a_damaged_pipe_is_salvaged(folder: Path) -> None:
    data = (folder / "a.dfc").read_bytes()
    result = run("decode", "-", folder / "out.npy", "--salvage", stdin=data[:-100])
    assert len(np.load(folder / "out.npy")) == 5
    assert "an unknown number of features missing" in result.stderr


def test_nothing_to_salvage(folder: Path) -> None:
    cut = folder / "cut.dfc"
    cut.write_bytes((folder / "a.dfc").read_bytes()[:25])
    result = run("decode", cut, folder / "out.npy", "--salvage", status=CALL_AT_FAULT)
    assert "nothing of the stream can be salvaged" in result.stderr
    assert not (folder / "out.npy").exists()
