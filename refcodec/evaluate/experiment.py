"""An experiment: networks, layers, images and coders, as described by a TOML file.

The guide *Evaluate* describes the file. Paths in it are relative to the data folder, which may be anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from refcodec.checked import data_path
from refcodec.evaluate.settings import Setting

__all__ = [
    "PLOTS",
    "SHARES",
    "TABLES",
    "Coders",
    "Experiment",
    "Images",
    "Measure",
    "Network",
    "Report",
]

TABLES: Final = ("points", "bd-rate", "lossless", "equal-quality")
SHARES: Final = ("fidelity", "top1", "top5", "cosine", "neighbours", "order")
"""Qualities of at most 1, beside ``snr``; see `refcodec.evaluate.summary.QUALITIES`."""

PLOTS: Final = ("snr", *SHARES, "channels", "nonzero", "equal-quality")


@dataclass(frozen=True)
class Images:
    """A set of images: ``[images.NAME]``.

    source : a folder, an ``.npz`` of JPEGs, or ``scenes:COUNT``, see `refcodec.models.images.open_images`;
             for networks of texts ``docstrings:COUNT``, see `refcodec.models.texts.sentences`.
    count  : number of images to take, equally many of each class; None for all.
    size   : height and width in pixels; None for the size of the network's input.
    """

    name: str
    source: str
    count: int | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Network:
    """A network and its cuts: ``[networks.NAME]``.

    model   : a name for `refcodec.models.load`, or ``package.module:factory``.
    weights : path of its weights; None for those of the model itself.
    layers  : layers to cut at; ``image`` is the input itself.
    """

    name: str
    model: str
    weights: str | None
    layers: tuple[str, ...]
    images: Images


@dataclass(frozen=True)
class Coders:
    """Points of one curve, and the places to measure them at: ``[[coders]]``.

    networks, layers : names; None for all.
    """

    settings: tuple[Setting, ...]
    networks: tuple[str, ...] | None
    layers: tuple[str, ...] | None


@dataclass(frozen=True)
class Measure:
    """Parameters of the measurements and of their confidence intervals: ``[measure]``.

    validate   : check every stream by the validator.
    channels   : also measure the bits of single channels of maps, which is slow if there are many.
    resamples  : number of bootstrap resamples over images.
    confidence : confidence level of the intervals.
    seed       : seed of the resamples.
    """

    validate: bool = True
    channels: bool = False
    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """Contents of the report: ``[report]``.

    anchor    : name of the curve that BD-rates are taken against; None for no BD-rates.
    snr_range : range of output SNRs, in dB, for BD-rates.
    levels : values of qualities, by the names of these, at which sizes are compared.
    tables, plots : of `TABLES` and `PLOTS`.
    """

    anchor: str | None = None
    snr_range: tuple[float, float] = (8.0, 30.0)
    levels: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tables: tuple[str, ...] = ("points",)
    plots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """Contents of the file of an experiment.

    text : the file itself, followed by the changes made on the command line.
    data : the data folder.
    """

    title: str
    description: str
    networks: tuple[Network, ...]
    coders: tuple[Coders, ...]
    measure: Measure
    report: Report
    text: str
    data: Path

    def path(self, name: str) -> Path:
        """Resolve a path of the file: ``~`` and ``$NAME`` are expanded; it is relative to the data folder.

        Raises CallerError where ``~`` stands for no folder.
        """
        return data_path(self.data, name)
