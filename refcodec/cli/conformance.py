"""``refcodec conformance``: runs the conformance suite against a decoder, or lists its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import drawing

if TYPE_CHECKING:
    from refcodec.suite.runner import Run

__all__ = ["app"]

app = typer.Typer(help="Run the conformance suite against a decoder.", no_args_is_help=True)
drawing.add_commands(app)

Suite = Annotated[
    Path | None,
    typer.Option(help="Folder of the suite; the one that comes with refcodec if absent."),
]
Only = Annotated[
    str | None,
    typer.Option(metavar="PATTERN", help="Shell pattern on ids, names, tags and profile:NAME."),
]


@app.command()
def run(
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Decoder to test, with {input} and {output}; refcodec's own if absent. It exits 0 "
            "and writes all features to {output}, each in C order, little-endian; or exits 1 and "
            "prints REJECT and the class as its last line; or exits 77 to skip a vector.",
        ),
    ] = None,
    suite: Suite = None,
    only: Only = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one vector.")] = 60.0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Vectors at a time; one per processor if absent.")
    ] = None,
    known_failing: Annotated[
        Path | None,
        typer.Option(help="List of vectors that are expected to fail, one id or name per line."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write a report as JSON.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a report as JUnit XML.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a report as Markdown.")
    ] = None,
) -> None:
    """Run a decoder over the vectors. Exit status 0: all pass; 1: some fail or are skipped."""
    from refcodec.cli.terminal import print_note
    from refcodec.suite.contract import BuiltIn, Command
    from refcodec.suite.manifest import load_manifest
    from refcodec.suite.runner import read_known_failing, run_suite

    manifest = load_manifest(suite)
    tested = Command.parse(decoder) if decoder else BuiltIn()
    known = read_known_failing(known_failing) if known_failing else []
    print_note(f"{len(manifest.select(only))} vectors of {manifest.root}")
    done = run_suite(
        manifest,
        tested,
        pattern=only,
        timeout=timeout,
        workers=workers,
        known_failing=known,
    )
    _write_reports(done, json_file, junit_file, markdown_file)
    _print_summary(done)
    raise typer.Exit(0 if done.passed else 1)


@app.command("list")
def list_vectors(suite: Suite = None, only: Only = None) -> None:
    """List the vectors: id, name, what a decoder must do, and the purpose."""
    from rich.table import Table

    from refcodec.cli.terminal import console
    from refcodec.suite.manifest import load_manifest

    table = Table("id", "name", "decoder", "purpose", box=None, pad_edge=False)
    for vector in load_manifest(suite).select(only):
        must = f"REJECT {vector.violation.reject}" if vector.violation else ""
        table.add_row(
            vector.id,
            vector.name,
            {"accept": "accept", "reject": must, "either": f"accept or {must}"}[vector.decoder],
            vector.purpose,
        )
    console().print(table)


def _write_reports(
    done: Run, json_file: Path | None, junit: Path | None, page: Path | None
) -> None:
    import json

    from refcodec.files import atomic_file
    from refcodec.suite.reports import as_json, as_junit, as_markdown

    document = json.dumps(as_json(done), indent=2, ensure_ascii=False) + "\n"
    reports = ((json_file, document), (junit, as_junit(done)), (page, as_markdown(done)))
    for path, text in reports:
        if path is not None:
            with atomic_file(path) as file:
                file.write(text.encode("utf-8"))


def _print_summary(done: Run) -> None:
    """Print the vectors that did not pass, then the numbers by kind of vector."""
    from rich.table import Table

    from refcodec.cli.terminal import console, printable

    out = console()
    for result in done.results:
        if result.status != "pass":
            known = ", known" if result.known else ""
            out.print(
                f"{result.status}{known}: {result.vector.id} {result.vector.name}: "
                f"{printable(result.reason)}",
                soft_wrap=True,
            )
    for name in done.stale:
        out.print(f"stale: {printable(name)} is listed as failing, and does not", soft_wrap=True)
    table = Table("vectors", "pass", "fail", "skip", box=None, pad_edge=False)
    for kind, decoder in (("to accept", "accept"), ("to reject", "reject"), ("either", "either")):
        own = [result.status for result in done.results if result.vector.decoder == decoder]
        table.add_row(kind, *(str(own.count(status)) for status in ("pass", "fail", "skip")))
    table.add_row("all", *(str(done.counts[status]) for status in ("pass", "fail", "skip")))
    out.print(table)
    out.print(f"{printable(done.decoder)}: {'conforming' if done.passed else 'NOT conforming'}")
