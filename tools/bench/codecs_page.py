"""Tables and plot of trained feature codecs, for docs/results/codecs.rst."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from curves import bd_rate
from matplotlib.figure import Figure
from page import fill, percent, table
from record import Record

from refcodec import plotting
from refcodec.files import atomic_file
from refcodec.plotting import COLOURS, MARKERS

_TAILS = {
    "given_snr": "given tail",
    "classifier_snr": "other classifier",
    "attributes_snr": "attributes",
    "picture_snr": "picture",
    "pooled_snr": "pooled features",
}
"""Measures of tails that rates are compared by, all in dB."""


def render(record: Record, native: Record, docs: Path) -> None:
    """Fill the page, and draw the plot.

    native : the record of the native coder's page: its curves, and those of A2.
    """
    tails = json.loads((docs / "results" / "tails.json").read_text())
    parts = {
        "machine": _machine(record["machine"]),
        "rates": rates(record, native),
        "points": points(record),
        "speed": speed(record, tails),
        "tails": other_tails("layer", record["tails"]),
        "weights": other_tails("feature_weight", record["weights"]) if record["weights"] else "",
        "refined": refined_points(record),
        "refined-rates": refined_rates(record),
    }
    fill(docs / "results" / "codecs.rst", parts)
    with atomic_file(docs / "images" / "codecs.png") as file:
        file.write(draw(record, native))


def _machine(found: Record) -> str:
    return (
        f"Measured by ``{found['command']}`` on {found['processor']}, {found['cores']} cores, shared "
        f"with other work, Python {found['python']}, torch {found['packages']['torch']}."
    )


def rates(record: Record, native: Record) -> str:
    """BD-rates against A2 and the native coder."""

    def rows() -> Iterable[Sequence[str]]:
        for curve, plan in record["plans"].items():
            layer = curve.split()[0]
            anchors = native["peers"][f"{layer}/small/A2"], native["native"][f"{layer}/small"]
            found = [bd_rate(anchor, plan["points"]) for anchor in anchors]
            spans = ["" if one is None else f"{one[1]:.1f} to {one[2]:.1f}" for one in found]
            changes = [percent(None if one is None else one.value) for one in found]
            yield curve, changes[0], spans[0], changes[1], spans[1]

    heads = ("codec", "against A2", "between, dB", "against native", "between, dB")
    return table(heads, rows())


def points(record: Record) -> str:
    """Every point: of the codec in integers, and what floats would have given."""

    def rows() -> Iterable[Sequence[str]]:
        for curve, plan in record["plans"].items():
            for one in plan["points"]:
                test, floats = one["test"], one["floats"]
                yield (
                    curve,
                    f"{one['lambda']:g}",
                    f"{one['bits']:.4f}",
                    f"{one['snr']:.1f}",
                    f"{one['fidelity']:.3f}",
                    f"{one['feature_snr']:.1f}",
                    f"{one['model_bytes'] / 1000:.0f} kB",
                    f"{test['output_snr']:.2f} / {floats['output_snr']:.2f}",
                    f"{test['bytes']:.1f} / {floats['bytes']:.1f}",
                )

    heads = (
        *("codec", "lambda", "bits an element", "output SNR, dB", "fidelity", "feature SNR, dB"),
        *("model", "output SNR, integers / floats", "bytes, integers / floats"),
    )
    return table(heads, rows())


def speed(record: Record, tails: Record) -> str:
    """Milliseconds of a feature, beside the native coder and tail-aware encoding."""

    def rows() -> Iterable[Sequence[str]]:
        for curve, plan in record["plans"].items():
            layer = curve.split()[0]
            encode, decode = (_range(plan["points"], key) for key in ("encode_ms", "decode_ms"))
            aware = tails["curves"].get(layer, {}).get("mu 10", {})
            slow = [one["seconds"] for one in aware.values()]
            yield (
                curve,
                encode,
                decode,
                f"{plan['native']['encode_ms']:.1f}",
                f"{plan['native']['decode_ms']:.1f}",
                f"{1000 * min(slow):.0f} to {1000 * max(slow):.0f}" if slow else "",
            )

    heads = (
        *("codec", "encode", "decode", "native, encode", "native, decode"),
        "tail-aware, encode",
    )
    return table(heads, rows())


def _range(points: Iterable[Record], key: str) -> str:
    values = [one[key] for one in points]
    return f"{min(values):.1f} to {max(values):.1f}"


def other_tails(head: str, record: Record) -> str:
    """BD-rates of codecs against the native coder by the quality of each tail; ``head`` tells them apart."""

    def rows() -> Iterable[Sequence[str]]:
        for name, curves in record.items():
            cells = []
            for measure in _TAILS:
                anchor, other = (
                    [{"bits": one["bits"], "snr": one[measure]} for one in curves[curve]]
                    for curve in ("native", "learned")
                )
                found = bd_rate(anchor, other)
                cells.append(
                    percent(None)
                    if found is None
                    else f"{percent(found.value)} ({found[1]:.0f} to {found[2]:.0f} dB)"
                )
            yield name, *cells

    return table((head, *_TAILS.values()), rows())


def refined_points(record: Record) -> str:
    """Every point of tail-aware encoding, of latents and of native levels."""

    def rows() -> Iterable[Sequence[str]]:
        for layer, found in record["refined"].items():
            for name in ("learned", "native"):
                for one in found[name]:
                    yield (
                        f"{layer} {name}",
                        f"{one['strength']:g}",
                        f"{one['bytes'] / found['tested']:.1f}",
                        f"{one['snr']:.1f}",
                        f"{one['fidelity']:.3f}",
                        f"{one['feature_snr']:.1f}",
                        f"{one['encode_ms']:.0f}",
                        f"{one['model_bytes'] / 1000:.0f} kB" if "model_bytes" in one else "",
                    )

    heads = (
        *("curve", "strength", "bytes a feature", "output SNR, dB", "fidelity"),
        *("feature SNR, dB", "encode, ms", "model"),
    )
    return table(heads, rows())


def refined_rates(record: Record) -> str:
    """BD-rates of tail-aware latents against tail-aware levels."""

    def rows() -> Iterable[Sequence[str]]:
        for layer, one in record["refined"].items():
            found = bd_rate(one["native"], one["learned"], within=(8, 45))
            yield (
                layer,
                percent(None if found is None else found.value),
                "" if found is None else f"{found[1]:.1f} to {found[2]:.1f}",
                str(one["tested"]),
            )

    return table(("layer", "against native, tail-aware", "between, dB", "features"), rows())


def draw(record: Record, native: Record) -> bytes:
    """Output SNR over bits an element, a panel for each layer."""
    layers = list(dict.fromkeys(curve.split()[0] for curve in record["plans"]))
    with plotting.styled():
        figure = Figure(figsize=(3.2 * len(layers), 3.2), layout="constrained")
        panels = figure.subplots(1, len(layers), squeeze=False)[0]
        for panel, layer in zip(panels, layers, strict=True):
            plotting.title(panel, layer)
            plotting.rate_axis(panel)
            curves: dict[str, Any] = {
                "A2 (HEVC)": native["peers"][f"{layer}/small/A2"],
                "native": native["native"][f"{layer}/small"],
            }
            for name in ("linear", "learned"):
                if f"{layer} {name}" in record["plans"]:
                    curves[name] = record["plans"][f"{layer} {name}"]["points"]
            for name, own in curves.items():
                number = ("A2 (HEVC)", "native", "learned", "linear").index(name)
                ordered = sorted(own, key=lambda one: one["bits"])
                panel.plot(
                    [one["bits"] for one in ordered],
                    [one["snr"] for one in ordered],
                    label=name,
                    color=COLOURS[number],
                    marker=MARKERS[number],
                    markersize=3.5,
                    linewidth=1,
                )
            panel.set_ylim(0, 36)
        panels[0].set_ylabel("output SNR, dB")
        figure.supxlabel("bits per element", fontsize="medium")
        plotting.legend(figure, list(panels), 4)
        return plotting.save(figure, "png")
