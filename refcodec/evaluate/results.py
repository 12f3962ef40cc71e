"""Results: one row per job, with measures and their confidence intervals; as CSV and as JSON."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import refcodec
from refcodec.evaluate.curves import Curve
from refcodec.evaluate.experiment import Experiment
from refcodec.evaluate.features import load_features
from refcodec.evaluate.job import load_result, load_statistics
from refcodec.evaluate.machine import describe_machine
from refcodec.evaluate.plan import Job, code_digest
from refcodec.evaluate.run import Folders
from refcodec.evaluate.statistics import intervals, measures, resampled, resamples
from refcodec.files import atomic_file, json_value

__all__ = [
    "Line",
    "Row",
    "as_json",
    "environment",
    "lines_of",
    "load_row",
    "lossless_lines",
    "write_csv",
    "write_json",
]

Floats = npt.NDArray[np.float64]

_PACKAGES: Final = (
    "numpy",
    "numba",
    "torch",
    "torchvision",
    "pillow",
    "imageio-ffmpeg",
    "bjontegaard",
)


@dataclass(frozen=True)
class Row:
    """A job, its figures, and their bootstrap over images.

    facts     : of its place; see `refcodec.evaluate.features.extract`.
    result    : result of `refcodec.evaluate.job.measure`.
    figures   : measures by name, with units in the names.
    intervals : confidence intervals, low and high, of figures that are means over images.
    resampled : their values in every resample; resample i has the same images in all rows of a place.
    """

    job: Job
    facts: dict[str, Any]
    result: dict[str, Any]
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(repr=False)
    resampled: dict[str, Floats] = field(repr=False)

    @property
    def passed(self) -> bool:
        """True if the stream conforms, as far as that was checked, and a lossless coder was bit-exact."""
        exact = self.result["bit_exact"] or not self.job.setting.lossless
        return exact and self.result.get("conforming", True)


def load_row(job: Job, folders: Folders) -> Row:
    """The row of a job that has a result, with all figures."""
    found, result = load_features(job.place, folders.features), load_result(job, folders.jobs)
    assert found is not None
    assert result is not None
    statistics = load_statistics(job, folders.jobs)
    per_image = statistics.pop("bytes")
    weights = resamples(len(per_image), job.measure.resamples, job.measure.seed)
    varied = resampled(statistics, weights)
    fixed = result["coded_bytes"] - per_image.sum()
    size = fixed + weights @ per_image
    lengths = np.ones(len(per_image)) if found.lengths is None else np.asarray(found.lengths)
    varied |= _rates(size, found.facts, weights @ lengths / lengths.sum())
    figures = {name: float(one[0]) for name, one in measures(statistics).items()}
    figures |= {
        name: float(one) for name, one in _rates(result["coded_bytes"], found.facts).items()
    }
    return Row(job, found.facts, result, figures, intervals(varied, job.measure.confidence), varied)


def _rates(size: Any, facts: dict[str, Any], share: Any = 1.0) -> dict[str, Any]:
    """Rates of a file of a size. A value of a feature has four bytes uncompressed, one of an image one.

    share : number of values in it, over that of all features: resampled texts have other lengths.
    """
    values = facts["elements"] * facts["images"] * share
    raw = values * (1 if facts["feature_type"] == "image" else 4)
    return {
        "bytes_per_image": size / facts["images"],
        "bits_per_element": 8 * size / values,
        "compression_rate": size / raw,
    }


# --- curves ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """The points of one curve at one place."""

    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The name of the curve."""
        return self.rows[0].job.setting.curve

    def curve(self, rate: str, quality: str) -> Curve:
        """Rates and qualities."""
        return Curve(*([row.figures[name] for row in self.rows] for name in (rate, quality)))

    def resample(self, rate: str, quality: str, number: int) -> Curve:
        """The same in one resample."""
        return Curve(*([r.resampled[name][number] for r in self.rows] for name in (rate, quality)))


def lines_of(rows: Iterable[Row]) -> dict[str, list[Line]]:
    """The curves of each place, in the order of the experiment."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        found.setdefault(row.job.place.name, {}).setdefault(row.job.setting.curve, []).append(row)
    return {place: [Line(tuple(own)) for own in by.values()] for place, by in found.items()}


def lossless_lines(lines: Mapping[str, Sequence[Line]]) -> dict[str, list[Line]]:
    """The curves of lossless coders, for the places that have any."""
    kept = {
        place: [line for line in own if line.rows[0].job.setting.lossless]
        for place, own in lines.items()
    }
    return {place: own for place, own in kept.items() if own}


# --- files -----------------------------------------------------------------------------------------


def as_json(row: Row) -> dict[str, Any]:
    """A row as JSON types, flat except for lists; an interval is ``NAME_low`` and ``NAME_high``."""
    place, setting, facts = row.job.place, row.job.setting, row.facts
    found: dict[str, Any] = {
        "network": place.network.name,
        "layer": place.layer,
        "feature_type": facts["feature_type"],
        "shape": "x".join(map(str, facts["shape"])),
        "images": facts["images"],
        "image_set": place.images.name,
        "curve": setting.curve,
        "point": setting.label,
        "coder": setting.coder,
        "allocation": setting.allocation.method,
        "choices": json.dumps({**setting.choices, **setting.allocation.parameters}),
        "elements": facts["elements"],
        "nonzero_rate": facts["nonzero_rate"],
        "head_macs": facts["head_macs"],
        "tail_macs": facts["tail_macs"],
    }
    found |= {key: row.result[key] for key in ("coded_bytes", "constant_bytes")}
    for name, value in row.figures.items():
        found[name] = value
        found[f"{name}_low"], found[f"{name}_high"] = row.intervals[name]
    found |= {key: row.result[key] for key in ("encode_seconds", "decode_seconds", "bit_exact")}
    found["conforming"] = row.result.get("conforming")
    return found


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write all rows; values that a row does not have are empty."""
    records = [as_json(row) for row in rows]
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())


def write_json(
    rows: Sequence[Row], experiment: Experiment, summary: dict[str, Any], command: str, path: Path
) -> None:
    """Write all rows, with the environment of the measurement; infinite numbers as ``"inf"``."""
    records = [as_json(row) for row in rows]
    for record, row in zip(records, rows, strict=True):
        if "channels" in row.result:
            record["channels"] = row.result["channels"]
    document = {
        "title": experiment.title,
        "environment": environment(experiment, command),
        "intervals": {
            "confidence": experiment.measure.confidence,
            "method": f"percentile bootstrap over images, {experiment.measure.resamples} resamples, "
            f"seed {experiment.measure.seed}; bytes that serve all images are kept as they are",
        },
        **summary,
        "rows": records,
    }
    with atomic_file(path) as file:
        file.write(json.dumps(json_value(document), indent=1, allow_nan=False).encode() + b"\n")


def environment(experiment: Experiment, command: str) -> dict[str, Any]:
    """Environment of the measurement: machine, versions, command, hash of the experiment."""
    machine = describe_machine(_PACKAGES)
    packages = machine.pop("packages")
    return {
        "command": command,
        "experiment_sha256": hashlib.sha256(experiment.text.encode()).hexdigest(),
        **machine,
        "refcodec": refcodec.__version__,
        "refcodec_source": code_digest(),
        "packages": packages,
    }
