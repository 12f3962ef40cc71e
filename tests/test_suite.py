"""The conformance runner, tested by decoders that are wrong on purpose: it must fail every one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner
from variation import PATIENCE

from refcodec.cli.conformance import app
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.suite import invalid, valid
from refcodec.suite.assemble import Insert, Set, disassemble
from refcodec.suite.generate import describe
from refcodec.suite.make import define
from refcodec.suite.make.define import definitions
from refcodec.suite.manifest import Manifest, Violation, find_suite, load_manifest
from refcodec.suite.report.documents import as_json, as_junit, as_markdown
from refcodec.suite.run import process
from refcodec.suite.run.contract import BuiltIn, Command
from refcodec.suite.run.results import Run
from refcodec.suite.run.runner import read_known_failing, run_suite
from refcodec.suite.run.selection import Selection
from refcodec.suite.vectors import Definition
from refcodec.syntax.structures import STREAM_HEADER_SIZE

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")

HONEST = """
import os, sys, time
import numpy as np
from refcodec.hashes import little_endian_bytes
from refcodec.errors import StreamError
from refcodec.reader import open_stream

stream, output = sys.argv[1:]

def features():
    return list(open_stream(stream))

def write(features):
    with open(output, "wb") as file:
        for feature in features:
            file.write(little_endian_bytes(feature))

def reject(error):
    print("decoding", "REJECT " + error.reject, sep=chr(10))
    sys.exit(1)
