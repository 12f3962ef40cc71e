"""``refcodec info`` and ``refcodec compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import console, open_input, print_facts, print_json
from refcodec.errors import CallerError

if TYPE_CHECKING:
    from refcodec.arrays import ArrayEntry
    from refcodec.cli.arrays import Array

__all__ = ["compare", "info"]

_Stream = Annotated[str, typer.Argument(metavar="FILE", help="A stream; - is a pipe.")]
_Arrays = ".npy, .npz, .safetensors or .dfc."


def info(file: _Stream, as_json: options.Json = False) -> None:
    """Summarise a stream: version, parameter sets, sizes, metadata."""
    from refcodec.cli.summary import describe, summarise

    with open_input(file) as source:
        summary = summarise(source)
    if as_json:
        print_json({"file": file, **summary})
        return
    out = console()
    for number, (title, facts) in enumerate(describe(file, summary)):
        if number:
            print()
        print_facts(out, title, facts)


# --- compare ---------------------------------------------------------------------------------------


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=f"The original: {_Arrays}")],
    b: Annotated[str, typer.Argument(metavar="B", help=f"The decoded features: {_Arrays}")],
    as_json: options.Json = False,
) -> None:
    """Measure how far features are from their original, all taken together."""
    import numpy as np

    from refcodec import metrics

    with progress("reading", 2, "files") as show:
        tokens = _holds_tokens(a) or _holds_tokens(b)
        original, arrays = _load(a, tokens)
        show(1)
        decoded, others = _load(b, tokens)
    _require_comparable(a, original, b, decoded)
    _require_equal_batches(a, arrays, b, others)
    flat = [np.concatenate([one.ravel() for one in side]) for side in (decoded, original)]
    with np.errstate(invalid="ignore", over="ignore"):  # lossless coders keep NaN and infinities
        found: dict[str, Any] = {
            "features": len(original),
            "shapes": [list(shape) for shape in dict.fromkeys(one.shape for one in original)],
            "dtypes": [sorted({str(one.dtype) for one in side}) for side in (original, decoded)],
            "max_error": metrics.max_error(*flat),
            "mse": metrics.mean_squared_error(*flat),
            "snr_db": metrics.signal_to_noise(*flat),
            "cosine": metrics.cosine_similarity(*flat),
            "bit_exact": all(map(_bit_exact, original, decoded)),
            "not_finite": [_not_finite(original), _not_finite(decoded)],
        }
    if as_json:
        print_json({"a": a, "b": b, **found})
        return
    shapes = [" x ".join(map(str, shape)) for shape in found["shapes"]]
    types = [", ".join(side) for side in found["dtypes"]]
    facts = [
        ("features", f"{len(original):,}"),
        ("shape", ", ".join(shapes[:4]) + (", ..." if shapes[4:] else "")),
        ("type", types[0] if types[0] == types[1] else f"{types[0]}; became {types[1]}"),
        ("max error", f"{found['max_error']:.6g}"),
        ("MSE", f"{found['mse']:.6g}"),
        ("SNR", f"{found['snr_db']:.2f} dB"),
        ("cosine", f"{found['cosine']:.8f}"),
        ("bit-exact", "yes" if found["bit_exact"] else "no"),
    ]
    for name, bad in zip((a, b), found["not_finite"], strict=True):
        if bad:
            place = f"feature {bad['feature']} at index ({', '.join(map(str, bad['index']))})"
            counts = f"{bad['nan']:,} NaN, {bad['infinite']:,} infinite"
            facts.append(("not finite", f"{counts} in {name}; the first in {place}"))
    print_facts(console(), f"{a} and {b}", facts)


def _holds_tokens(path: str) -> bool:
    """True for a stream of tokens, so that arrays to compare it with are tokens, too."""
    import refcodec
    from refcodec.syntax.codes import FeatureType

    if Path(path).suffix.lower() != ".dfc" or not Path(path).is_file():
        return False
    with refcodec.open(path) as reader:
        return any(one.feature_type == FeatureType.TOKENS for one in reader.parameters)


def _load(path: str, tokens: bool) -> tuple[list[Array], Sequence[ArrayEntry]]:
    from refcodec.cli.arrays import open_features

    with open_features(path, tokens=tokens) as found:
        return list(found.features), found.entries


def _require_comparable(a: str, original: list[Array], b: str, decoded: list[Array]) -> None:
    if len(original) != len(decoded):
        raise CallerError(f"{a} holds {len(original)} features, {b} {len(decoded)}")
    for number, (one, other) in enumerate(zip(original, decoded, strict=True)):
        if one.shape != other.shape:
            raise CallerError(
                f"feature {number} has shape {one.shape} in {a}, {other.shape} in {b}"
            )
    if not sum(one.size for one in original):
        raise CallerError(f"{a} and {b} hold no values")


def _require_equal_batches(
    a: str, arrays: Sequence[ArrayEntry], b: str, others: Sequence[ArrayEntry]
) -> None:
    """Raise CallerError where as many arrays on either side are not the same batches."""
    if len(arrays) == len(others) and [x.batch for x in arrays] != [x.batch for x in others]:
        one, other = (
            ", ".join("no batch" if x.batch is None else f"a batch of {x.batch}" for x in side)
            for side in (arrays, others)
        )
        raise CallerError(f"{a} holds {one}; {b} holds {other}")


def _not_finite(features: list[Array]) -> dict[str, Any] | None:
    """Number of NaN and infinite values, and the place of the first; None where all are finite."""
    import numpy as np

    found: dict[str, Any] = {}
    for number, feature in enumerate(features):
        values = feature.astype(np.float64)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            first = {"nan": 0, "infinite": 0, "feature": number, "index": bad[0].tolist()}
            found = found or first
            found["nan"] += (nans := int(np.isnan(values).sum()))
            found["infinite"] += len(bad) - nans
    return found or None


def _bit_exact(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()
