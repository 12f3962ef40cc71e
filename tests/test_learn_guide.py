"""The guides to compressible features and to image codecs: their code runs as it is printed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import refcodec
from refcodec.images.plan import read_images_plan
from refcodec.learn.reading import read

GUIDES = Path(__file__).parents[1] / "docs" / "guides"


def blocks(language: str, guide: str = "learn-features") -> list[str]:
    """The blocks of code in a language."""
    text = (GUIDES / f"{guide}.rst").read_text(encoding="utf-8")
    pattern = rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)"
    return [textwrap.dedent(one) for one in re.findall(pattern, text)]


def test_twenty_lines_make_a_model_compressible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    first, second = blocks("python")
    assert len([line for line in first.splitlines() if line.strip()]) == 20
    known: dict[str, Any] = {}
    exec(first, known)
    exec(second, known)
    assert known["outputs"].shape == (256, 10)
    assert refcodec.EntropyModel.load("model.dfcm") == known["frozen"].model
    assert refcodec.validate("features.dfc").conforming
    assert Path("features.dfc").stat().st_size < known["latents"].size


def test_the_plan_is_understood(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    plan = read(tmp_path / "plan.toml", data=tmp_path)
    assert [run.name for run in plan.runs()][:2] == ["lambda-0-seed-0", "lambda-0.005-seed-0"]
    assert len(plan.runs()) == 9


def test_images_are_classified_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    for block in blocks("python", "images"):
        exec(block, known)
    assert known["y"].values.shape == (24, 8, 12)
    assert refcodec.validate("pictures.dfc").conforming


def test_the_plan_for_images_is_understood(tmp_path: Path) -> None:
    (text,) = blocks("toml", "images")
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    plan = read_images_plan(tmp_path / "plan.toml", data=tmp_path)
    assert plan.codec.lambdas == (0.002, 0.01)
