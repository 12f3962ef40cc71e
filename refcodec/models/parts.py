"""Common parts of both ways to cut a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from refcodec.errors import CallerError

__all__ = ["WEIGHTED", "Crossing", "close", "main_output"]

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers that multiply by weights: fully connected ones, and convolutions of any rank."""


class Crossing(Exception):
    """Something other than the feature passes from the head to the tail; the text names it."""


def main_output(output: Any) -> torch.Tensor:
    """The main output of a network: a single tensor, or of several by name the one called ``out``."""
    found = output.get("out") if isinstance(output, Mapping) else output
    if isinstance(found, torch.Tensor):
        return found
    kind = f"{', '.join(map(str, output))} by name" if isinstance(output, Mapping) else type(output)
    raise CallerError(
        f"the network gives {kind}; one tensor is wanted, or one by the name of 'out'",
        hint="wrap it in a module that returns one tensor",
    )


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """True if two outputs are equal up to rounding."""
    if ours.shape != theirs.shape:
        return False
    small = 1e-5 * float(theirs.abs().max())
    return bool(torch.allclose(ours, theirs, rtol=1e-4, atol=small, equal_nan=True))
