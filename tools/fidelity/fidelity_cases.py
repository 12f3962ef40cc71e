"""Fidelity vectors of metrics: small arrays chosen so that a plausible mistake gives another number.

Numbers are never used twice, and published vectors stay as they are. Values are exact in their type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CASES", "Case"]

_CHEN = "Chen et al. 2020, eq. 1"
_IMAGES = "Hu et al. 2020, eq. 4"
_PIXELS = "Hu et al. 2020, eq. 5"
_QPS = "Hu et al. 2020, eq. 3 and algorithm 1, line 11"
_BD = "Bjontegaard 2001, VCEG-M33, with monotone cubics over log rate"

_EXACT = 1e-12
_CURVES = 0.01  # percent, or units of quality: integrals by a rule differ


@dataclass(frozen=True)
class Case:
    """A metric on given arrays.

    number  : of the stable id.
    purpose : the mistake that the vector finds.
    inputs  : arguments by name; `array` gives an array.
    exact   : the value in words, where it has a short form.
    """

    number: int
    name: str
    metric: str
    source: str
    purpose: str
    inputs: dict[str, Any]
    exact: str = ""
    tolerance: float = _EXACT


def array(dtype: str, values: Any) -> dict[str, Any]:
    """An array of a vector: its type, and its values as nested lists."""
    return {"dtype": dtype, "values": values}


# --- images and pixels -----------------------------------------------------------------------------

_LOGITS = [[1, 2, 3], [3, 2, 1], [0, 5, 0], [1, 0, 0]]
_OTHERS = [[0, 0, 9], [0, 9, 0], [0, 1, 0], [2, 0, 0]]
_TIES = [[1, 1, 0], [0, 2, 2], [3, 3, 3], [0, 0, 1]]
_FIRST = [[5, 0, 0], [0, 5, 0], [5, 0, 0], [0, 0, 5]]

_MAPS = [  # two images, three classes, 2 x 3 pixels
    [[[0, 1, 2], [3, 4, 5]], [[5, 4, 3], [2, 1, 0]], [[1, 1, 1], [1, 9, 1]]],
    [[[0, 0, 0], [7, 7, 7]], [[1, 0, 8], [0, 0, 0]], [[0, 2, 0], [0, 0, 0]]],
]
_MAPS_AGAIN = [
    [[[0, 1, 2], [3, 4, 5]], [[5, 4, 1], [2, 1, 6]], [[1, 1, 1], [1, 0, 1]]],
    [[[0, 3, 0], [7, 7, 7]], [[1, 0, 8], [0, 8, 0]], [[0, 2, 0], [0, 0, 0]]],
]
_MASKS = [[[1, 1, 0], [0, 2, 255]], [[1, 2, 1], [255, 0, 0]]]

_SIX = [[6, 5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 1, 1], [9, 8, 7, 6, 5, 5, 5]]

# --- curves ----------------------------------------------------------------------------------------

_ANCHOR = [[0.25, 10], [0.5, 15], [1, 20], [2, 25], [4, 30]]
_QUARTER_MORE = [[0.3125, 10], [0.625, 15], [1.25, 20], [2.5, 25], [5, 30]]
_RAISED = [[0.25, 11.5], [0.5, 16.5], [1, 21.5], [2, 26.5], [4, 31.5]]
_SHORT = [[2, 20], [4, 25], [8, 30], [16, 35]]
_BENT = [[0.1, 0.52], [0.2, 0.71], [0.45, 0.86], [1.1, 0.95], [2.6, 0.99]]
_BENT_TOO = [[0.12, 0.6], [0.25, 0.78], [0.5, 0.9], [1.0, 0.955], [2.0, 0.98]]
_DOMINATED = [[0.25, 10], [0.5, 15], [0.75, 12], [1, 20], [2, 25], [4, 30]]

CASES = (
    Case(
        1,
        "rate-float32",
        "compression_rate",
        _CHEN,
        "coded over uncompressed size, not the inverse",
        {"coded_bytes": 24, "shape": [2, 3, 4], "dtype": "float32"},
        "24 / 96",
    ),
    Case(
        2,
        "rate-float16",
        "compression_rate",
        _CHEN,
        "the uncompressed size is that of the source type; a rate may exceed 1",
        {"coded_bytes": 300, "shape": [10, 10], "dtype": "float16"},
        "300 / 200",
    ),
    Case(
        3,
        "bits-per-element",
        "bits_per_element",
        "definition",
        "bits, not bytes",
        {"coded_bytes": 7, "elements": 12},
        "56 / 12",
    ),
    Case(
        4,
        "fidelity-images",
        "fidelity",
        _IMAGES,
        "decisions are compared, not outputs",
        {"outputs": array("float32", _OTHERS), "reference": array("float32", _LOGITS)},
        "3 / 4",
    ),
    Case(
        5,
        "fidelity-ties",
        "fidelity",
        _IMAGES,
        "of equal outputs the first is the decision",
        {"outputs": array("float32", _TIES), "reference": array("float32", _FIRST)},
        "4 / 4",
    ),
    Case(
        6,
        "fidelity-pixels",
        "fidelity",
        _PIXELS,
        "the classes are axis 1, and every pixel counts once",
        {"outputs": array("float32", _MAPS_AGAIN), "reference": array("float32", _MAPS)},
        "7 / 12",
    ),
    Case(
        7,
        "top-1",
        "top1_accuracy",
        "ILSVRC",
        "labels, not the decisions on original features",
        {"outputs": array("float32", _LOGITS), "labels": [2, 1, 1, 0]},
        "3 / 4",
    ),
    Case(
        8,
        "top-5",
        "top_accuracy",
        "ILSVRC",
        "a label counts if fewer than five classes are higher; equal ones are not higher",
        {"outputs": array("float32", _SIX), "labels": [4, 1, 6, 6], "k": 5},
        "3 / 4",
    ),
    Case(
        9,
        "top-2",
        "top_accuracy",
        "ILSVRC",
        "another k",
        {"outputs": array("float32", _SIX), "labels": [1, 4, 0, 0], "k": 2},
        "3 / 4",
    ),
    Case(
        10,
        "mean-iou",
        "mean_iou",
        "PASCAL VOC",
        "pixels of all images together; those of mask 255 do not count",
        {"outputs": array("float32", _MAPS), "masks": array("uint8", _MASKS)},
        "(3 / 4 + 4 / 5 + 1) / 3",
    ),
    Case(
        11,
        "mean-iou-absent-class",
        "mean_iou",
        "PASCAL VOC",
        "a class neither predicted nor true is left out of the mean",
        {
            "outputs": array("float32", [[[[1, 1]], [[0, 2]], [[0, 0]]]]),
            "masks": array("uint8", [[[0, 0]]]),
        },
        "(1 / 2 + 0) / 2",
    ),
    Case(
        12,
        "mse",
        "mean_squared_error",
        "definition",
        "the mean, not the sum",
        {
            "decoded": array("float32", [[1.5, -2], [0.25, 8]]),
            "original": array("float32", [[1, -2.5], [0, 7]]),
        },
        "(1 / 4 + 1 / 4 + 1 / 16 + 1) / 4",
    ),
    Case(
        13,
        "mse-float16",
        "mean_squared_error",
        "definition",
        "squares of float16 exceed float16",
        {
            "decoded": array("float16", [300, 1]),
            "original": array("float16", [-300, 0.5]),
        },
        "(360000 + 1 / 4) / 2",
    ),
    Case(
        14,
        "mse-large",
        "mean_squared_error",
        "definition",
        "differences of large float32 are taken in binary64",
        {
            "decoded": array("float32", [16777216, 0.25]),
            "original": array("float32", [-0.5, 0.25]),
        },
        "16777216.5^2 / 2",
    ),
    Case(
        15,
        "max-error-uint8",
        "max_error",
        "definition",
        "differences of unsigned integers do not wrap",
        {"decoded": array("uint8", [3, 200, 255]), "original": array("uint8", [5, 200, 254])},
        "2",
    ),
    Case(
        16,
        "max-error-sign",
        "max_error",
        "definition",
        "the largest magnitude, of either sign",
        {
            "decoded": array("float32", [0.5, -3, 2]),
            "original": array("float32", [0, 1.25, -1]),
        },
        "17 / 4",
    ),
    Case(
        17,
        "snr",
        "signal_to_noise",
        "definition",
        "the power is the variance (divided by N), not the mean square",
        {"decoded": array("float32", [4.5, 6]), "original": array("float32", [4, 6])},
        "10 log10(8)",
    ),
    Case(
        18,
        "snr-several",
        "signal_to_noise",
        "definition",
        "mean and power are taken over all values, not for each channel",
        {
            "decoded": array("float32", [[0, 1, 2.5], [10, 12, 13.5]]),
            "original": array("float32", [[0, 1, 2], [10, 11, 12]]),
        },
        "10 log10(44)",
    ),
    Case(
        19,
        "snr-equal",
        "signal_to_noise",
        "definition",
        "equal arrays have infinite SNR",
        {"decoded": array("float32", [1, 2]), "original": array("float32", [1, 2])},
        "inf",
    ),
    Case(
        20,
        "snr-constant",
        "signal_to_noise",
        "definition",
        "a constant that is not kept has an SNR of minus infinity",
        {"decoded": array("float32", [1, 2]), "original": array("float32", [2, 2])},
        "-inf",
    ),
    Case(
        21,
        "cosine",
        "cosine_similarity",
        "definition",
        "the features as vectors, in whatever shape",
        {"decoded": array("float32", [[3], [4]]), "original": array("float32", [[4], [3]])},
        "24 / 25",
    ),
    Case(
        22,
        "cosine-irrational",
        "cosine_similarity",
        "definition",
        "norms are roots of sums of squares",
        {"decoded": array("float32", [1, 0, -2]), "original": array("float32", [1, 1, 1])},
        "-1 / sqrt(15)",
    ),
    Case(
        23,
        "cosine-zeros",
        "cosine_similarity",
        "definition",
        "two zero vectors are equal",
        {"decoded": array("float32", [0, 0]), "original": array("float32", [0, 0])},
        "1",
    ),
    Case(
        24,
        "cosine-one-zero",
        "cosine_similarity",
        "definition",
        "a zero vector has no direction",
        {"decoded": array("float32", [0, 0]), "original": array("float32", [0, 1])},
        "0",
    ),
    Case(
        25,
        "algorithm1-qps",
        "algorithm1_qps",
        _QPS,
        "the most sensitive channel has the lowest QP; all are within 0 to 51",
        {"sensitivity": [0.5, 2.5, 1, 0.75, 2], "qp_base": 38, "qp_range": 5},
        "38 - round(5 (S - 1/2) / 2)",
    ),
    Case(
        26,
        "bd-rate-scaled",
        "bd_rate",
        _BD,
        "percent of the anchor's rate; positive where the other needs more",
        {"anchor": _ANCHOR, "other": _QUARTER_MORE},
        "25",
        _CURVES,
    ),
    Case(
        27,
        "bd-rate-part",
        "bd_rate",
        _BD,
        "over the qualities that both curves reach, without extrapolation",
        {"anchor": _ANCHOR, "other": _SHORT},
        "100",
        _CURVES,
    ),
    Case(
        28,
        "bd-rate-bent",
        "bd_rate",
        _BD,
        "the curve of a share of decisions bends: a cubic of the whole overshoots",
        {"anchor": _BENT, "other": _BENT_TOO},
        "",
        _CURVES,
    ),
    Case(
        29,
        "bd-rate-dominated",
        "bd_rate",
        _BD,
        "a point that another one of no higher rate exceeds is left out",
        {"anchor": _DOMINATED, "other": _QUARTER_MORE},
        "25",
        _CURVES,
    ),
    Case(
        30,
        "bd-quality-raised",
        "bd_quality",
        _BD,
        "in the unit of quality; positive where the other is better",
        {"anchor": _ANCHOR, "other": _RAISED},
        "3 / 2",
        _CURVES,
    ),
    Case(
        31,
        "bd-quality-bent",
        "bd_quality",
        _BD,
        "means are taken over the logarithm of the rate",
        {"anchor": _BENT, "other": _BENT_TOO},
        "",
        1e-4,
    ),
)
