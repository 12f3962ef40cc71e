"""An experiment: networks, layers, images and coders, as a TOML file says them.

The guide *Evaluate* describes the file. Paths in it are relative to the data folder, so that an experiment
runs wherever that folder stands.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refcodec.errors import CallerError
from refcodec.evaluate.settings import Setting

__all__ = ["PLOTS", "TABLES", "Coders", "Experiment", "Images", "Measure", "Network", "Report"]

TABLES: Final = ("points", "bd-rate", "lossless", "equal-quality")
PLOTS: Final = ("snr", "fidelity", "channels", "nonzero", "equal-quality")


@dataclass(frozen=True)
class Images:
    """A set of images: ``[images.NAME]``.

    source : a folder, an ``.npz`` of JPEGs, or ``scenes:COUNT``; see `refcodec.models.images.open_images`.
    count  : number of images to take, evenly from classes; None for all.
    size   : height and width, pixels; None for what the network takes.
    """

    name: str
    source: str
    count: int | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Network:
    """A network and where it is cut: ``[networks.NAME]``.

    model   : a name that `refcodec.models.load` knows, or ``package.module:factory``.
    weights : path of its weights; None for those that the model comes with.
    layers  : where to cut; ``image`` is the input itself.
    """

    name: str
    model: str
    weights: str | None
    layers: tuple[str, ...]
    images: Images


@dataclass(frozen=True)
class Coders:
    """Points of one curve, and where they are measured: ``[[coders]]``.

    networks, layers : names; None for all.
    """

    settings: tuple[Setting, ...]
    networks: tuple[str, ...] | None
    layers: tuple[str, ...] | None


@dataclass(frozen=True)
class Measure:
    """What is measured, and how sure one may be of it: ``[measure]``.

    validate   : check every stream by the validator.
    channels   : also measure the bits of single channels of maps: slow where there are many.
    resamples  : of the bootstrap over images.
    confidence : of its intervals.
    seed       : of its draws.
    """

    validate: bool = True
    channels: bool = False
    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """What is made of the results: ``[report]``.

    anchor    : name of the curve that BD-rates are taken against; None for none.
    snr_range : output SNRs, dB, that BD-rates stay between.
    snr, fidelity, top1 : qualities at which sizes are compared.
    tables, plots       : of `TABLES` and `PLOTS`.
    """

    anchor: str | None = None
    snr_range: tuple[float, float] = (8.0, 30.0)
    snr: tuple[float, ...] = ()
    fidelity: tuple[float, ...] = ()
    top1: tuple[float, ...] = ()
    tables: tuple[str, ...] = ("points",)
    plots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """What a file says.

    text : the file itself, with what was changed on the command line behind it.
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
        """Resolve a path of the file: ``~`` and ``$NAME`` are known; the data folder is its base.

        Raises CallerError where ``~`` stands for no folder.
        """
        try:
            return self.data / Path(os.path.expandvars(name)).expanduser()
        except RuntimeError:
            raise CallerError(
                f"{name}: this user has no home folder", hint="write the path without ~"
            ) from None
