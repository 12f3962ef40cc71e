"""Checkpoints of a training: all tensors in one .safetensors file, the rest as JSON in its metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from refcodec.errors import CallerError
from refcodec.files import atomic_file

__all__ = ["load_checkpoint", "save_checkpoint"]

_META = "refcodec"


def save_checkpoint(
    path: Path, tensors: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer, facts: Any
) -> None:
    """Write tensors, the state of an optimiser, and facts of JSON types."""
    state = optimiser.state_dict()["state"]
    found = {f"model.{name}": one for name, one in tensors.items()}
    for number, own in state.items():
        found.update({f"optimiser.{number}.{name}": value for name, value in own.items()})
    whole = {name: one.detach().cpu().contiguous().clone() for name, one in found.items()}
    with atomic_file(path) as file:
        file.write(save(whole, {_META: json.dumps(facts)}))


def load_checkpoint(
    path: Path, optimiser: torch.optim.Optimizer
) -> tuple[dict[str, torch.Tensor], Any]:
    """Read a checkpoint; returns its tensors and facts, and fills the optimiser.

    Raises CallerError if the file is no checkpoint of it.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})[_META])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name in [one for one in found if one.startswith("optimiser.")]:
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = found.pop(name)
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CallerError(
            f"{path} is no checkpoint of this training: {error}",
            hint="remove it to start again",
        ) from None
    return {name.removeprefix("model."): one for name, one in found.items()}, facts
