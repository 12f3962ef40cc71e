"""Streams of video coders: what ffmpeg can do, maps to code, vectors, and requirements that they break."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import refcodec
from refcodec.coders.ffmpeg import find_ffmpeg
from refcodec.errors import DFCError
from refcodec.metrics import signal_to_noise

__all__ = ["ROUND_TRIPS", "broken", "listed", "maps", "round_trip", "vector"]

_SUITE = Path(__file__).parents[2] / "bitstreams"


ROUND_TRIPS: list[tuple[dict[str, Any], float]] = [
    ({"qp": 22}, 25),
    ({"qp": 22, "bits": 8}, 25),
    ({"qp": 4, "bits": 3, "restoration": "channel"}, 12),
    ({"qp": (20, 26, 20, 32), "packing": "frame"}, 20),
    ({"qp": 22, "order": (3, 1, 0, 2)}, 25),
    ({"qp": 22, "quantiser": "log"}, 20),
    ({"qp": 22, "preset": "faster"}, 25),
]
"""Options of a video coder, and the SNR in dB above which features come back."""


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


def round_trip(coder: str, options: dict[str, Any], workers: int = 1) -> tuple[bytes, float]:
    """The stream of a feature of four channels, and the SNR of what comes back, in dB."""
    feature = maps(4, 9, 7)
    stream = refcodec.encode(feature, coder=coder, workers=workers, **options)
    return stream, signal_to_noise(refcodec.decode(stream), feature)
