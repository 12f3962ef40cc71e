"""Options beyond the fields of EncoderConfig (which are in ``configuration``), and their help texts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from refcodec.cli.help_texts import panel_of

_TAIL = "The rest of the network"


def _option(*names: str, text: str, panel: str | None = None, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


Key = Annotated[str | None, _option(metavar="NAME", text="The array to take, if IN holds several.")]
QpFile = Annotated[
    Path | None,
    _option(
        metavar="Q.json",
        text="QPs of channels: a list, or a list of lists, one for each feature.",
        panel=panel_of("qp"),
    ),
]
_model = partial(_option, metavar="NAME", text="resnet56, vgg16, ..., or package.module:factory.")
_layer = partial(
    _option,
    metavar="LAYER",
    text="The layer of the features: conv1, pool1, ..., or the name of a module.",
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
        text="Allocation of bits: none, algorithm1, gradient, selection (hevc), tail-aware; by "
        "default tail-aware if a model is given.",
        panel=_TAIL,
    ),
]
Parameter = Annotated[
    list[str] | None,
    _option(
        metavar="NAME=VALUE",
        text="Parameter of the allocation, such as strength=5; may be repeated.",
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
    _option(
        metavar="SHARE", text="Share of decisions to keep, by the coarsest coding.", panel=_TAIL
    ),
]

MaxLevel = Annotated[int | None, _option(text="Highest level to accept.", panel=panel_of("ffmpeg"))]
Ffmpeg = Annotated[
    str | None, _option(text="Program to run for HEVC, VVC and AV1.", panel=panel_of("ffmpeg"))
]
Timeout = Annotated[
    float | None,
    _option(
        text="Seconds for one run of ffmpeg; by default it grows with the work.",
        panel=panel_of("ffmpeg"),
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads; by default one per processor.", rich_help_panel=panel_of("workers")
    ),
]
Models = Annotated[
    list[Path] | None,
    _option(
        metavar="PLACE",
        text="File or folder of entropy models (.dfcm) that a stream names; may be repeated. The folder "
        "of the stream and REFCODEC_MODELS are searched, too.",
    ),
]
Results = Annotated[
    Path | None, _option(text="Folder for results; by default CONFIG-results, in this folder.")
]
DataFolder = Annotated[
    Path | None,
    _option(
        text="Folder that paths are relative to; by default $REFCODEC_DATA, else CONFIG's own."
    ),
]
Changes = Annotated[
    list[str] | None,
    _option("--set", metavar="KEY=VALUE", text="Change a key of CONFIG; may be repeated."),
]
Salvage = Annotated[bool, _option("--salvage", text="Decode what is whole of a damaged stream.")]
Force = Annotated[bool, _option("--force", text="Replace a file of that name without asking.")]
Json = Annotated[bool, _option("--json", text="Print one JSON document.")]
