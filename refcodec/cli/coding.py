"""``refcodec encode``, ``refcodec append`` and ``refcodec decode``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import refcodec
from refcodec.cli import options
from refcodec.cli.configuration import Choices, encoder_config, with_encoder_options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import (
    PIPE,
    may_replace,
    open_input,
    places_of_models,
    print_note,
    print_rate,
    printable,
    standard_output,
)
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.files import storage_error

if TYPE_CHECKING:
    from refcodec.cli.arrays import Array

__all__ = ["Output", "append", "decode", "encode"]


class Output(StrEnum):
    """Arrays that can be written of each feature."""

    FEATURES = "features"
    LATENTS = "latents"
    DEVIATIONS = "deviations"


@with_encoder_options(
    remarks={
        "metadata": "May be repeated.",
        "qp": "--qp-file gives one per channel. Not for tail-aware native, which has a parameter qp.",
        "target_size": "With a model: of features on average, hevc too.",
        "target_snr": "With a model: of the network's output, hevc too.",
    }
)
def encode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help=".npy, .npz, .safetensors, or .dfc to code anew; - is .npy on a pipe.",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="OUT.dfc", help="The stream; - is a pipe.")],
    choices: Choices,
    key: options.Key = None,
    qp_file: options.QpFile = None,
    model: options.Model = None,
    layer: options.Layer = None,
    weights: options.Weights = None,
    input_size: options.InputSize = None,
    allocation: options.Allocation = None,
    parameter: options.Parameter = None,
    sensitivity: options.Sensitivity = None,
    fit_statistics: options.FitStatistics = False,
    target_fidelity: options.TargetFidelity = None,
    force: options.Force = False,
) -> None:
    """Code features as a stream.

    An array of rank 1 or 3 is one feature, D or C x H x W; one of rank 2 or 4 is a batch of them. With
    --type tokens, one of rank 2 or 3 is a feature, T x D or heads x T x D.
    """
    network = (model, layer, weights, input_size)
    named_files = (qp_file, weights, sensitivity, choices.get("model"), choices.get("analysis"))
    files = [source, *(str(one) for one in named_files if one is not None)]
    named = any(one is not None for one in network)
    advised = named or sensitivity is not None
    if not advised:
        if allocation or parameter or fit_statistics or target_fidelity is not None:
            raise CallerError(
                "--allocation, --parameter, --fit-statistics and --target-fidelity ask the rest of the "
                "network",
                hint="give --model and --layer",
            )
        _encode(source, target, encoder_config(choices), key, qp_file, force=force, sources=files)
        return
    if qp_file is not None:
        raise CallerError("--qp-file and an allocation of bits exclude each other")
    may_replace(target, force, files)
    goal = {"fidelity": target_fidelity}
    for name in ("snr", "size"):
        goal[name] = choices.pop(f"target_{name}", None)
    config = encoder_config(choices)
    from refcodec.cli.networks import cut_network, encode_for_network, wanted_allocation

    encode_for_network(
        source,
        target,
        config,
        key,
        wanted_allocation(allocation, parameter or (), sensitivity),
        cut_network(*network) if named else None,
        goal,
        fit_statistics=fit_statistics,
    )


@with_encoder_options(remarks={"metadata": "May be repeated; goes before that of FILE."})
def append(
    target: Annotated[
        str, typer.Argument(metavar="FILE.dfc", help="The stream; made where there is none.")
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help=".npy, .npz, .safetensors, or .dfc to code anew; - is .npy on a pipe.",
        ),
    ],
    choices: Choices,
    key: options.Key = None,
    qp_file: options.QpFile = None,
) -> None:
    """Code features, and add them to a stream.

    What FILE.dfc holds is copied as it is, and the old file stays until the new one is whole. To join streams
    without coding anything anew, use refcodec concat.
    """
    if target == PIPE:
        raise CallerError("append takes a file", hint="use refcodec encode on a pipe")
    _encode(source, target, encoder_config(choices), key, qp_file, mode="a")


def _encode(
    source: str,
    target: str,
    config: EncoderConfig,
    key: str | None,
    qp_file: Path | None,
    *,
    mode: str = "w",
    force: bool = False,
    sources: Sequence[str] = (),
) -> None:
    from refcodec.cli.arrays import open_features

    output = standard_output() if target == PIPE else target
    with open_features(source, key, tokens=config.tokens) as found:
        qps = _qps(qp_file, found.count)
        if mode == "w":
            may_replace(target, force, sources)
        with (
            progress("encoding", found.count) as show,
            refcodec.create(
                output,
                found.kept_by(config) if mode == "w" else config,
                mode=mode,
                exist_ok=True,
                progress=show,
            ) as writer,
        ):
            elements = original = 0
            for number, (feature, qp) in enumerate(zip(found.features, qps, strict=False)):
                with _naming(source, found.origin(number)):
                    writer.write(feature, qp=qp)
                elements, original = elements + feature.size, original + feature.nbytes
    if mode == "a":
        print_note(f"{target}: features {found.count:,} more")
    elif target != PIPE and elements:
        print_rate(target, found.count, elements, original)


@contextmanager
def _naming(source: str, origin: str) -> Iterator[None]:
    """Say in errors which array of a file is meant."""
    try:
        yield
    except CallerError as error:
        if not origin:
            raise
        hint = error.hint or "--key takes one array"
        raise CallerError(f"{source}, {origin}: {error.what}", hint=hint) from None


def _qps(path: Path | None, count: int) -> Iterable[list[int] | None]:
    """The QPs of each feature, from a JSON file; None for those of the configuration."""
    if path is None:
        return repeat(None)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error(error, path) from None
    except ValueError as error:
        raise CallerError(f"{path} is not JSON: {error}") from None
    if _integers(found):
        return repeat(found)
    if not isinstance(found, list) or not all(map(_integers, found)):
        raise CallerError(f"{path} is neither a list of integers nor a list of such lists")
    if len(found) != count:
        raise CallerError(f"{path} has QPs for {len(found)} features; there are {count}")
    return found


def _integers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def decode(
    source: Annotated[str, typer.Argument(metavar="IN.dfc", help="The stream; - is a pipe.")],
    target: Annotated[
        str,
        typer.Argument(metavar="OUT", help=".npy, .npz or .safetensors; - is .npy on a pipe."),
    ],
    max_level: options.MaxLevel = None,
    ffmpeg: options.Ffmpeg = None,
    timeout: options.Timeout = None,
    models: options.Models = None,
    salvage: options.Salvage = False,
    workers: options.Workers = None,
    output: Annotated[
        Output,
        typer.Option(help="latents and deviations: those of a hyperprior, without its synthesis."),
    ] = Output.FEATURES,
    tokens: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:STOP",
            help="Some tokens of each sequence alone, such as 128:256, from the features that hold them.",
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Reconstruct the features of a stream.

    Arrays get back the names and batches that they were coded from, and tokens that continue one another are
    one array. Else a .npy stacks several features of one shape, and .npz and .safetensors hold an array each.
    Metadata go into .safetensors. With --salvage, the intact features of a damaged stream are decoded, and
    standard error lists what is missing.
    """
    from refcodec.cli.arrays import count_arrays
    from refcodec.cli.outputs import write_features
    from refcodec.tables import HIGHEST_LEVEL

    may_replace(target, force, [source])
    wanted = None if tokens is None else _range_of(tokens)
    if wanted is not None and (source == PIPE or salvage or output != Output.FEATURES):
        raise CallerError("--tokens takes a file, and neither --salvage nor --output")
    with open_input(source) as file:
        reader = refcodec.open(
            file,
            max_level=HIGHEST_LEVEL if max_level is None else max_level,
            ffmpeg=ffmpeg,
            timeout=timeout,
            salvage=salvage,
            models=places_of_models(models, source),
            workers=workers,
            output="features" if output == Output.FEATURES else "latents",
        )
        if wanted is not None:
            decoded: Iterable[Any] = _some_tokens(reader, wanted)
        else:
            decoded = _salvaged(reader) if salvage else reader.arrays()
        total = None if source == PIPE or salvage else count_arrays(reader)
        with progress("decoding", total) as show:
            features = _counted(_part(decoded, output), show)
            first = list(islice(features, 1))  # a pipe's metadata are known by now
            count = write_features(target, chain(first, features), reader.metadata, total)
    if target != PIPE:
        print_note(f"{target}: features {count:,}")