"""

PLAIN = "import os, sys, time\nstream, output = sys.argv[1:]\n"

DECODE = "\ntry:\n    write({})\nexcept StreamError as error:\n    reject(error)\n"

MUTANTS = {
    "accepts everything": "try:\n    write(features())\nexcept StreamError:\n    write([])\n",
    "rejects everything": "print('REJECT checksum')\nsys.exit(1)\n",
    "passes everything over": "sys.exit(77)\n",
    "rejects with another class": DECODE.format("features()").replace(
        "reject(error)", "print('REJECT order'); sys.exit(1)"
    ),
    "rejects, exit status 0": DECODE.format("features()").replace(
        "reject(error)", "print('REJECT', error.reject)"
    ),
    "rejects without a line": DECODE.format("features()").replace("reject(error)", "sys.exit(1)"),
    "gives NaN": DECODE.format("[f * np.float32('nan') for f in features()]"),
    "gives zeros": DECODE.format("[f * np.float32(0) for f in features()]"),
    "gives another dtype": DECODE.format("[f.astype(np.float64) for f in features()]"),
    "gives float16 bytes": DECODE.format("[f.astype(np.float16) for f in features()]"),
    "gives integers": DECODE.format("[f.astype(np.int32) for f in features()]"),
    "transposes axes": DECODE.format("[np.ascontiguousarray(f.T) for f in features()]"),
    "swaps bytes": DECODE.format("[f.byteswap() for f in features()]"),
    "gives one tensor more": DECODE.format("[*features(), np.zeros(1, np.float32)]"),
    "gives one tensor less": DECODE.format("features()[:-1]"),
    "swaps two tensors": DECODE.format("[features()[n] for n in (1, 0, 2)][:len(features())]"),
    "is off by one in one sample": DECODE.format("[nudged(f) for f in features()]").replace(
        "\ntry",
        "\ndef nudged(f):\n    f = f.copy()\n    f.reshape(-1).view(np.uint32)[-1] ^= 1\n"
        "    return f\ntry",
        1,
    ),
    "hangs": "time.sleep(100000)\n",
    "hangs in a child": "os.fork()\ntime.sleep(100000)\n",
    "crashes": "os.abort()\n",
    "raises": "1 / 0\n",
    "writes without end": "with open(output, 'wb') as file:\n    while True:\n"
    "        file.write(bytes(1 << 20))\n",
    "prints without end": "while True:\n    print('x' * 10000)\n",
    "writes no file": "sys.exit(0)\n",
}

CHOSEN = ("no-index", "raw-bfloat16", "unit-crc", "header-cut")
"""Enough for every mutant: three features, bfloat16, and two to reject with different classes."""


@pytest.fixture(scope="module")
def small() -> Manifest:
    """A part of the suite."""
    return replace(SUITE, vectors=tuple(SUITE.named(name) for name in CHOSEN))


def _command(folder: Path, program: str) -> Command:
    script = folder / "decoder under test.py"
    script.write_text(program, encoding="utf-8")
    return Command.parse(f"{sys.executable} '{script}' {{input}} {{output}}")


def _mutant(folder: Path, name: str) -> Command:
    program = MUTANTS[name]
    return _command(folder, (HONEST if "features()" in program else PLAIN) + program)


def test_honest_command_passes(small: Manifest, tmp_path: Path) -> None:
    decoder = _command(tmp_path, HONEST + DECODE.format("features()"))
    run = run_suite(small, decoder, timeout=PATIENCE)
    assert run.passed, run.results


def test_adapter_passes(small: Manifest) -> None:
    template = f"{sys.executable} -m refcodec.suite.adapter {{input}} {{output}}"
    assert run_suite(small, Command.parse(template), timeout=PATIENCE).passed


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_failed(
    name: str, small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_OUTPUT", 1 << 22)
    run = run_suite(
        small, _mutant(tmp_path, name), timeout=1 if name.startswith("hangs") else PATIENCE
    )
    assert not run.passed
    assert run.counts["pass"] < len(CHOSEN)
    assert all(result.reason for result in run.results if result.status != "pass")


@pytest.mark.parametrize(
    ("name", "failing", "reason"),
    [
        (
            "accepts everything",
            "unit-crc",
            "accepted; it must be rejected as checksum (clause 8.2, R8.2-3",
        ),
        ("rejects everything", "no-index", "rejected as checksum; a decoder must accept it"),
        (
            "rejects everything",
            "header-cut",
            "rejected as checksum; the class is truncated (clause 6.2, R4.4-4)",
        ),
        ("gives one tensor more", "raw-bfloat16", "more than the 512 bytes of 1 features"),
        ("is off by one in one sample", "no-index", "feature 0 (16 x 4 x 4, float32) is not"),
        ("gives one tensor less", "no-index", "2048 bytes; 3 features have 3072"),
        ("hangs", "unit-crc", "stopped after 1 s"),
        ("crashes", "unit-crc", "ended by signal 6"),
        ("raises", "unit-crc", "ZeroDivisionError"),
        ("writes no file", "no-index", "no output file"),
    ],
)
def test_reason(name: str, failing: str, reason: str, tmp_path: Path) -> None:
    decoder = _mutant(tmp_path, name)
    run = run_suite(
        SUITE,
        decoder,
        selection=Selection(only=(failing,)),
        timeout=1 if name == "hangs" else PATIENCE,
    )
    assert [result.status for result in run.results] == ["fail"]
    assert reason in run.results[0].reason


def test_skip_is_no_pass(small: Manifest, tmp_path: Path) -> None:
    run = run_suite(small, _command(tmp_path, "print('no bfloat16')\nraise SystemExit(77)"))
    assert run.counts["skip"] == len(CHOSEN)
    assert not run.passed
    assert run.results[0].reason == "no bfloat16"


def test_nothing_run_is_an_error() -> None:
    with pytest.raises(CallerError, match="no vector matches"):
        run_suite(SUITE, BuiltIn(), selection=Selection(only=("no such vector",)))


# --- without a compiler ----------------------------------------------------------------------------


def test_small_native_vectors_without_compiled_kernels() -> None:
    """The same kernels as plain Python give the same features, and refuse the same payloads."""
    program = (
        "import sys\n"
        "from refcodec.suite.run.contract import BuiltIn\n"
        "from refcodec.suite.manifest import load_manifest\n"
        "from refcodec.suite.run.runner import run_suite\n"
        "from refcodec.suite.run.selection import Selection\n"
        "small = Selection(tags=('small',))\n"
        "run = run_suite(load_manifest(sys.argv[1]), BuiltIn(), selection=small, workers=1)\n"
        "print(*[(r.vector.name, r.reason) for r in run.results if r.status != 'pass'])\n"
        "print(run.counts['pass'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SUITE.root)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    problems, passed = done.stdout.splitlines()
    assert problems == ""
    assert int(passed) == sum("small" in vector.tags for vector in SUITE.vectors) > 60


# --- known failures --------------------------------------------------------------------------------


def test_known_failure_does_not_fail_the_run(small: Manifest, tmp_path: Path) -> None:
    decoder = _mutant(tmp_path, "writes no file")
    run = run_suite(small, decoder, known_failing=["no-index", "raw-bfloat16", "DFC-I-0012"])
    assert not run.passed  # header-cut is not listed
    known = [*CHOSEN[:3], "header-cut"]
    assert run_suite(small, decoder, known_failing=known).passed


@pytest.mark.parametrize("entry", ["no-index", "DFC-V-0003", "no such vector"])
def test_stale_entry_fails_the_run(small: Manifest, entry: str) -> None:
    run = run_suite(small, BuiltIn(), known_failing=[entry])
    assert run.stale == (entry,)
    assert run.counts["pass"] == len(CHOSEN)
    assert not run.passed


def test_entry_of_a_vector_that_was_not_run_is_not_stale() -> None:
    assert run_suite(
        SUITE, BuiltIn(), selection=Selection(only=("no-index",)), known_failing=["unit-crc"]
    ).passed


def test_read_known_failing(tmp_path: Path) -> None:
    path = tmp_path / "known"
    path.write_text("# ours\nno-index\n\n  DFC-I-0012  # see issue 7\n", encoding="utf-8")
    assert read_known_failing(path) == {"no-index": "", "DFC-I-0012": "see issue 7"}
    with pytest.raises(CallerError):
        read_known_failing(tmp_path / "absent")


# --- reports ---------------------------------------------------------------------------------------


@pytest.fixture
def mixed(small: Manifest, tmp_path: Path) -> Run:
    """A run with passes, a failure, a known failure and a stale entry."""
    decoder = _command(
        tmp_path, "print('a | b', chr(27), 'REJECT truncated', sep=chr(10))\nexit(1)"
    )
    return run_suite(small, decoder, known_failing=["no-index", "header-cut"])


def test_json(mixed: Run) -> None:
    report = json.loads(json.dumps(as_json(mixed)))
    assert report["counts"] == {"pass": 1, "fail": 3, "skip": 0, "not-applicable": 0}
    assert report["suite"]["manifest_sha256"] == SUITE.sha256
    assert report["stale_known_failing"] == ["header-cut"]
    assert report["verdict"] == "failed"
    assert not report["selected_passed"]
    assert not report["conforming"]


def test_junit(mixed: Run) -> None:
    root = ElementTree.fromstring(as_junit(mixed))
    assert root.attrib["tests"] == "5"
    assert len(root.findall("testcase/failure")) == int(root.attrib["failures"]) == 3
    assert len(root.findall("testcase/skipped")) == int(root.attrib["skipped"]) == 1


def test_markdown(mixed: Run) -> None:
    page = as_markdown(mixed)
    assert "Verdict: **NOT conforming: 3 of 4 selected failed" in page
    assert "| DFC-V-0038 | no-index | fail (known) |" in page
    assert "`header-cut`" in page


# --- command line ----------------------------------------------------------------------------------


def test_command_line(tmp_path: Path) -> None:
    reports = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "markdown")}
    options = [word for kind, path in reports.items() for word in (f"--{kind}", str(path))]
    done = CliRunner().invoke(app, ["run", "--only", "raw-*", *options])
    assert done.exit_code == 0, done.output
    assert "conforming" not in done.output
    report = json.loads(reports["json"].read_text(encoding="utf-8"))
    assert report["verdict"] == "passed-selected"
    assert not report["conforming"]
    assert all(path.stat().st_size for path in reports.values())


def test_command_line_fails_for_a_failing_decoder(tmp_path: Path) -> None:
    decoder = _mutant(tmp_path, "writes no file")
    done = CliRunner().invoke(app, ["run", "--only", "raw-1-bit", "--decoder", decoder.name])
    assert done.exit_code == 1
    assert "fail: DFC-V-0007 raw-1-bit: exit status 0, and no output file" in done.output


def test_command_line_lists_vectors() -> None:
    done = CliRunner().invoke(app, ["list", "--only", "DFC-I-000[12]"])
    assert done.exit_code == 0
    assert [line.split()[:4] for line in done.output.splitlines()[1:]] == [
        ["DFC-I-0001", "not-a-dfc", "REJECT", "signature"],
        ["DFC-I-0002", "file-empty", "REJECT", "signature"],
    ]


def test_vectors_of_a_profile_are_selected() -> None:
    chosen = SUITE.select("profile:lossless")
    assert len(chosen) > 100
    assert list(chosen) == [one for one in SUITE.vectors if one.profile == "lossless"]


# --- suite and command -----------------------------------------------------------------------------


def test_damaged_stream_is_no_pass(tmp_path: Path, small: Manifest) -> None:
    vector = small.vectors[0]
    place = tmp_path / vector.file
    place.parent.mkdir(parents=True)
    place.write_bytes(b"\0")
    run = run_suite(Manifest(tmp_path, "1.0", (vector,)), BuiltIn())
    assert run.results[0].reason.startswith("the suite is damaged")
    place.unlink()
    assert not run_suite(Manifest(tmp_path, "1.0", (vector,)), BuiltIn()).passed


@pytest.mark.parametrize("template", ["mydec", "mydec {input}", "mydec '{input} {output}"])
def test_bad_command(template: str) -> None:
    with pytest.raises(CallerError):
        Command.parse(template)


def test_absent_program(small: Manifest) -> None:
    with pytest.raises(CallerError, match="cannot run"):
        run_suite(small, Command.parse("/no/such/decoder {input} {output}"))


def test_no_place_for_temporary_files(
    small: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(EnvironmentFault, match="TMPDIR"):
        run_suite(small, Command.parse("true {input} {output}"))


def test_suite_is_found() -> None:
    assert (find_suite() / "manifest.json").is_file()


def test_suite_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"manifest\.json"):
        load_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"version": "1.0", "vectors": [{}]}', encoding="utf-8")
    with pytest.raises(CallerError, match="is no manifest"):
        load_manifest(tmp_path)


# --- definitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "listed"), [(valid, valid.VALID), (invalid, invalid.INVALID)])
def test_every_vector_is_listed(package: ModuleType, listed: tuple[Definition, ...]) -> None:
    """A module that its package forgets would lose its vectors without a word."""
    names = [one.name for one in iter_modules(package.__path__, f"{package.__name__}.")]
    defined = definitions(*map(import_module, names))
    assert len(defined) == len(listed)
    assert {one.id for one in defined} == {one.id for one in listed}


def test_vector_is_what_its_function_says() -> None:
    @define.invalid(9999, "raw-float32", "checksum", "8.2")
    def broken_twice(stream: bytes) -> list[Set]:
        """two elements are wrong

        This is not the purpose.
        """
        return [Set(0, "stream_header.header_crc", len(stream)), Set(1, "unit.unit_crc", "00" * 4)]

    assert (broken_twice.id, broken_twice.name) == ("DFC-I-9999", "broken-twice")
    assert broken_twice.purpose == broken_twice.change == "two elements are wrong"
    origin = _stream("raw-float32")
    shown = describe(broken_twice, origin, {"raw-float32": origin})
    assert shown.violation == Violation("checksum", "8.2", 8 * (STREAM_HEADER_SIZE - 2))
    assert shown.origin is not None
    assert [edit["unit"] for edit in shown.origin.edits] == [0, 1]


# --- assembler -------------------------------------------------------------------------------------


def _stream(name: str) -> bytes:
    return SUITE.path(SUITE.named(name)).read_bytes()


def test_set_rebuilds_what_follows() -> None:
    """A wider element moves the alignment, and size and CRC of its unit follow."""
    stream = _stream("raw-float32")
    edited = Set(1, "feature_parameter_set.fps_id", 200)(stream)
    unit = disassemble(edited)[1]
    assert edited != stream
    assert len(edited) == len(stream) + 2
    before = bytes(unit)
    unit.settle()
    assert bytes(unit) == before
    assert Set(1, "feature_parameter_set.fps_id", 0)(edited) == stream


def test_inserted_unit_is_well_formed() -> None:
    inserted = Insert(1, 99, 1, "0102")(_stream("empty"))
    assert [field.bits for field in disassemble(inserted)[1].fields][:3] == [
        "1",
        "1100011",
        "00000010",
    ]
