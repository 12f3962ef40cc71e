"""Comparisons of the curves of a place: BD-rates against an anchor, and bytes at equal quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from refcodec.evaluate.curves import Curve, Difference, bd_quality, bd_rate, rate_at
from refcodec.evaluate.experiment import Experiment, Measure
from refcodec.evaluate.results import Line

__all__ = ["QUALITIES", "Comparison", "Equal", "Quality", "comparisons", "equals"]


class Quality(NamedTuple):
    """An axis of quality.

    figure : its name among the figures of a row.
    label  : label of an axis.
    level  : format of one of its values.
    """

    figure: str
    label: str
    level: str

    def at(self, value: float) -> str:
        """A value with its name: ``output SNR 20 dB``."""
        return self.level.format(value)


QUALITIES: Final = {
    "snr": Quality("output_snr_db", "output SNR, dB", "output SNR {:g} dB"),
    "fidelity": Quality("fidelity", "fidelity", "fidelity {:g}"),
    "top1": Quality("top1", "top-1 accuracy", "top-1 accuracy {:g}"),
    "top5": Quality("top5", "top-5 accuracy", "top-5 accuracy {:g}"),
    "cosine": Quality("output_cosine", "cosine of embeddings", "cosine {:g}"),
    "neighbours": Quality("neighbours", "nearest neighbours kept", "nearest neighbours kept {:g}"),
    "order": Quality("order", "order of the first five, Kendall", "order {:g}"),
}
"""Qualities by their names in ``[report]``."""

_LEAST: Final = {"snr": 1.0, "fidelity": 0.01}
"""Smallest range of quality that two curves must share for a BD-rate; over less, noise dominates."""

_RESAMPLES: Final = 200
"""Number of resamples of a curve; each is as much work as the curve itself."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """A curve against the anchor of its place.

    quality       : ``snr`` or ``fidelity``.
    rate          : BD-rate in percent, and its range of qualities; None if the curves share too little.
    rate_interval : of the BD-rate, from the resamples in which the curves share enough.
    gain          : BD-quality, and its range of bits per element.
    """

    place: str
    anchor: str
    curve: str
    quality: str
    rate: Difference | None
    rate_interval: Interval | None
    gain: Difference | None
    gain_interval: Interval | None

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON types, flat, with units in the names."""
        found: dict[str, Any] = {
            name: getattr(self, name) for name in ("place", "anchor", "curve", "quality")
        }
        for name, value, interval in (
            ("bd_rate_percent", self.rate, self.rate_interval),
            ("bd_quality", self.gain, self.gain_interval),
        ):
            found[name] = value and value.value
            found[f"{name}_range"] = value and [value.low, value.high]
            found[f"{name}_interval"] = interval
        return found


def comparisons(lines: Mapping[str, Sequence[Line]], experiment: Experiment) -> list[Comparison]:
    """Every curve against the anchor of its place, by output SNR and by fidelity."""
    found = []
    for place, own in lines.items():
        anchor = next((line for line in own if line.name == experiment.report.anchor), None)
        if anchor is not None:
            for quality in _LEAST:
                figure = QUALITIES[quality].figure
                for line in own:
                    if line is not anchor and len(line.rows) > 1 and figure in line.rows[0].figures:
                        found.append(_compare(place, anchor, line, quality, experiment))
    return found


def _compare(
    place: str, anchor: Line, line: Line, quality: str, experiment: Experiment
) -> Comparison:
    figure = QUALITIES[quality].figure
    options: dict[str, Any] = {"least": _LEAST[quality]}
    if quality == "snr":
        options["within"] = experiment.report.snr_range

    def rate(a: Curve, b: Curve) -> Difference | None:
        return bd_rate(a, b, **options)

    def both(measure: Callable[[Curve, Curve], Difference | None]) -> tuple[Any, Any]:
        curves = [one.curve("bits_per_element", figure) for one in (anchor, line)]
        found = measure(*curves)
        if found is None:
            return None, None
        varied = [
            measure(*(one.resample("bits_per_element", figure, i) for one in (anchor, line)))
            for i in range(min(_RESAMPLES, experiment.measure.resamples))
        ]
        return found, _interval([one.value for one in varied if one], experiment.measure)

    return Comparison(place, anchor.name, line.name, quality, *both(rate), *both(bd_quality))


@dataclass(frozen=True)
class Equal:
    """Bytes that a curve needs for a quality, per image, of the image or of its features.

    size     : bytes per image, interpolated; None if the curve does not reach the quality.
    bound    : true if all points of the curve exceed the quality, and ``size`` is that of the smallest.
    interval : confidence interval of an interpolated size.
    constant : bytes per image that are the same for all images; 0 if the coder cannot tell them.
    head_macs, tail_macs : multiply-accumulates before and after the cut, per image.
    """

    place: str
    curve: str
    quality: str
    level: float
    size: float | None
    bound: bool
    interval: Interval | None
    constant: float
    head_macs: int
    tail_macs: int


def equals(lines: Mapping[str, Sequence[Line]], experiment: Experiment) -> list[Equal]:
    """All curves at all qualities that the report asks for."""
    found = []
    for quality, (figure, *_) in QUALITIES.items():
        for level in experiment.report.levels.get(quality, ()):
            for place, own in lines.items():
                for line in own:
                    if figure in line.rows[0].figures:
                        found.append(_equal(place, line, quality, level, experiment.measure))
    return found


def _equal(place: str, line: Line, quality: str, level: float, measure: Measure) -> Equal:
    figure = QUALITIES[quality].figure
    size = rate_at(line.curve("bytes_per_image", figure), level)
    interval, bound = None, False
    if size is None:
        better = [row for row in line.rows if row.figures[figure] > level]
        if bound := bool(better):
            size = min(row.figures["bytes_per_image"] for row in better)
    else:
        resamples = range(min(_RESAMPLES, measure.resamples))
        varied = [rate_at(line.resample("bytes_per_image", figure, i), level) for i in resamples]
        interval = _interval([one for one in varied if one is not None], measure)
    facts, result = line.rows[0].facts, line.rows[0].result
    constant = result["constant_bytes"] / facts["images"]
    work = facts["head_macs"], facts["tail_macs"]
    return Equal(place, line.name, quality, level, size, bound, interval, constant, *work)


def _interval(values: list[float], measure: Measure) -> Interval | None:
    """A percentile interval; None if most resamples have no value."""
    if len(values) <= min(_RESAMPLES, measure.resamples) / 2:
        return None
    tail = (1 - measure.confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
