"""Reading of an experiment from a TOML file, with an error for everything that is not understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from refcodec.allocate.methods import METHODS, Allocation
from refcodec.checked import Table, instead, read_toml
from refcodec.errors import CallerError
from refcodec.evaluate.experiment import (
    PLOTS,
    SHARES,
    TABLES,
    Coders,
    Experiment,
    Images,
    Measure,
    Network,
    Report,
)
from refcodec.evaluate.settings import CHOICES, settings_of

__all__ = ["read"]

_MOST_RESAMPLES: Final = 100_000
"""Most resamples of the bootstrap: their weights, one per image, are in memory at once."""


def read(path: Path, *, data: Path | None = None, changes: Iterable[str] = ()) -> Experiment:
    """Read an experiment.

    data    : the data folder; None for ``$REFCODEC_DATA``, else the folder of the file.
    changes : ``KEY=VALUE``, a dotted key and its new value in TOML; quotes of a word may be omitted:
              ``networks.vgg16.weights=vgg16.pth``.

    Raises CallerError if the file cannot be read, is not TOML, or has keys or values that are not known.
    """
    found, text, folder = read_toml(path, data=data, changes=changes)
    return _experiment(found, text, folder)


# --- tables of the file ----------------------------------------------------------------------------


def _experiment(found: dict[str, Any], text: str, folder: Path) -> Experiment:
    table = Table("the experiment", found)
    title, description = table.take("title", str), table.take("description", str, "").strip()
    images = {name: _images(name, one) for name, one in table.tables("images").items()}
    networks = tuple(_network(name, one, images) for name, one in table.tables("networks").items())
    coders = tuple(
        curve
        for number, one in enumerate(table.take("coders", list, []), 1)
        for curve in _coders(Table(f"[[coders]], number {number},", one))
    )
    if not networks or not coders:
        raise CallerError("the experiment needs a [networks.NAME] and a [[coders]] at least")
    experiment = Experiment(
        title,
        description,
        networks,
        coders,
        _measure(Table("[measure]", table.take("measure", dict, {}))),
        _report(Table("[report]", table.take("report", dict, {}))),
        text,
        folder,
    )
    table.finish()
    _check_names(experiment)
    _check_report(experiment)
    return experiment


def _images(name: str, table: Table) -> Images:
    size = table.take("size", (int, list), None)
    sides = [size, size] if isinstance(size, int) else size
    if sides is not None and (
        len(sides) != 2 or not all(type(one) is int and one > 0 for one in sides)
    ):
        raise CallerError(f"'size' of {table.where} is {size!r}; it is a side, or [height, width]")
    count = table.take("count", int, None)
    if count is not None and count < 1:
        raise CallerError(f"'count' of {table.where} is {count}; it is 1 or more")
    images = Images(
        name,
        table.take("source", str),
        count,
        None if sides is None else (sides[0], sides[1]),
    )
    table.finish()
    return images


def _network(name: str, table: Table, images: Mapping[str, Images]) -> Network:
    only = next(iter(images)) if len(images) == 1 else None
    network = Network(
        name,
        table.take("model", str, name),
        table.take("weights", str, None),
        table.names("layers"),
        table.one_of("images", images, only),
    )
    table.finish()
    if len(set(network.layers)) < len(network.layers):
        raise CallerError(f"{table.where} names a layer twice")
    return network


def _coders(table: Table) -> Iterator[Coders]:
    """The curves of one ``[[coders]]``: one, or one per allocation."""
    coder = table.take("coder", str)
    if coder not in CHOICES:
        raise CallerError(f"{table.where} has the coder {coder!r}{instead(coder, CHOICES)}")
    name = table.take("name", str, coder)
    wanted = table.take("allocation", (str, dict, list), "none")
    if wanted == []:
        raise CallerError(f"{table.where} has an empty list of allocations")
    networks, layers = (table.names(key, None) for key in ("networks", "layers"))
    choices = table.rest(CHOICES[coder])
    for one in wanted if isinstance(wanted, list) else [wanted]:
        allocation = _allocation(table.where, one)
        several = isinstance(wanted, list) and allocation.method != "none"
        curve = f"{name}, {allocation.method}" if several else name
        try:
            settings = settings_of(curve, coder, choices, allocation)
        except CallerError as error:
            raise CallerError(f"{table.where} cannot be: {error.what}", hint=error.hint) from None
        yield Coders(tuple(settings), networks, layers)


def _allocation(where: str, said: Any) -> Allocation:
    """An allocation from the name of a method, or from a table with ``method`` and parameters."""
    parameters = dict(said) if isinstance(said, dict) else {"method": said}
    method = parameters.pop("method", None)
    if not isinstance(method, str) or method not in METHODS:
        raise CallerError(f"{where} has the allocation {method!r}{instead(method, METHODS)}")
    return Allocation(method, parameters)


def _measure(table: Table) -> Measure:
    default = Measure()
    measure = Measure(
        validate=table.take("validate", bool, default.validate),
        channels=table.take("channels", bool, default.channels),
        resamples=table.take("resamples", int, default.resamples),
        confidence=float(table.take("confidence", (int, float), default.confidence)),
        seed=table.take("seed", int, default.seed),
    )
    table.finish()
    known = 1 <= measure.resamples <= _MOST_RESAMPLES and measure.seed >= 0
    if not (known and 0 < measure.confidence < 1):
        raise CallerError(
            f"{table.where} cannot be: resamples {measure.resamples}, seed {measure.seed}, confidence "
            f"{measure.confidence}",
            hint="as 1000, 0 and 0.95",
        )
    return measure


def _report(table: Table) -> Report:
    default = Report()
    low, high = _pair(table, "snr_range", default.snr_range)
    report = Report(
        anchor=table.take("anchor", str, None),
        snr_range=(low, high),
        levels={name: table.numbers(name, ()) for name in ("snr", *SHARES)},
        tables=table.names("tables", list(default.tables)),
        plots=table.names("plots", []),
    )
    table.finish()
    for key, names, known in (
        ("tables", report.tables, TABLES),
        ("plots", report.plots, PLOTS),
    ):
        for name in names:
            if name not in known:
                raise CallerError(f"[report] has {name!r} among its {key}{instead(name, known)}")
    for key in SHARES:
        for share in report.levels[key]:
            if not 0 <= share <= 1:
                raise CallerError(f"[report] has {share:g} among its {key}; it lies in 0..1")
    return report


def _pair(table: Table, key: str, default: tuple[float, float]) -> tuple[float, float]:
    found = table.numbers(key, default)
    if len(found) != 2 or not found[0] < found[1]:
        raise CallerError(f"{key!r} of {table.where} is {list(found)}; it is two rising numbers")
    return found[0], found[1]


def _check_report(experiment: Experiment) -> None:
    """Raise CallerError if the report asks for something that the experiment does not measure."""
    report = experiment.report
    settings = [one for coders in experiment.coders for one in coders.settings]
    curves = [one.curve for one in settings]
    if report.anchor is not None and report.anchor not in curves:
        raise CallerError(
            f"[report] has the anchor {report.anchor!r}{instead(report.anchor, curves)}"
        )
    asked = {*report.tables, *report.plots}
    levels = any(report.levels.values())
    lossless = any(one.lossless for one in settings)
    for name, there, need in (
        ("bd-rate", report.anchor, "an anchor: name a curve"),
        ("equal-quality", levels, f"a list of qualities: snr, {', '.join(SHARES)}"),
        ("channels", experiment.measure.channels, "channels = true under [measure]"),
        ("lossless", lossless, "a lossless coder"),
        ("nonzero", lossless, "a lossless coder"),
    ):
        if name in asked and not there:
            raise CallerError(f"[report] asks for {name}, and that needs {need}")


def _check_names(experiment: Experiment) -> None:
    """Raise CallerError if a coder is for a network or a layer that the experiment does not have."""
    networks = [one.name for one in experiment.networks]
    layers = [layer for one in experiment.networks for layer in one.layers]
    for coders in experiment.coders:
        for wanted, there in ((coders.networks, networks), (coders.layers, layers)):
            for name in wanted or ():
                if name not in there:
                    curve = coders.settings[0].curve
                    raise CallerError(f"the coder {curve!r} is for {name!r}{instead(name, there)}")
