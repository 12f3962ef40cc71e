#!/usr/bin/env python3
"""Measures coders of tokens, keys and values: bits of an element at equal quality, and without loss.

    python tools/bench/bench_tokens.py TOKENS.npz [--texts N] [--record OUT.json] [--render]

TOKENS.npz holds arrays T x D, and heads x T x D, whose names are KIND_TEXT: ``x6_12``, the tokens of text 12
after layer 6, ``k6_12`` and ``v6_12``, keys and values there. Texts of even number give CacheGen its
distributions; those of odd number are measured, all in one run. The coders of this project are measured by
whole streams, peers by what they have to store.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cache_peers import CacheGen, Coded, grouped, llama, zstd
from page import fill, percent, table
from record import DOCS, Record, command, load, machine, save

import refcodec

PAGE = DOCS / "results" / "tokens.rst"

QUALITIES = (12.0, 20.0, 30.0)
"""SNR in dB at which rates are compared."""

BITS = (2, 3, 4, 5, 6, 7, 8)
QPS = (4, 8, 12, 16, 20, 24, 28, 32, 36)
STEPS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5)

Array = npt.NDArray[Any]
Texts = dict[int, Array]
Point = tuple[float, float]
"""Bits of an element, and SNR in dB."""


def flat(array: Array) -> Array:
    """Tokens T x D, or of all heads side by side, float32."""
    heads = array.reshape(-1, *array.shape[-2:])
    return heads.transpose(1, 0, 2).reshape(array.shape[-2], -1).astype(np.float32)


def read(path: Path, most: int | None) -> dict[str, Texts]:
    """Arrays by kind and text."""
    found: dict[str, Texts] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            kind, _, text = name.rpartition("_")
            if most is None or int(text) < most:
                found.setdefault(kind, {})[int(text)] = arrays[name]
    return found


# --- one point, of all texts that are measured -----------------------------------------------------


def point(texts: Texts, code: Callable[[Array], Coded], *, packed: bool = False) -> Point:
    """Rate and quality over the texts of odd number; ``packed``: what zstd makes of it."""
    bits = noise = power = elements = 0.0
    for number, array in texts.items():
        if number % 2 == 0:
            continue
        coded = code(array)
        bits += zstd(coded.stored) if packed else coded.bits
        source = flat(array).astype(np.float64)
        noise += float(((coded.decoded - source) ** 2).sum())
        power += float((source**2).sum())
        elements += array.size
    return bits / elements, 10 * np.log10(power / noise) if noise else np.inf


def stream(array: Array, **options: Any) -> Coded:
    """A stream of this project."""
    data = refcodec.encode(array, **options)
    decoded = refcodec.decode(data)
    return Coded(8 * len(data), flat(decoded), data)


def vectors(array: Array, **options: Any) -> Coded:
    """A stream of vectors, one for each token."""
    return stream(flat(array).astype(array.dtype), **options)


# --- methods: each a curve ---------------------------------------------------------------------------


def peers(texts: Texts) -> Iterator[tuple[str, list[Point]]]:
    """Curves of peers."""
    forms: Mapping[str, tuple[int | None, bool]] = {
        "integers, scale by token": (None, False),
        "integers, scale by channel": (None, True),
        "KIVI's values: by token, groups of 64": (64, False),
        "KIVI's keys: by channel, groups of 64": (64, True),
    }
    for name, (group, by_channel) in forms.items():

        def code(array: Array, bits: int) -> Coded:
            return grouped(flat(array), bits, group, by_channel=by_channel)  # noqa: B023 - called here

        for packed in (False, True):
            curve = [point(texts, lambda one, n=n: code(one, n), packed=packed) for n in BITS]  # type: ignore[misc]
            yield name + (", zstd -19" if packed else ""), curve
    known = [flat(one) for number, one in texts.items() if number % 2 == 0]
    coders = [CacheGen(known, step) for step in STEPS]
    yield "CacheGen", [point(texts, lambda one, own=own: own.code(flat(one))) for own in coders]  # type: ignore[misc]


def own(texts: Texts) -> Iterator[tuple[str, list[Point]]]:
    """Curves of the coders of this project."""
    forms: Mapping[str, tuple[Any, dict[str, Any]]] = {
        "native, vectors": (vectors, {"coder": "native"}),
        "native, tokens": (stream, {"coder": "native", "feature_type": "tokens"}),
        "native, tokens, range by channel": (
            stream,
            {"coder": "native", "feature_type": "tokens", "range": "channel"},
        ),
        "native-static, tokens": (stream, {"coder": "native-static", "feature_type": "tokens"}),
    }
    for name, (code, options) in forms.items():
        yield name, [point(texts, lambda one, q=q: code(one, qp=q, **options)) for q in QPS]  # type: ignore[misc] # noqa: B023


def fixed(texts: Texts) -> dict[str, Point]:
    """Points of formats that have one rate."""
    return {
        f"q{bits}_0": point(texts, lambda one, bits=bits: llama(flat(one), bits))  # type: ignore[misc]
        for bits in (4, 8)
    }


def lossless(texts: Texts) -> dict[str, float]:
    """Bits of an element of float16 without loss."""
    halves = {number: one.astype(np.float16) for number, one in texts.items()}
    exact = {"coder": "native-lossless"}

    def bytes_of(array: Array) -> Coded:
        return Coded(0, flat(array), array.tobytes())

    return {
        "zstd -19": point(halves, bytes_of, packed=True)[0],
        "native-lossless, vectors": point(halves, lambda one: vectors(one, **exact))[0],
        "native-lossless, tokens": point(
            halves, lambda one: stream(one, feature_type="tokens", **exact)
        )[0],
    }


def rate_at(curve: list[Point], quality: float) -> float | None:
    """Bits at a quality, between two points of a curve; None outside it."""
    points = sorted(curve, key=lambda one: one[1])
    snr = [one[1] for one in points]
    if not snr[0] <= quality <= snr[-1]:
        return None
    return float(np.interp(quality, snr, [one[0] for one in points]))


# --- the page --------------------------------------------------------------------------------------


def render(record: Record) -> None:
    """Fill the page from a record."""
    kinds = sorted(record["kinds"])
    methods = list(record["kinds"][kinds[0]]["curves"])
    parts = {"summary": _summary(record)}
    for quality in QUALITIES:
        rows = [
            [
                name,
                *(
                    _shown(rate_at(record["kinds"][kind]["curves"][name], quality))
                    for kind in kinds
                ),
            ]
            for name in methods
        ]
        parts[f"rates at {quality:g} dB"] = table(["bits of an element", *kinds], rows)
    parts["fixed"] = table(
        ["bits of an element, and SNR in dB", *kinds],
        [
            [
                name,
                *("{:.2f}, {:.1f}".format(*record["kinds"][kind]["fixed"][name]) for kind in kinds),
            ]
            for name in record["kinds"][kinds[0]]["fixed"]
        ],
    )
    names = list(record["kinds"][kinds[0]]["lossless"])
    parts["lossless"] = table(
        ["bits of an element, float16", *kinds],
        [[n, *(f"{record['kinds'][kind]['lossless'][n]:.2f}" for kind in kinds)] for n in names],
    )
    parts["run"] = (
        f"``{record['command']}``, {record['texts']} texts, {record['elements']:,} elements of each kind.\n"
    )
    fill(PAGE, parts)


OTHERS = ("native, vectors", "CacheGen", "integers, scale by token, zstd -19")
"""Methods that tokens under the native coder are compared with."""


def _summary(record: Record) -> str:
    """Change of rate by the native coder's tokens against others, on the mean over kinds that have both."""
    curves = [one["curves"] for one in record["kinds"].values()]
    rows = []
    for name in OTHERS:
        row = [name]
        for quality in QUALITIES:
            pairs = [
                (rate_at(one["native, tokens"], quality), rate_at(one[name], quality))
                for one in curves
            ]
            changes = [100 * (own / other - 1) for own, other in pairs if own and other]
            row.append(percent(float(np.mean(changes)) if changes else None))
        rows.append(row)
    return table(["native, tokens, against", *(f"{one:g} dB" for one in QUALITIES)], rows)


def _shown(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.2f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokens", type=Path, nargs="?", help="arrays of tokens")
    parser.add_argument("--texts", type=int, help="take only so many: a trial")
    parser.add_argument("--record", type=Path, default=DOCS / "results" / "tokens.json")
    parser.add_argument("--render", action="store_true", help="measure nothing: make the page")
    options = parser.parse_args()
    options.resume = False
    record = load(options, {"command": command(), "machine": machine(), "kinds": {}})
    if not options.render:
        for kind, texts in read(options.tokens, options.texts).items():
            curves = dict((*peers(texts), *own(texts)))
            exact, formats = lossless(texts), fixed(texts)
            record["kinds"][kind] = {"curves": curves, "lossless": exact, "fixed": formats}
            measured = [one for number, one in texts.items() if number % 2]
            record |= {"texts": len(measured), "elements": sum(one.size for one in measured)}
            save(record, options.record)
            print(kind, flush=True)
    render(record)


if __name__ == "__main__":
    main()
