"""The suite for other runners: the archive to the byte, and fluster's verdicts against our runner's."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import unittest
import zipfile
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command import CALL_AT_FAULT, run
from variation import PATIENCE

from refcodec.errors import CallerError
from refcodec.suite.export.archive import archive_of
from refcodec.suite.export.fluster import ARCHIVE, DECODER, fluster_files
from refcodec.suite.fidelity import load_fidelity
from refcodec.suite.manifest import Feature, Manifest, Vector, load_manifest
from refcodec.suite.run.contract import Command
from refcodec.suite.run.outputs import Digests, rejection_lines, written_outputs
from refcodec.suite.run.runner import judge

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")

CHOSEN = ("no-index", "raw-bfloat16", "unit-crc", "header-cut", "index-missing", "hevc-8-bit")
"""Three to accept, two to reject with different classes, one that may be accepted or rejected."""

SUITE_KEYS = {"name", "codec", "description", "test_vectors", "test_method"}
VECTOR_KEYS = {
    "name",
    "source",
    "source_checksum",
    "input_file",
    "output_format",
    "result",
    "optional_params",
}
"""Keys that fluster 0.1 to 0.8 knows; any other one makes the suite fail to load."""


@pytest.fixture(scope="module")
def small() -> Manifest:
    """A part of the suite."""
    return replace(SUITE, vectors=tuple(SUITE.named(name) for name in CHOSEN))


@pytest.fixture(scope="module")
def outputs(small: Manifest) -> dict[str, Digests]:
    return written_outputs(small, small.vectors)


# --- expected outputs ------------------------------------------------------------------------------


def test_outputs_are_those_of_the_manifest(small: Manifest, outputs: dict[str, Digests]) -> None:
    single = small.named("raw-bfloat16")
    assert outputs[single.id].sha256 == single.features[0].reconstruction
    assert set(outputs) == {one.id for one in small.vectors if one.decoder != "reject"}


def test_vector_that_the_reference_rejects_and_others_need_not() -> None:
    """Its output is that of the stream that it was made from."""
    vector = SUITE.named("hevc-false-access-point")
    assert vector.decoder == "either"
    assert vector.origin is not None
    origin = SUITE.named(vector.origin.vector)
    found = written_outputs(SUITE, [vector, origin])
    assert found[vector.id] == found[origin.id]


def test_wrong_hash_is_no_output() -> None:
    vector = SUITE.named("raw-bfloat16")
    (feature,) = vector.features
    other = Feature(feature.shape, feature.dtype, feature.samples, "0" * 64)
    with pytest.raises(CallerError, match="raw-bfloat16"):
        written_outputs(SUITE, [replace(vector, features=(other,))])
    with pytest.raises(CallerError, match="raw-bfloat16"):
        written_outputs(SUITE, [replace(vector, features=(feature, other))])


class _WithClasses(Vector):
    """A vector whose violation a decoder may also call a payload error."""

    def as_json(self) -> dict[str, Any]:
        entry = super().as_json()
        entry["violation"]["also"] = ["payload"]
        return entry


def test_other_classes_are_permitted(small: Manifest, outputs: dict[str, Digests]) -> None:
    names = [field.name for field in fields(Vector)]
    vectors = [small.named(name) for name in ("unit-crc", "index-missing")]
    wide = [_WithClasses(**{name: getattr(one, name) for name in names}) for one in vectors]
    assert [rejection_lines(one) for one in wide] == [
        ("REJECT checksum", "REJECT payload"),
        ("REJECT constraint", "REJECT payload"),
    ]
    made = fluster_files(replace(small, vectors=tuple(wide)), outputs, "file:///x.zip", b"")
    entries = json.loads(made["test_suites/DFC-ALL.json"])["test_vectors"]
    params = [one["optional_params"] for one in entries]
    assert params[0]["may_print"] == ["REJECT payload"]
    assert params[1]["may_print"] == ["REJECT constraint", "REJECT payload"]
    assert [one["result"] for one in params] == [one["result"] for one in entries]


# --- the archive -----------------------------------------------------------------------------------


def test_archive_has_the_same_bytes_again(small: Manifest, outputs: dict[str, Digests]) -> None:
    first = archive_of(small, outputs)
    turned = replace(small, vectors=small.vectors[::-1])
    assert archive_of(small, dict(reversed(outputs.items()))) == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert (
        names
        == sorted(names)
        == zipfile.ZipFile(io.BytesIO(archive_of(turned, outputs))).namelist()
    )
    for member in zipfile.ZipFile(io.BytesIO(first)).infolist():
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert member.compress_type == zipfile.ZIP_STORED
        assert not member.filename.startswith("/")
        assert ".." not in member.filename


def test_archive_is_a_suite(tmp_path: Path) -> None:
    """Unpacked, it has every stream of the manifest, and the lists of hashes agree with it."""
    target = tmp_path / "suite.zip"
    run("conformance", "export", "--format", "zip", target)
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path / "suite")
    unpacked = load_manifest(tmp_path / "suite")
    assert unpacked.sha256 == SUITE.sha256
    assert len(unpacked.vectors) == len(SUITE.vectors) > 300
    sums = {}
    for line in (unpacked.root / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        own, _, name = line.partition("  ")
        sums[name] = own
    for vector in unpacked.vectors:
        data = unpacked.path(vector).read_bytes()
        assert hashlib.sha256(data).hexdigest() == vector.sha256 == sums[vector.file]
    expected = json.loads((unpacked.root / "EXPECTED.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in expected["vectors"]] == [one.id for one in SUITE.vectors]
    for entry, vector in zip(expected["vectors"], SUITE.vectors, strict=True):
        assert ("output" in entry) == (vector.decoder != "reject")
        assert ("rejections" in entry) == (vector.decoder != "accept")
    listed = (unpacked.root / "OUTPUTS.sha256").read_text(encoding="utf-8").splitlines()
    assert len(listed) == sum(one.decoder != "reject" for one in SUITE.vectors)
    assert load_fidelity(unpacked.root) == load_fidelity(SUITE.root)
    assert (unpacked.root / "fidelity" / "weights.npz").is_file()
    assert unpacked.sha256 in (unpacked.root / "README.md").read_text(encoding="utf-8")


# --- fluster's form, without fluster ---------------------------------------------------------------


def test_form_of_fluster(tmp_path: Path) -> None:
    done = run("conformance", "export", "--format", "fluster", tmp_path)
    assert DECODER in done.output
    archive = (tmp_path / ARCHIVE).read_bytes()
    members = set(zipfile.ZipFile(io.BytesIO(archive)).namelist())
    documents = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (tmp_path / "test_suites").glob("*.json")
    }
    assert set(documents) == {
        *(
            "DFC-ALL",
            "DFC-LOSSLESS",
            "DFC-NATIVE",
            "DFC-HEVC",
            "DFC-LEARNED",
            "DFC-REALTIME",
            "DFC-VVC",
            "DFC-AV1",
        )
    }
    whole = documents.pop("DFC-ALL")["test_vectors"]
    assert len(whole) == len(SUITE.vectors)
    parts = [one["name"] for document in documents.values() for one in document["test_vectors"]]
    assert sorted(parts) == sorted(one["name"] for one in whole)
    for document in documents.values():
        assert set(document) == SUITE_KEYS
        assert (document["codec"], document["test_method"]) == ("Dummy", "md5")
    by_id = {vector.id: vector for vector in SUITE.vectors}
    for entry in whole:
        vector = by_id[entry["optional_params"]["id"]]
        assert set(entry) == VECTOR_KEYS
        assert not hasattr(unittest.TestCase, entry["name"])
        assert entry["source"] == (tmp_path / ARCHIVE).resolve().as_uri()
        assert entry["source_checksum"] == hashlib.md5(archive).hexdigest()
        assert "/" in entry["input_file"]
        assert entry["input_file"] in members
        if vector.decoder == "reject":
            assert vector.violation is not None
            line = f"REJECT {vector.violation.reject}\n"
            assert entry["result"] == hashlib.md5(line.encode()).hexdigest()


def test_address_of_the_archive(small: Manifest, outputs: dict[str, Digests]) -> None:
    made = fluster_files(small, outputs, "https://example.org/dfc.zip", b"archive")
    document = json.loads(made["test_suites/DFC-ALL.json"])
    assert {one["source"] for one in document["test_vectors"]} == {"https://example.org/dfc.zip"}
    archive = ("conformance", "export", "--format", "zip", "--url", "https://example.org", "x")
    run(*archive, status=CALL_AT_FAULT)


def test_help_names_fluster() -> None:
    assert "fluster" in run("conformance", "--help").output


# --- fluster itself --------------------------------------------------------------------------------

HONEST = f"{sys.executable} -m refcodec.suite.adapter {{input}} {{output}}"

WRONG = {
    "accepts everything": "open(output, 'wb').close()",
    "rejects everything": "print('REJECT checksum')\nsys.exit(1)",
    "rejects as no class": "print('REJECT')\nsys.exit(1)",
    "rejects as constraint": "print('no index', 'REJECT constraint', sep=chr(10))\nsys.exit(1)",
    "does not claim": "sys.exit(77)",
    "writes the line and accepts": "open(output, 'w').write('REJECT checksum' + chr(10))",
    "prints the line and accepts": "open(output, 'wb').close()\nprint('REJECT checksum')",
    "writes nothing": "",
    "crashes": "os.abort()",
    "hangs": "time.sleep(1000)",
}
"""Decoders that are wrong on purpose; none of them passes every vector."""

VERDICTS = {"Success": "pass", "Not Supported": "skip"}


@pytest.fixture(scope="module")
def exported(
    small: Manifest, outputs: dict[str, Digests], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The export of the part, downloaded by fluster."""
    if find_spec("fluster") is None:
        pytest.skip("fluster is not installed: pip install fluster-conformance")
    folder = tmp_path_factory.mktemp("fluster export")
    address, archive = (folder / ARCHIVE).as_uri(), archive_of(small, outputs)
    for name, data in fluster_files(small, outputs, address, archive).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    _fluster(folder, "download", "DFC-ALL")
    return folder


