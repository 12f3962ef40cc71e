"""Progress of long work where standard error is no terminal."""

from __future__ import annotations

import re
import time

import pytest

from refcodec.cli import progress


def test_lines_say_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also while nothing is finished; and none follows the end."""
    monkeypatch.setattr(progress, "_PAUSE", 0.02)
    told = ""
    with progress.progress("encoding", 1200) as show:
        for done in (0, 1100):
            show(done)
            expected = rf"^encoding: {done:,}/1,200 features, 0:0\d so far$"
            while not re.search(expected, told, re.MULTILINE):
                time.sleep(0.01)
                told += capsys.readouterr().err
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress("decoding", None, unit="trials") as show:
        show(3)
    assert capsys.readouterr().err == ""
