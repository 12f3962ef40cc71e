"""Linear probes: how much other tasks find in stored features.

A probe is a ridge regression from the features of training data, as they are decoded, to another property of
their inputs; it is measured on test features. A property of classes (an animal or a vehicle) is 1 or -1, and
counts as right if the sign is; the mean colour of an image counts by the share of its variance that is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.checked import Table
from refcodec.errors import CallerError

__all__ = ["Probe", "measure_probe", "read_probe", "targets_of"]

Features = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]

_RIDGE = 1e-3
"""Weight of the squares of the coefficients, in mean variances of a feature's elements."""


@dataclass(frozen=True)
class Probe:
    """A probe: ``[[probes]]``.

    classes : classes that have the property; () for the mean colour of the image.
    """

    name: str
    classes: tuple[str, ...] = ()

    @property
    def measures(self) -> str:
        """Name of what is measured."""
        return "accuracy" if self.classes else "variance explained"


def read_probe(table: Table) -> Probe:
    """Read a probe from a configuration. Raises CallerError for what is not known."""
    name = table.take("name", str)
    target = table.take("target", str, "classes")
    if target not in ("classes", "colour"):
        raise CallerError(f"'target' of {table.where} is {target!r}; it is 'classes' or 'colour'")
    classes = table.names("classes") if target == "classes" else ()
    table.finish()
    return Probe(name, classes)


def targets_of(
    probe: Probe, inputs: npt.NDArray[np.float32], labels: Sequence[int], classes: Sequence[str]
) -> Floats:
    """Values to find for inputs N x C x H x W with labels N: N x 1, or N x C.

    classes : names of the classes that labels index. Raises CallerError for a class that is not there.
    """
    if not probe.classes:
        if inputs.ndim != 4:
            raise CallerError(f"the probe {probe.name!r} is of images, and there are none")
        colours: Floats = inputs.mean(axis=(2, 3), dtype=np.float64)
        return colours
    unknown = [one for one in probe.classes if one not in classes]
    if unknown:
        raise CallerError(
            f"the probe {probe.name!r} names the class {unknown[0]!r}",
            hint=f"there is {', '.join(classes) or 'none by name'}",
        )
    wanted = [list(classes).index(one) for one in probe.classes]
    return np.where(np.isin(labels, wanted), 1.0, -1.0)[:, None]


def measure_probe(
    probe: Probe, training: tuple[Features, Floats], test: tuple[Features, Floats]
) -> float:
    """Accuracy, or share of variance explained, on test features.

    training, test : features N x ..., and targets N x K of `targets_of`.
    """
    features = training[0].reshape(len(training[0]), -1)
    mean, centre = features.mean(axis=0), training[1].mean(axis=0)
    features = features - mean
    moments = (features.T @ features).astype(np.float64)
    ridge = _RIDGE * max(float(np.trace(moments)) / len(moments), 1e-12)
    weights = np.linalg.solve(
        moments + ridge * np.eye(len(moments)), features.T @ (training[1] - centre)
    )
    found = (test[0].reshape(len(test[0]), -1) - mean) @ weights + centre
    if probe.classes:
        return float(np.mean((found > 0) == (test[1] > 0)))
    variance = ((test[1] - test[1].mean(axis=0)) ** 2).sum()
    return float(1 - ((found - test[1]) ** 2).sum() / variance)
