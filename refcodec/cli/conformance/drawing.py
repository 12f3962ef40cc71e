"""``refcodec conformance generate`` and ``refcodec conformance hash``: streams drawn from seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.conformance.options import ServerCommand, Template, Timeout, open_decoder
from refcodec.cli.progress import progress
from refcodec.errors import CallerError

if TYPE_CHECKING:
    from refcodec.cli.arrays import Array
    from refcodec.syntax.codes import Profile

__all__ = ["generate", "hash_seeds"]

_ProfileName = Annotated[
    str, typer.Option("--profile", help="lossless, native, realtime, learned, hevc or av1.")
]
_Level = Annotated[int, typer.Option(min=1, max=4, help="The highest level of a stream.")]
_Seed = Annotated[int, typer.Option(min=0, help="Seed of the first stream; the others follow.")]


def generate(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the suite.")],
    profile: _ProfileName = "lossless",
    level: _Level = 1,
    coder: Annotated[
        list[str] | None,
        typer.Option(
            "--coder", metavar="NAME", help="Coders to draw; all of the profile if absent."
        ),
    ] = None,
    seed: _Seed = 0,
    count: Annotated[int, typer.Option(min=1, help="Number of valid streams.")] = 100,
    features: Annotated[
        str | None,
        typer.Option(metavar="FILE", help=".npy, .npz, .safetensors or .dfc: features to code."),
    ] = None,
    invalid: Annotated[
        bool, typer.Option("--invalid", help="Add an invalid stream beside each valid one.")
    ] = False,
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="Prefix of the ids, in capital letters.")
    ] = "DRAWN",
    ffmpeg: options.Ffmpeg = None,
) -> None:
    """Draw streams at random, and write them as a suite for refcodec conformance run.

    A walk over the whole syntax: elements at their bounds and between, all branches, all payload coders. The
    same seed gives the same bytes on every machine; hevc and av1 depend on the version of an encoder.
    """
    from refcodec.suite.drawn.folder import COVERAGE_NAME, Plan
    from refcodec.suite.drawn.folder import generate as write_suite
    from refcodec.suite.run.selection import split_lists

    plan = Plan(
        profile=_profile(profile),
        level=level,
        coders=split_lists(coder or ()),
        seed=seed,
        count=count,
        invalid=invalid,
        features=_arrays(features),
        prefix=prefix,
        ffmpeg=ffmpeg,
    )
    with progress("drawing", count, "streams") as show:
        coverage = write_suite(output, plan, show)
    points, missing = coverage.points, coverage.missing
    left_out = sum(coverage.left_out.values())
    for why, number in coverage.left_out.items():
        print(f"{number} streams left out: {why}")
    print(f"{output}: {count - left_out} streams; {COVERAGE_NAME} lists what they reach")
    print(f"elements and branches reached: {len(points) - len(missing)} of {len(points)}")


def hash_seeds(
    profile: _ProfileName = "lossless",
    level: _Level = 1,
    seed: _Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 10_000,
    decoder: Template = None,
    server: ServerCommand = None,
    timeout: Timeout = 60.0,
    workers: Annotated[int, typer.Option(min=1, help="Streams at a time; one with a server.")] = 1,
    ffmpeg: options.Ffmpeg = None,
) -> None:
    """Decode the streams of many seeds, and print one line that hashes all of their features.

    Exit status 0: every stream gave the features drawn; 1: some did not, the first of which are listed, or
    the decoder skipped some.
    """
    from collections import Counter

    from refcodec.suite.drawn.line import Task, line_of, outcomes, reference_line

    chosen, found = range(seed, seed + seeds), []
    with (
        open_decoder(decoder, server, None) as tested,
        progress("decoding", seeds, "streams") as show,
    ):
        own = decoder is None and server is None
        task = Task(_profile(profile), level, None if own else tested, timeout, ffmpeg)
        for one in outcomes(task, chosen, workers if server is None else 1):
            found.append(one)
            show(len(found))
    wrong = [one for one in found if one.problem]
    for one in wrong[:10]:
        print(f"seed {one.seed}: {one.problem}")
    skipped = Counter(one.skip for one in found if one.skip)
    for why, number in skipped.most_common(10):
        print(f"{number} of {seeds} skipped: {why}")
    line, kept = line_of(task, chosen, found), reference_line(task, chosen)
    print(line)
    left = seeds - skipped.total()
    if skipped:
        print(f"NOT a pass: the line covers {left} of {seeds} streams; the others were skipped")
    elif kept is not None:
        print("the reference's line" if line == kept else f"NOT the reference's: {kept}")
    if wrong:
        print(f"{len(wrong)} of {left} streams were not decoded as drawn")
    raise typer.Exit(int(bool(wrong or skipped) or kept not in (None, line)))


def _profile(name: str) -> Profile:
    from refcodec.registry import profile_coders, suggest

    known = {one.name.lower(): one for one in profile_coders()}
    if name not in known:
        raise CallerError(
            f"the profile is {name!r}; it is one of {', '.join(known)}", hint=suggest(name, known)
        )
    return known[name]


def _arrays(path: str | None) -> tuple[Array, ...]:
    from refcodec.cli.arrays import open_features

    if path is None:
        return ()
    with open_features(path) as found:
        arrays = tuple(found.features)
    if not arrays:
        raise CallerError(f"{path} has no features")
    return arrays