def _fluster(folder: Path, *words: str, decoder: str = HONEST) -> str:
    """Run fluster, with the decoder class of the export; returns its output."""
    places = ("-tsd", "test_suites", "-r", "resources", "-o", "output")
    done = subprocess.run(
        [sys.executable, DECODER, *places, *words],
        cwd=folder,
        env={**os.environ, "DFC_DECODER": decoder},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: vectors that fail
    assert "Error loading" not in done.stdout
    return done.stdout


def _verdicts(folder: Path, decoder: str, timeout: int) -> dict[str, str]:
    """Fluster's verdicts by name, in the words of our runner."""
    words = ("run", "-d", "DFC", "-ts", "DFC-ALL", "-t", str(timeout), "-j", "2")
    found = {}
    for line in _fluster(folder, *words, decoder=decoder).splitlines():
        if line.startswith("[DFC-ALL") and " ... " in line:
            name = line.partition(") ")[2].partition(" ...")[0].strip()
            found[name] = VERDICTS.get(line.rpartition("... ")[2], "fail")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["honest", *WRONG])
def test_fluster_gives_our_verdicts(
    kind: str, exported: Path, small: Manifest, tmp_path: Path
) -> None:
    command, timeout = HONEST, int(PATIENCE)
    if kind != "honest":
        script = tmp_path / "decoder under test.py"
        program = f"import os, sys, time\nstream, output = sys.argv[1:]\n{WRONG[kind]}\n"
        script.write_text(program, encoding="utf-8")
        command = f"{sys.executable} -S '{script}' {{input}} {{output}}"
        timeout = 1 if kind == "hangs" else timeout
    ours = {
        f"{vector.id}-{vector.name}": judge(
            vector, small.path(vector), Command.parse(command), timeout
        ).status
        for vector in small.vectors
    }
    assert _verdicts(exported, command, timeout) == ours
    assert (set(ours.values()) == {"pass"}) == (kind == "honest")