def _range_of(text: str) -> slice:
    """A range of tokens: ``FIRST:STOP``, where either may be missing. Raises CallerError."""
    first, colon, stop = text.partition(":")
    try:
        bounds = [int(one) if one else None for one in (first, stop)]
    except ValueError:
        colon = ""
    if not colon:
        raise CallerError(f"--tokens is {text!r:.40}; it is FIRST:STOP, such as 128:256")
    return slice(*bounds)


def _some_tokens(reader: refcodec.Reader, wanted: slice) -> Iterator[Array]:
    """A range of the tokens of each sequence. Raises CallerError for features that are no tokens."""
    sequences = reader.sequences
    if not sequences or sum(len(one.numbers) for one in sequences) != len(reader):
        raise CallerError("--tokens: the stream has features that are no tokens")
    lengths = [len(one) for one in sequences]
    if not any(range(length)[wanted] for length in lengths):
        raise CallerError(f"--tokens: there are none, as the longest sequence has {max(lengths)}")
    return (one[wanted] for one in sequences)


def _part(decoded: Iterable[Any], output: Output) -> Iterator[Array]:
    """The arrays that are asked for."""
    for one in decoded:
        if output == Output.FEATURES:
            yield one
        elif output == Output.LATENTS:
            yield one.values
        elif one.deviations is not None:
            yield one.deviations
        else:
            raise CallerError("these latents have no deviations: their model is no hyperprior")


def _salvaged(reader: refcodec.Reader) -> Iterator[Array]:
    """The features of a damaged stream; after the last one, what is missing is said."""
    count = 0
    for feature in reader:
        yield feature
        count += 1
    for gap in reader.missing:
        print(printable(f"missing: {gap}"), file=sys.stderr)
    if not count and reader.missing:
        raise CallerError("nothing of the stream can be salvaged", hint="see refcodec validate")


def _counted(features: Iterable[Array], show: Any) -> Iterator[Array]:
    for number, feature in enumerate(features, 1):
        yield feature
        show(number)
