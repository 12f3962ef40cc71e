"""The independent decoder against every vector, and its independence."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest
from independent import check, hevc
from independent.__main__ import main

SUITE = Path(__file__).resolve().parents[1] / "bitstreams"
UNKNOWN = {"model-elsewhere", "hyperprior-elsewhere"}
"""Vectors with a unit of the learned profile, which this decoder lacks."""

VECTORS = {
    vector["name"]: vector
    for vector in check.vectors_of(SUITE)
    if vector["profile"] != "learned" and vector["name"] not in UNKNOWN
}
MODULES = sorted((Path(__file__).parent / "independent").glob("*.py"))
ENCODES = re.compile(r"encod|(?<!de)compress|writer|put_", re.IGNORECASE)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("ffmpeg"):
        monkeypatch.setenv(hevc.FFMPEG, imageio_ffmpeg.get_ffmpeg_exe())


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    (outcome,) = check.check(SUITE, [VECTORS[name]])
    assert outcome.verdict == check.PASSED, outcome.found


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, output = SUITE / VECTORS["raw-float32"]["file"], tmp_path / "output"
    assert main([str(stream), str(output)]) == 0
    assert output.stat().st_size == 4 * 16 * 4 * 4
    assert capsys.readouterr().out == ""


def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, output = SUITE / VECTORS["unit-crc"]["file"], tmp_path / "output"
    assert main([str(stream), str(output)]) == 1
    assert capsys.readouterr().out == "REJECT checksum\n"
    assert not output.exists()


def test_without_ffmpeg_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(hevc.FFMPEG, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    stream, output = SUITE / VECTORS["hevc-8-bit"]["file"], tmp_path / "output"
    assert main([str(stream), str(output)]) == 77
    assert not output.exists()


WRONG: dict[str, tuple[str, Callable[[check.Vector], object]]] = {
    "hash": ("raw-float32", lambda vector: vector["features"][0].update(samples="0" * 64)),
    "dtype": ("raw-float32", lambda vector: vector["features"][0].update(dtype="int8")),
    "count": ("raw-float32", lambda vector: vector["features"].clear()),
    "class": ("unit-crc", lambda vector: vector["violation"].update({"class": "hash"})),
    "refused": ("unit-crc", lambda vector: vector.update(decoder="accept")),
    "accepted": (
        "raw-float32",
        lambda vector: vector.update(decoder="reject", violation={"class": "hash"}),
    ),
    "file": ("raw-float32", lambda vector: vector.update(sha256="0" * 64)),
}


@pytest.mark.parametrize("change", WRONG)
def test_the_check_of_a_folder_can_fail(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, spoil = WRONG[change]
    vector = json.loads(json.dumps(VECTORS[name]))
    target = tmp_path / vector["file"]
    target.parent.mkdir(parents=True)
    shutil.copy(SUITE / vector["file"], target)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"vectors": [vector]}), encoding="utf-8")
    assert check.main([str(tmp_path)]) == 0
    assert "1 pass, 0 FAIL" in capsys.readouterr().out
    spoil(vector)
    manifest.write_text(json.dumps({"vectors": [vector]}), encoding="utf-8")
    assert check.main([str(tmp_path)]) == 1
    assert f"FAIL {vector['id']} {name}" in capsys.readouterr().out


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, "an import from outside the package"
    return names


def named(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_independence(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert imported(tree) <= set(sys.stdlib_module_names) | {"numpy"}
    dynamic = {"importlib", "__import__", "exec", "eval"}
    assert not (imported(tree) | named(tree)) & dynamic
    assert [name for name in named(tree) if ENCODES.search(name)] == []


def test_the_test_of_independence_finds_both() -> None:
    tree = ast.parse(
        "import refcodec.bits\nzlib.compress(b'')\ndef encode_bit(): ...\nx.decompress"
    )
    assert imported(tree) == {"refcodec"}
    assert {name for name in named(tree) if ENCODES.search(name)} == {"compress", "encode_bit"}
