"""Tables of an evaluation: for the terminal, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from refcodec.evaluate.results import Line, Row, lossless_lines
from refcodec.evaluate.summary import QUALITIES, Comparison, Equal, Interval

__all__ = ["Table", "bd_rate_table", "equal_quality_tables", "lossless_tables", "points_tables"]


@dataclass(frozen=True)
class Table:
    """A table of texts; the columns that follow the first ``texts`` ones are numbers."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1

    def markdown(self) -> str:
        """The table in Markdown, with its title."""
        rules = ["---"] * self.texts + ["--:"] * (len(self.heading) - self.texts)
        lines = [self.heading, rules, *self.rows]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in lines]
        return f"## {self.title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in cells)


def points_tables(lines: Mapping[str, Sequence[Line]]) -> Iterator[Table]:
    """Tables of all points, one per place."""
    for place, own in lines.items():
        rows = [row for line in own for row in line.rows]
        wanted = [one for one in _POINT if one[1] in rows[0].figures]
        heading = ["coder", "", *(head for head, *_ in wanted), "encode, s", "decode, s", "ok"]
        yield Table(
            f"{place}: {_subject(rows[0])}", heading, [_point(row, wanted) for row in rows], 2
        )


_POINT = (
    ("bits per element", "bits_per_element", ".3f"),
    ("size", "compression_rate", ".2%"),
    ("fidelity", "fidelity", ".3f"),
    ("output SNR, dB", "output_snr_db", ".1f"),
    ("top-1", "top1", ".3f"),
    ("top-5", "top5", ".3f"),
    ("cosine", "output_cosine", ".4f"),
    ("neighbours kept", "neighbours", ".3f"),
    ("order", "order", ".3f"),
    ("mean IoU", "mean_iou", ".3f"),
)


def _point(row: Row, wanted: Iterable[tuple[str, str, str]]) -> list[str]:
    setting, result = row.job.setting, row.result
    cells = [setting.curve, setting.label]
    for _, key, how in wanted:
        interval = None if key == "compression_rate" else row.intervals[key]
        cells.append(_with_interval(row.figures[key], interval, how))
    cells += [f"{result[f'{way}_seconds']:.2f}" for way in ("encode", "decode")]
    return [*cells, "yes" if row.passed else "NO"]


def _subject(row: Row) -> str:
    shape = " x ".join(map(str, row.facts["shape"]))
    if row.facts.get("task") == "embedding":
        tokens = round(row.facts["images"] * row.facts["elements"] / math.prod(row.facts["shape"]))
        return f"{row.facts['images']} texts, {tokens} tokens of {shape}"
    return f"{row.facts['images']} features of {shape}"


def lossless_tables(lines: Mapping[str, Sequence[Line]]) -> Iterator[Table]:
    """Tables as II to V of Chen et al. (2020): types of features, their properties, results of each coder.

    One table per network; ratio is coded size over float32 size, time is seconds of encoding per feature.
    """
    kept = lossless_lines(lines)
    for network, places in groupby(kept.items(), key=lambda item: item[0].partition("/")[0]):
        own = list(places)
        names = list(dict.fromkeys(line.name for _, many in own for line in many))
        heading = ["feature", "shape", "KiB", "non-zero"]
        heading += [f"{name}, {what}" for name in names for what in ("ratio", "s")]
        yield Table(network, heading, [_lossless(many, names) for _, many in own])


def _lossless(lines: Sequence[Line], names: Sequence[str]) -> list[str]:
    first = lines[0].rows[0]
    shape = " x ".join(map(str, first.facts["shape"]))
    kibibytes = f"{first.facts['elements'] * 4 / 1024:.4g}"
    cells = [first.job.place.layer, shape, kibibytes, f"{first.facts['nonzero_rate']:.1%}"]
    by_name = {line.name: line.rows[0] for line in lines}
    for name in names:
        row = by_name.get(name)
        if row is None:
            cells += ["", ""]
        else:
            seconds = row.result["encode_seconds"] / row.facts["images"]
            cells += [f"{row.figures['compression_rate']:.3f}", f"{seconds:.2g}"]
    return cells


def bd_rate_table(found: Sequence[Comparison]) -> Table:
    """Table of BD-rates against the anchor, with the ranges that they are taken over."""
    rows, none = [], "too little in common"
    for one in found:
        rate, gain = one.rate, one.gain
        digits = ".1f" if one.quality == "snr" else ".3f"
        rows.append(
            [
                one.place,
                one.curve,
                QUALITIES[one.quality].label,
                _with_interval(rate and rate.value, one.rate_interval, "+.1f", none),
                "" if rate is None else f"{rate.low:{digits}} to {rate.high:{digits}}",
                _with_interval(gain and gain.value, one.gain_interval, f"+{digits}", none),
            ]
        )
    anchor = found[0].anchor if found else ""
    heading = ["place", "coder", "at equal", "BD-rate, %", "taken over", "BD-quality"]
    return Table(f"Against {anchor}", heading, rows, 3)


def equal_quality_tables(found: Sequence[Equal]) -> Iterator[Table]:
    """Tables of bytes at equal quality, one per quality, with the work before and after the cut.

    Constant bytes are those that do not depend on the image, such as the tables of a JPEG.
    """
    for (quality, level), own in groupby(found, key=lambda one: (one.quality, one.level)):
        rows = [
            [
                one.place,
                one.curve,
                ("<= " if one.bound else "") + _with_interval(one.size, one.interval, ".0f"),
                f"{one.constant:.0f}",
                f"{one.head_macs / 1e6:.2f}",
                f"{one.tail_macs / 1e6:.2f}",
            ]
            for one in own
        ]
        heading = ["place", "coder", "bytes per image", "constant", "MMAC before", "MMAC after"]
        yield Table(f"At {QUALITIES[quality].at(level)}", heading, rows, 2)


def _with_interval(
    value: float | None, interval: Interval | None, how: str, none: str = "not reached"
) -> str:
    """A figure with its interval, if it has one and is not exact; ``none`` for no figure."""
    if value is None:
        return none
    text = format(value, how)
    if interval is None or not all(map(math.isfinite, interval)):
        return text
    low, high = (format(end, how) for end in interval)
    return text if low == high == text else f"{text} ({low} to {high})"
