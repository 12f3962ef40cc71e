"""``refcodec model fit``, ``fit-contexts``, ``suit``, ``info`` and ``verify``: files of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.configuration import Choices, encoder_config, with_encoder_options
from refcodec.cli.networks import cut_network, require_library, stack_features
from refcodec.cli.terminal import console, may_replace, print_facts, print_json, print_note
from refcodec.errors import CallerError

if TYPE_CHECKING:
    from refcodec.probability.kinds import Model

__all__ = ["app"]

_File = Annotated[
    Path, typer.Argument(metavar="FILE.dfcm", help="A model: of latents, channels or contexts.")
]

_OPTIONS = (
    *("feature_type", "quantiser", "bits", "range", "clip", "narrow", "fill", "qp", "restoration"),
    *("gop", "speed", "dependent", "token_gain", "model", "workers"),
)
"""Options of an encoder that have an effect on what contexts learn."""

app = typer.Typer(
    help="Fit, suit to a network, look at and verify models (.dfcm): of latents, channels or contexts.",
    no_args_is_help=True,
)


@app.command()
def fit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FEATURES", help="Features to fit it to: .npy, .npz, .safetensors or .dfc."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT.dfcm", help="What encode --model-file reads.")
    ],
    groups: Annotated[
        int, typer.Option(min=1, help="Groups of channels, transformed one by one: less work.")
    ] = 1,
    count: Annotated[
        int | None, typer.Option(min=1, help="Features to take; by default all.")
    ] = None,
    model: options.Model = None,
    layer: options.Layer = None,
    weights: options.Weights = None,
    input_size: options.InputSize = None,
    feature_weight: Annotated[
        float,
        typer.Option(
            min=0,
            help="Weight of the features' own error beside that of the network's output: more of it "
            "serves other tasks better.",
        ),
    ] = 0.01,
    force: options.Force = False,
) -> None:
    """Fit a transform over channels: plain, or weighted by what the rest of a network is sensitive to."""
    import refcodec
    from refcodec.config import EncoderConfig

    may_replace(str(target), force, [source])
    cut = None
    if model is not None or layer is not None:
        require_library("torch", "networks")
        cut = cut_network(model, layer, weights, input_size)
    elif weights is not None or input_size is not None:
        raise CallerError("without --model, --weights and --input-size have no effect")
    features = stack_features(source, EncoderConfig(coder="raw", narrow=True), cut, count=count)
    metric = None
    if cut is not None:
        import torch

        from refcodec.allocate.curvature import channel_metric

        parts = torch.from_numpy(features.astype("float32")).split(8)
        metric = channel_metric(cut.tail, parts, feature_weight=feature_weight)
    transform = refcodec.ChannelTransform.fit(features, metric, groups=groups)
    transform.save(target)


@app.command("fit-contexts")
@with_encoder_options(*_OPTIONS, coders=("native",))
def fit_contexts(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FEATURES", help="Features to fit it to: .npy, .npz, .safetensors or .dfc."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT.dfcm", help="What encode --contexts reads.")
    ],
    choices: Choices,
    expected: Annotated[
        int,
        typer.Option(
            min=1, help="Features that are to share the model: more of them may need a larger one."
        ),
    ] = 1000,
    count: Annotated[
        int | None, typer.Option(min=1, help="Features to take; by default all.")
    ] = None,
    force: options.Force = False,
) -> None:
    """Fit a context model: what the native coder learns in features, for others that are coded alike.

    Give the options with which such features will be coded.
    """
    import refcodec
    from refcodec.cli.arrays import open_features

    may_replace(str(target), force, [source])
    config = encoder_config(choices)
    with open_features(source, None, tokens=config.tokens) as found:
        wanted = found.count if count is None else min(count, found.count)
        chosen = {n * found.count // wanted for n in range(wanted)}
        taken = (one for n, one in enumerate(found.features) if n in chosen)
        model = refcodec.fit_contexts(taken, expected=expected, **config.given)
    model.save(target)
    print_note(f"{target}: {len(model.to_bytes()):,} bytes")


@app.command()
def info(file: _File, as_json: options.Json = False) -> None:
    """Summarise a model: layers, bounds, sizes, multiply-accumulates, SHA-256."""
    from refcodec.probability.facts import describe_model
    from refcodec.probability.kinds import load_model

    found = describe_model(load_model(file))
    if as_json:
        print_json({"file": str(file), **found})
        return
    out = console()
    print_facts(out, str(file), _summary(found))
    for name, network in found.get("networks", {}).items():
        print()
        print_facts(out, name.replace("_", "-"), _layers(network))


def _summary(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts about a model as a whole."""
    facts = [
        ("kind", found["kind"]),
        ("SHA-256", found["sha256"]),
        ("size", f"{found['bytes']:,} bytes"),
        ("level", str(found["level"])),
    ]
    if "tables" in found:
        tables = found["tables"]
        facts += [
            ("contexts", f"{tables['contexts']:,}"),
            ("tables", f"{tables['tables']:,}, {tables['bytes']:,} bytes"),
        ]
    if "channels" in found:
        work = found["multiply_accumulates_per_element"]
        facts += [
            ("channels", f"{found['channels']:,} in groups of {found['group_channels']:,}"),
            ("weights", f"{found['weights']:,}"),
            ("work", f"{work:,} multiply-accumulates for each element"),
            ("sums", f"at most 2^{found['sum_bits']:.1f} of 2^53"),
        ]
    if "families" in found:
        facts += [
            ("families", ", ".join(found["families"]) or "none"),
            (
                "changes",
                f"{found['weights_changed']:,} weights, {found['states_changed']:,} states",
            ),
        ]
    if "networks" in found:
        means = f"in units of 2^-{found['fraction']}" if found["means"] else "none"
        work = found["multiply_accumulates_per_element"]
        facts += [
            ("means", means),
            ("weights", f"{sum(one['weights'] for one in found['networks'].values()):,}"),
            ("work", f"{work:,.1f} multiply-accumulates for each element"),
        ]
    return facts


