"""Analyses: float networks from a feature to its latents, and to hyper-latents. Not normative.

They run on numpy alone, and are kept as ``.safetensors`` files beside the ``.dfcm`` file of their model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from refcodec.errors import CallerError
from refcodec.files import atomic_file, storage_error

__all__ = ["AnalysisLayer", "FloatAnalysis"]

Floats = npt.NDArray[np.float32]

_SLOPES = {"linear": 1.0, "relu": 0.0, "leaky_relu": 0.01}
_FORMAT = "refcodec analysis 1"


@dataclass(frozen=True, eq=False)
class AnalysisLayer:
    """A convolution, as ``torch.nn.Conv2d`` has it; what the stride leaves of a row or column counts as one.

    weight     : D x C x k x k.
    bias       : D.
    stride     : 1 or more.
    padding    : rows and columns of zeros before the first.
    activation : ``linear``, ``relu`` or ``leaky_relu``.
    """

    weight: Floats
    bias: Floats
    stride: int = 1
    padding: int = 0
    activation: str = "linear"

    def __post_init__(self) -> None:
        sound = self.weight.ndim == 4 and self.weight.shape[2] == self.weight.shape[3]
        if not sound or self.bias.shape != self.weight.shape[:1]:
            raise CallerError(
                f"a layer of weights {self.weight.shape} and biases {self.bias.shape}; they are "
                "D x C x k x k and D"
            )
        if self.stride < 1 or self.padding < 0 or self.activation not in _SLOPES:
            raise CallerError(
                f"a layer of stride {self.stride}, padding {self.padding} and activation "
                f"{self.activation!r}",
                hint=f"activations are {', '.join(_SLOPES)}",
            )

    def apply(self, values: Floats) -> Floats:
        """The outputs, D x ceil(H / stride) x ceil(W / stride), for values C x H x W. Raises CallerError."""
        _, inputs, size, _ = self.weight.shape
        if values.shape[0] != inputs:
            raise CallerError(f"a layer of {inputs} channels is given {values.shape[0]}")
        height, width = (-(-side // self.stride) for side in values.shape[1:])
        reach = self.stride * (max(height, width) - 1) + size
        padded = np.pad(values, ((0, 0), *[(self.padding, reach)] * 2))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        seen = windows[:, : self.stride * height : self.stride, : self.stride * width : self.stride]
        columns = seen.transpose(0, 3, 4, 1, 2).reshape(-1, height * width)  # C k k x positions
        found = self.weight.reshape(len(self.bias), -1) @ columns + self.bias[:, None]
        if self.activation != "linear":
            found = np.where(found > 0, found, np.float32(_SLOPES[self.activation]) * found)
        return found.reshape(-1, height, width)


@dataclass(frozen=True, eq=False)
class FloatAnalysis:
    """The transforms of an encoder beside a hyperprior.

    analysis : layers from a feature to its latents.
    hyper    : layers from latents to hyper-latents, before rounding.
    step     : step of the lattice of the features, which the synthesis was converted for.
    absolute : true if ``hyper`` takes the magnitudes of latents, as bmshj2018 does.
    limit    : hyper-latents lie in -limit.. limit - 1.
    """

    analysis: Sequence[AnalysisLayer]
    hyper: Sequence[AnalysisLayer]
    step: float = 1.0
    absolute: bool = False
    limit: int = 128

    def __call__(self, feature: npt.NDArray[Any]) -> tuple[Floats, npt.NDArray[np.int32]]:
        """The latents before rounding, and the hyper-latents, C x H x W each, of a feature C x H x W."""
        latents = _apply(self.analysis, feature.astype(np.float32))
        hyper = np.rint(_apply(self.hyper, np.abs(latents) if self.absolute else latents))
        return latents, np.clip(hyper, -self.limit, self.limit - 1).astype(np.int32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a ``.safetensors`` file. Raises EnvironmentFault."""
        tensors: dict[str, Floats] = {}
        shapes: dict[str, list[dict[str, Any]]] = {}
        for name, layers in (("analysis", self.analysis), ("hyper", self.hyper)):
            shapes[name] = []
            for number, layer in enumerate(layers):
                facts = asdict(layer)
                for part in ("weight", "bias"):
                    tensors[f"{name}.{number}.{part}"] = np.ascontiguousarray(facts.pop(part))
                shapes[name].append(facts)
        texts = {"format": _FORMAT, "layers": json.dumps(shapes)}
        facts = {"step": self.step, "absolute": self.absolute, "limit": self.limit}
        data = safetensors.numpy.save(tensors, {**texts, "facts": json.dumps(facts)})
        with atomic_file(path) as file:
            file.write(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a ``.safetensors`` file that `save` has written. Raises CallerError, EnvironmentFault."""
        try:
            with safetensors.safe_open(os.fspath(path), "numpy") as file:
                texts = file.metadata() or {}
                if texts.get("format") != _FORMAT:
                    raise CallerError(f"{Path(path)} holds no analysis")
                shapes, facts = json.loads(texts["layers"]), json.loads(texts["facts"])
                found: dict[str, Any] = {
                    name: [
                        AnalysisLayer(
                            file.get_tensor(f"{name}.{number}.weight"),
                            file.get_tensor(f"{name}.{number}.bias"),
                            **layer,
                        )
                        for number, layer in enumerate(layers)
                    ]
                    for name, layers in shapes.items()
                }
        except OSError as error:
            raise storage_error(error, path) from None
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CallerError(f"{Path(path)} holds no analysis: {error}") from None
        return cls(**found, **facts)


def _apply(layers: Sequence[AnalysisLayer], values: Floats) -> Floats:
    for layer in layers:
        values = layer.apply(values)
    return values
