"""``refcodec conformance encoder``: checks the streams of an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.conformance.options import Suite

if TYPE_CHECKING:
    from rich.console import Console

    from refcodec.suite.encoders.coverage import Coverage
    from refcodec.suite.encoders.report import EncoderReport, Sources, StreamReport
    from refcodec.suite.manifest import Manifest

__all__ = ["encoder"]


def encoder(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Streams, folders of .dfc files, or patterns."),
    ],
    source: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FEATURES",
            help="Features that the streams were encoded from: one file for all, or one for each.",
        ),
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(help="Largest difference of a value from its source.")
    ] = None,
    min_snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Least SNR of a stream.")
    ] = None,
    suite: Suite = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name every element that no stream has.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write a report as JSON.")
    ] = None,
    ffmpeg: options.Ffmpeg = None,
) -> None:
    """Check the streams that an encoder wrote: violations, distortion, waste, and tools never used.

    Exit status 0: all conform and are as near to their source as they declare; 1: some do not.
    """
    import json

    from refcodec.cli.progress import progress
    from refcodec.cli.terminal import console
    from refcodec.cli.verdicts import found_files
    from refcodec.errors import CallerError
    from refcodec.files import atomic_file
    from refcodec.suite.encoders.report import Bounds, EncoderReport, check_stream
    from refcodec.suite.manifest import load_manifest

    if (max_error is not None or min_snr is not None) and not source:
        raise CallerError("--max-error and --min-snr need --source")
    names, origins = found_files(files), source or []
    if len(origins) not in (0, 1, len(names)):
        raise CallerError(
            f"{len(origins)} sources for {len(names)} streams", hint="give one, or one for each"
        )
    report, bounds = EncoderReport(load_manifest(suite)), Bounds(max_error, min_snr)
    with progress("checking", len(names), "files") as show:
        for number, name in enumerate(names):
            own = origins[number if len(origins) > 1 else 0] if origins else None
            report.streams.append(
                check_stream(
                    name,
                    report.coverage,
                    sources=_sources(own) if own else None,
                    bounds=bounds,
                    ffmpeg=ffmpeg,
                )
            )
            show(number + 1)
    if json_file is not None:
        with atomic_file(json_file) as file:
            text = json.dumps(report.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
            file.write(f"{text}\n".encode())
    _print_report(console(), report, verbose)
    raise typer.Exit(0 if report.passed else 1)


def _sources(path: Path) -> Sources:
    """The features of a file, opened anew for each stream."""

    @contextmanager
    def opened() -> Iterator[Iterator[Any]]:
        from refcodec.cli.arrays import open_features

        with open_features(str(path)) as found:
            yield found.features

    return opened


# --- what is said ----------------------------------------------------------------------------------


def _print_report(out: Console, report: EncoderReport, verbose: bool) -> None:
    for stream in report.streams:
        _print_stream(out, stream)
    if report.coverage.elements:
        _print_coverage(out, report.coverage, report.suite, verbose)
    passed = sum(one.passed for one in report.streams)
    out.print(f"{passed} of {len(report.streams)} streams pass", style="bold")


def _print_stream(out: Console, stream: StreamReport) -> None:
    from refcodec.cli.terminal import printable
    from refcodec.cli.verdicts import print_verdict

    if stream.validation is None:
        out.print(f"{printable(stream.file)}: ", style="bold", end="", soft_wrap=True)
        out.print("not read", style="yellow")
    else:
        print_verdict(out, {"file": stream.file, "error": None, **stream.validation.as_json()})
    for problem in stream.problems:
        if not problem.startswith("not verified"):
            out.print("  problem     ", style="red", end="")
            out.print(printable(problem), soft_wrap=True)
    if stream.distortion is not None and stream.distortion.features:
        found = stream.distortion
        out.print("  distortion  ", style="cyan", end="")
        out.print(
            f"{found.exact:,} of {found.features:,} features bit for bit "
            f"({found.lossless:,} declared so), largest error {found.max_error:g}, "
            f"SNR {found.snr:.2f} dB",
            soft_wrap=True,
        )
    for advice in stream.advice:
        place = "" if advice.where is None else f"byte {advice.where}: "
        saved = "" if advice.bytes is None else f" ({advice.bytes:,} bytes)"
        out.print("  advice      ", style="yellow", end="")
        out.print(f"{place}{advice.what}{saved} [clause {advice.clause}]", soft_wrap=True)


def _print_coverage(out: Console, coverage: Coverage, suite: Manifest, verbose: bool) -> None:
    unused = coverage.unused_elements()
    elements = _by_word(unused, ".")
    heading = f"elements, {len(unused)} of {len(coverage.declared)}"
    if not verbose:
        whole = _by_word(coverage.declared, ".")
        elements = {
            name: [f"{len(own)} of {len(whole[name])}" if len(own) < len(whole[name]) else "all"]
            for name, own in elements.items()
        }
        heading += " (--verbose names them)"
    out.print("never used by these streams", style="bold")
    _print_lists(out, heading, elements)
    _print_lists(out, "values", coverage.unused_values())
    _print_lists(out, "tools", _by_word(coverage.unused_tools(suite), ":"))


def _by_word(names: Iterable[str], mark: str) -> dict[str, list[str]]:
    """The words after the mark of each name, by the one before it; names without a mark come last."""
    found: dict[str, list[str]] = {}
    for name in names:
        word, _, rest = name.rpartition(mark)
        found.setdefault(word, []).append(rest)
    last = found.pop("", [])
    return found | ({"others": last} if last else {})


def _print_lists(out: Console, heading: str, lists: Mapping[str, Sequence[str]]) -> None:
    """A heading, and named lists of words, each wrapped to the width of the terminal."""
    from rich.text import Text

    if not lists:
        return
    out.print(f"  {heading}", style="cyan")
    for name, words in lists.items():
        text = f"{name}: {', '.join(words)}"
        for line in wrap(
            text,
            max(40, out.width),
            initial_indent="    ",
            subsequent_indent=6 * " ",
            break_long_words=False,
            break_on_hyphens=False,
        ):
            out.print(Text(line), soft_wrap=True)