def _layers(network: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts about a network, layer by layer."""
    channels = network["input_channels"]
    facts = [
        ("input", f"{channels} channels of {network['input_bits']} bits"),
        ("coded", f"{network['weights']:,} weights in {network['bytes']:,} bytes"),
    ]
    for number, layer in enumerate(network["layers"]):
        size, stride = layer["kernel"], layer["stride"]
        kind = f"{size} x {size}" + (f", stride {stride}" if stride > 1 else "")
        facts.append(
            (
                f"layer {number}",
                f"{channels} -> {layer['channels']} channels, {kind}, padding {layer['padding']}, "
                f"weights of {layer['weight_bits']} bits, {layer['activation']} to "
                f"{layer['output_bits']} bits, sums of at most {layer['bound']:,}",
            )
        )
        channels = layer["channels"]
    return facts


@app.command()
def verify(file: _File, as_json: options.Json = False) -> None:
    """Check a model: the file, its name, its tables, and that no sum of its networks overflows."""
    import refcodec
    from refcodec.probability.facts import check_model
    from refcodec.probability.kinds import load_model

    model: Model = load_model(file)
    report = refcodec.validate(file)
    for violation in report.violations:
        raise violation
    digest = model.sha256.hex()
    if len(file.stem) == len(digest) and file.stem != digest:
        raise CallerError(f"{file} has the SHA-256 {digest}", hint="rename it")
    found = {"SHA-256": digest, "file": "conforms", **check_model(model)}
    if as_json:
        print_json(found)
        return
    print_facts(console(), str(file), list(found.items()))


@app.command()
def suit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FEATURES", help="Features of training: .npy, .npz, .safetensors or .dfc."
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="For model.dfcm and analysis.safetensors; made."),
    ],
    model: options.NetworkModel,
    layer: options.NetworkLayer,
    model_file: Annotated[
        Path, typer.Option(metavar="FILE.dfcm", help="A trained hyperprior with a synthesis.")
    ],
    analysis: Annotated[
        Path, typer.Option(metavar="FILE.safetensors", help="The analysis trained with it.")
    ],
    weights: options.NetworkWeights = None,
    input_size: options.NetworkInputSize = None,
    parameter: options.Parameter = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Features to take; by default all.")
    ] = None,
    force: options.Force = False,
) -> None:
    """Suit a trained model to tail-aware encoding with the same parameters.

    The result codes features for this network in far fewer bits than the trained model does; give it to
    refcodec encode as --model-file, with the analysis beside it. --parameter takes those of tail-aware.
    """
    from refcodec.cli.networks import cut_network, stack_features, wanted_allocation
    from refcodec.config import EncoderConfig
    from refcodec.files import storage_error

    paths = [target / name for name in ("model.dfcm", "analysis.safetensors")]
    for path in paths:
        may_replace(str(path), force, [source])
    wanted = wanted_allocation("tail-aware", parameter or (), None)
    cut = cut_network(model, layer, weights, input_size)
    import numpy as np

    from refcodec.allocate.descent import TailAware
    from refcodec.allocate.methods import method_of
    from refcodec.allocate.suited import suit as suited_to

    config = EncoderConfig(
        coder="learned", model=model_file, analysis=analysis, feature_type=cut.feature_type
    )
    settings = method_of(wanted)
    assert isinstance(settings, TailAware)
    features = stack_features(source, config, cut, count=count).astype(np.float32, copy=False)
    found = suited_to(features, [cut.tail], config, settings)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, target) from None
    found.model.save(paths[0])
    found.analysis.save(paths[1])
    print_note(f"{paths[0]}: {found.model.size:,} bytes")
