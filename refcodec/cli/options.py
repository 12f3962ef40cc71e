"""The options of the commands: names, and what help says of them.

Which values they take is for :class:`refcodec.EncoderConfig` to say, and to refuse.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from refcodec.registry import CODERS

_QUANTISATION = "Quantisation"
_LOSSY = "Lossy coding (native, hevc)"
_NATIVE = "Native coders"
_HEVC = "HEVC"
_BYTES = "Byte coders"
_TAIL = "The rest of the network"
_STREAM = "Stream"
_MACHINE = "Machine"


def _option(*names: str, text: str, panel: str | None = None, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


Coder = Annotated[str, _option(metavar="CODER", text=", ".join(CODERS) + ".")]
Key = Annotated[
    str | None, _option(metavar="NAME", text="The array to take, where IN holds several.")
]
FeatureType = Annotated[
    str | None,
    _option("--type", metavar="conv|pool|fc", text="Kind of layer; by default told by the rank."),
]

Quantiser = Annotated[
    str | None,
    _option(
        metavar="uniform|log|none",
        text="By default uniform for native and hevc, none for the others.",
        panel=_QUANTISATION,
    ),
]
Bits = Annotated[
    int | None,
    _option(text="Bits of a sample; by default 16 for native, else 10.", panel=_QUANTISATION),
]
Range = Annotated[
    str,
    _option(
        "--range",
        metavar="tensor|channel",
        text="One range for all, or one a channel.",
        panel=_QUANTISATION,
    ),
]
Narrow = Annotated[bool, _option("--narrow", text="Round float64 to float32.", panel=_QUANTISATION)]

Qp = Annotated[
    float,
    _option(
        text="0 to 51, for native to 63 and in eighths; +6 doubles the step. Not for tail-aware "
        "native, which has a parameter qp.",
        panel=_LOSSY,
    ),
]
QpFile = Annotated[
    Path | None,
    _option(
        metavar="Q.json",
        text="A QP a channel: a list, or a list of lists, one a feature.",
        panel=_LOSSY,
    ),
]
TargetSize = Annotated[
    int | None,
    _option(
        metavar="BYTES",
        text="Size of each feature's payload (native); of a feature on average where a model is given.",
        panel=_LOSSY,
    ),
]
TargetSnr = Annotated[
    float | None,
    _option(
        metavar="DB",
        text="Signal-to-noise ratio to reach: of the network's output where a model is given, else of "
        "each feature (native).",
        panel=_LOSSY,
    ),
]
Speed = Annotated[
    str,
    _option(metavar="fast|default|best", text="Effort of the encoder.", panel=_NATIVE),
]
Packing = Annotated[
    str,
    _option(metavar="tile|frame", text="Channels side by side, or a frame each.", panel=_HEVC),
]
Restoration = Annotated[
    str,
    _option(
        metavar="MODE",
        text="What statistics the decoder restores: auto, off, channel; tensor (hevc); mean "
        "(native).",
        panel=_LOSSY,
    ),
]
Lossless = Annotated[
    bool, _option("--lossless", text="Lose nothing beyond quantisation.", panel=_HEVC)
]
Gop = Annotated[
    int,
    _option(
        text="Predict from feature to feature, with an access point every so many; 0 for never.",
        panel=_LOSSY,
    ),
]
Preset = Annotated[str, _option(text="Preset of x265.", panel=_HEVC)]

_model = partial(_option, metavar="NAME", text="resnet56, vgg16, ..., or package.module:factory.")
_layer = partial(
    _option,
    metavar="LAYER",
    text="Where features come from: conv1, pool1, ..., or the name of a module.",
)
_weights = partial(_option, text=".safetensors or .pth; without, they are random.")
_input_size = partial(_option, text="Height and width of the images; by default the network's own.")

NetworkModel = Annotated[str, _model()]
NetworkLayer = Annotated[str, _layer()]
NetworkWeights = Annotated[Path | None, _weights()]
NetworkInputSize = Annotated[int | None, _input_size()]

Model = Annotated[str | None, _model(panel=_TAIL)]
Layer = Annotated[str | None, _layer(panel=_TAIL)]
Weights = Annotated[Path | None, _weights(panel=_TAIL)]
InputSize = Annotated[int | None, _input_size(panel=_TAIL)]
Allocation = Annotated[
    str | None,
    _option(
        metavar="METHOD",
        text="How bits are spent: none, algorithm1, gradient, selection (hevc), tail-aware; by "
        "default tail-aware where a model is given.",
        panel=_TAIL,
    ),
]
Parameter = Annotated[
    list[str] | None,
    _option(
        metavar="NAME=VALUE",
        text="Of the allocation, such as strength=5; may be repeated.",
        panel=_TAIL,
    ),
]
Sensitivity = Annotated[
    Path | None,
    _option(metavar="S.json", text="QPs of channels around --qp; needs no model.", panel=_TAIL),
]
FitStatistics = Annotated[
    bool,
    _option(
        "--fit-statistics",
        text="Choose restoration, range and quantiser by the output of some features; the QP moves "
        "along. Not for tail-aware.",
        panel=_TAIL,
    ),
]
TargetFidelity = Annotated[
    float | None,
    _option(metavar="SHARE", text="Of decisions to keep, by the coarsest coding.", panel=_TAIL),
]

Shuffle = Annotated[
    bool, _option("--shuffle", text="Group bytes of equal significance.", panel=_BYTES)
]
Batch = Annotated[
    bool | None,
    _option(
        text="Many small features to a unit, not for hevc; by default those of type fc and "
        "small ones of native.",
        panel=_STREAM,
    ),
]

HashSize = Annotated[
    int | None,
    _option(
        metavar="0|8|16|32",
        text="Bytes of SHA-256 with each feature; by default 8 for hevc.",
        panel=_STREAM,
    ),
]
Hashes = Annotated[bool, _option("--hashes", text="Add hash units.", panel=_STREAM)]
Index = Annotated[
    bool | None,
    _option(text="For random access; by default with several units.", panel=_STREAM),
]
Level = Annotated[
    int | None,
    _option(text="1 to 4; by default the least that fits, 3 on a pipe.", panel=_STREAM),
]
Metadata = Annotated[
    list[str] | None,
    _option(metavar="KEY=VALUE", text="Text to store; may be repeated.", panel=_STREAM),
]

MaxLevel = Annotated[int | None, _option(text="Highest level to accept.", panel=_MACHINE)]
Workers = Annotated[
    int | None,
    _option(
        text="Threads, or runs of ffmpeg, at a time; by default one a processor.", panel=_MACHINE
    ),
]
Ffmpeg = Annotated[str | None, _option(text="Program to run for HEVC.", panel=_MACHINE)]
Timeout = Annotated[
    float | None,
    _option(
        text="Seconds for one run of ffmpeg; by default it grows with the work.", panel=_MACHINE
    ),
]
Json = Annotated[bool, _option("--json", text="Print one JSON document.")]
