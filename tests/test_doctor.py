"""``refcodec doctor``: a sound installation, and ones in which something is broken, slow or missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from variation import PATIENCE

import refcodec
from refcodec import doctor
from refcodec.doctor import Finding, examine, works
from refcodec.registry import CODERS

STATES = ("fine", "slow", "absent", "broken")


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


def test_a_sound_installation() -> None:
    shown = json.loads(run("doctor", "--json").stdout)
    assert shown["works"] is True
    findings = [Finding(**one) for one in shown["findings"]]
    assert {one.state for one in findings} <= set(STATES) - {"broken"}
    assert [one.name for one in findings if one.topic == "coders"] == list(CODERS)
    found = by_name(findings)
    assert found["refcodec"].text.startswith(refcodec.__version__)
    assert "libx265" in found["encoders"].text
    assert "bfloat16" in found["source types"].text
    assert found["processors"].text.startswith(str(os.cpu_count()))


def test_for_people() -> None:
    lines = run("doctor").stdout.splitlines()
    topics = [line for line in lines if line and not line.startswith(" ")]
    assert topics[:6] == ["versions", "machine", "ffmpeg", "kernels", "coders", "data types"]
    assert topics[-1] == "everything that is needed works"


def test_no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFCODEC_FFMPEG", "no-such-program")
    shown = run("doctor", status=1).stdout
    assert "broken: there is no program 'no-such-program'" in shown
    assert shown.endswith("does not work: program, hevc\n")
    advice = shown[shown.index("what to do") :]
    assert "correct the ffmpeg option or the variable REFCODEC_FFMPEG" in advice


@pytest.mark.skipif(os.name != "posix", reason="programs here are scripts of a shell")
def test_an_ffmpeg_without_hevc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho ffmpeg version 0.5\n", encoding="utf-8")
    script.chmod(0o700)
    monkeypatch.setenv("REFCODEC_FFMPEG", str(script))
    found = by_name(list(examine()))
    broken = [name for name, one in found.items() if one.state == "broken"]
    assert broken == ["encoders", "decoders", "hevc"]
    assert found["program"].text == f"0.5, {script}"
    assert found["encoders"].text == "none; libx265 is missing"
    assert "point REFCODEC_FFMPEG to" in found["encoders"].hint


def test_a_program_that_is_no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFCODEC_FFMPEG", sys.executable)
    found = by_name(list(examine()))
    assert found["program"].text == f"{sys.executable} is no ffmpeg"
    assert not works(list(found.values()))


def test_packages_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in ("construct", "torch"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)
    found = list(examine())
    missing = [one for one in found if one.name == "construct"]
    assert missing == [
        Finding("versions", "construct", "broken", "missing", "pip install construct")
    ]
    extras = {one.name: one for one in found if one.topic == "extras"}
    assert extras["torch"] == Finding(
        "extras", "torch", "absent", "without torch", "pip install 'refcodec[torch]'"
    )
    assert extras["demo"].state == "fine"


def test_nothing_works_without_a_package_that_everything_needs() -> None:
    code = "import sys; sys.modules['ml_dtypes'] = None; from refcodec.cli import main; main()"
    call = [sys.executable, "-c", code, "doctor"]
    done = subprocess.run(call, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 2
    assert "refcodec does not run at all: " in done.stderr
    assert "ml_dtypes" in done.stderr


def test_a_coder_that_gives_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(data: bytes) -> Any:
        found = refcodec.decode(data)
        found[..., 0] = np.negative(found[..., 0]) - 1
        return found

    monkeypatch.setattr(doctor, "decode", wrong)
    found = by_name(list(examine()))
    assert {name for name in CODERS if found[name].state == "broken"} == set(CODERS)
    assert found["zlib"].text.startswith("a feature came back as another one, at ")
    assert found["source types"].state == "broken"


def test_a_library_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: Any, **options: Any) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(doctor, "encode", failing)
    found = by_name(list(examine()))
    assert found["raw"] == Finding("coders", "raw", "broken", "OSError: no space left")


def test_fewer_processors_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (9.0, 0, 0), raising=False)
    found = by_name(list(examine()))
    assert found["processors"].text == "4, of which this process may use 1"
    assert found["processors"].hint.startswith("workers=1, or --workers 1")
    assert found["load"].state == "slow"
    assert works(list(found.values()))


def test_places_of_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.dfcm").write_bytes(b"")
    monkeypatch.setenv("REFCODEC_MODELS", os.pathsep.join([str(tmp_path), str(tmp_path / "b")]))
    found = by_name(list(examine()))
    assert found[str(tmp_path)].text == "1 .dfcm"
    assert found[str(tmp_path / "b")].state == "absent"
    assert found[str(tmp_path / "b")].hint == "correct the variable REFCODEC_MODELS"
    assert found["REFCODEC_MODELS"].topic == "machine"


def elsewhere(**variables: str) -> dict[str, Finding]:
    """The findings of a process with these variables."""
    call = [sys.executable, "-m", "refcodec", "doctor", "--json"]
    done = subprocess.run(
        call, capture_output=True, env={**os.environ, **variables}, timeout=PATIENCE, check=True
    )
    return by_name([Finding(**one) for one in json.loads(done.stdout)["findings"]])


@pytest.mark.slow
def test_kernels_that_are_interpreted() -> None:
    found = elsewhere(NUMBA_DISABLE_JIT="1")
    assert found["compiler"].state == "slow"
    assert found["compiler"].hint == "unset NUMBA_DISABLE_JIT"
