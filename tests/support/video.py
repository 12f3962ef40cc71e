"""Streams of video coders: what ffmpeg can do, maps to code, vectors, and requirements that they break."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import refcodec
from refcodec.coders.ffmpeg import find_ffmpeg
from refcodec.errors import DFCError

__all__ = ["broken", "listed", "maps", "vector"]

_SUITE = Path(__file__).parents[2] / "bitstreams"


def listed(option: str) -> str:
    """The encoders or decoders of the ffmpeg in use; '' where there is none."""
    try:
        done = subprocess.run(
            [find_ffmpeg(), "-hide_banner", option], capture_output=True, text=True, check=False
        )
    except DFCError:
        return ""
    return done.stdout


def maps(*shape: int, seed: int = 1) -> Any:
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    noise = np.random.default_rng(seed).normal(0, 0.1, shape)
    return (np.sin(x / 3) + np.cos(y / 4) + noise).astype(np.float32)


def vector(name: str) -> bytes:
    (path,) = _SUITE.glob(f"*/{name}/stream.dfc")
    return path.read_bytes()


def broken(stream: bytes) -> set[str | None]:
    """The requirements that a stream breaks."""
    return {one.requirement for one in refcodec.validate(stream).violations}
