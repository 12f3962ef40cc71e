"""``refcodec conformance encoder``: checks the streams of an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    _print_report(console(), report)
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


def _print_report(out: Console, report: EncoderReport) -> None:
    for stream in report.streams:
        _print_stream(out, stream)
    if report.coverage.elements:
        _print_coverage(out, report.coverage, report.suite)
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


def _print_coverage(out: Console, coverage: Coverage, suite: Manifest) -> None:
    out.print("never used by these streams", style="bold")
    rows = [("elements", ", ".join(coverage.unused_elements()))]
    rows += [(name, ", ".join(rest)) for name, rest in coverage.unused_values().items()]
    rows.append(("tools", ", ".join(coverage.unused_tools(suite))))
    for name, text in rows:
        if text:
            out.print(f"  {name}: ", style="cyan", end="", soft_wrap=True)
            out.print(text, soft_wrap=True)
