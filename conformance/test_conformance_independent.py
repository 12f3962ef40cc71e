"""The independent decoder against every vector, and its independence."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest
from independent import check, hevc, modelfiles
from independent.__main__ import main
from independent.codes import LEVELS, UnitType
from independent.container import HEADER_SIZE, read_units

SUITE = Path(__file__).resolve().parents[1] / "bitstreams"
VECTORS = {vector["name"]: vector for vector in check.vectors_of(SUITE)}
MODULES = sorted((Path(__file__).parent / "independent").glob("*.py"))
ENCODES = re.compile(r"encod|(?<!de)compress|writer|put_", re.IGNORECASE)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("ffmpeg"):
        monkeypatch.setenv(hevc.FFMPEG, imageio_ffmpeg.get_ffmpeg_exe())


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    (outcome,) = check.check(SUITE, [vector])
    if "network_model" in vector["tags"] or name == "hyperprior-elsewhere":
        assert outcome.verdict == check.MISSING, outcome.found  # a tool that this decoder lacks
    else:
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


Units = list[tuple[int, bytes]]
MODELS, END = (UnitType.ENTROPY_MODEL, UnitType.CHANNEL_TRANSFORM), UnitType.END


def stream_of(header: bytes, units: Units) -> bytes:
    """A stream of units that are not skippable."""
    stream = header
    for number, payload in units:
        low, high = len(payload) & 0x7F | 0x80, len(payload) >> 7
        unit = bytes([number, low, high] if high else [number, low & 0x7F]) + payload
        stream += unit + zlib.crc32(unit).to_bytes(4, "big")
    return stream


@pytest.fixture
def model_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Units], Path]:
    """Make a stream from a vector whose model goes into a file of its own, with further units.

    The file has the header of a vector of the profile that files of such models have (8.10.6).
    """
    monkeypatch.setenv(modelfiles.MODELS, str(tmp_path))

    def make(name: str, further: Units) -> Path:
        stream = (SUITE / VECTORS[name]["file"]).read_bytes()
        header, read = stream[:HEADER_SIZE], read_units(stream, LEVELS[1])
        (model, *rest) = [(unit.type or 0, unit.payload) for unit in read]
        assert model[0] in MODELS
        alike = "transform-groups" if model[0] == UnitType.CHANNEL_TRANSFORM else name
        own_header = (SUITE / VECTORS[alike]["file"]).read_bytes()[:HEADER_SIZE]
        file = stream_of(own_header, [model, *further, (END, b"")])
        sha256 = hashlib.sha256(file).digest()
        (tmp_path / f"{sha256.hex()}.dfcm").write_bytes(file)
        target = tmp_path / "stream.dfc"
        target.write_bytes(stream_of(header, [(model[0], b"\xc0" + sha256), *rest]))
        return target

    return make


@pytest.mark.parametrize("name", ["latents-alone", "transform-static"])
def test_a_model_apart(
    name: str, model_apart: Callable[[str, Units], Path], tmp_path: Path
) -> None:
    stream, output = model_apart(name, []), tmp_path / "output"
    original = SUITE / VECTORS[name]["file"]
    assert main([str(original), str(tmp_path / "expected")]) == 0
    assert main([str(stream), str(output)]) == 0
    assert output.read_bytes() == (tmp_path / "expected").read_bytes()


def test_without_its_model_nothing_is_claimed(
    model_apart: Callable[[str, Units], Path], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with_more = model_apart("latents-alone", [(UnitType.METADATA, b"\0")])
    assert main([str(with_more), str(output)]) == 77
    (file,) = tmp_path.glob("*.dfcm")
    file.unlink()
    stream = model_apart("latents-alone", [])
    (file,) = tmp_path.glob("*.dfcm")
    file.write_bytes(file.read_bytes() + b"\0")
    assert main([str(stream), str(output)]) == 77
    file.unlink()
    assert main([str(stream), str(output)]) == 77
    assert not output.exists()


def test_a_model_apart_has_the_contexts_of_its_features(
    model_apart: Callable[[str, Units], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = model_apart("model-contexts", [])
    assert main([str(stream), str(tmp_path / "output")]) == 1
    assert capsys.readouterr().out == "REJECT constraint\n"


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
