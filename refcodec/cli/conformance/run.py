"""``refcodec conformance run``: a decoder against the vectors, reports, and a claim."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli.conformance.options import (
    Clauses,
    Excluded,
    Levels,
    Memory,
    Only,
    Profiles,
    ServerCommand,
    Suite,
    Tags,
    Template,
    Timeout,
    Workers,
    open_decoder,
    selection_of,
)

if TYPE_CHECKING:
    from refcodec.suite.run.results import Run

__all__ = ["print_run", "run"]


def run(
    decoder: Template = None,
    server: ServerCommand = None,
    suite: Suite = None,
    profile: Profiles = None,
    level: Levels = None,
    only: Only = None,
    exclude: Excluded = None,
    clause: Clauses = None,
    tag: Tags = None,
    timeout: Timeout = 60.0,
    memory: Memory = None,
    workers: Workers = None,
    known_failing: Annotated[
        Path | None,
        typer.Option(
            help="List of vectors that are expected to fail, one id or name per line; '# reason' after it."
        ),
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
    html_file: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a report as one page of HTML."),
    ] = None,
    docs: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Documentation that the page links to: a URL, or a path relative to it.",
        ),
    ] = None,
    claim_file: Annotated[
        Path | None,
        typer.Option("--claim", metavar="FILE", help="Write a claim, to publish and to verify."),
    ] = None,
    decoder_name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Name of the decoder in the claim.")
    ] = None,
    decoder_version: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Version of the decoder in the claim.")
    ] = None,
) -> None:
    """Run a decoder over the vectors. Exit status 0: all that were selected pass; 1: some do not.

    Options that select vectors may be repeated, and take lists with commas. A decoder is conforming only if
    every vector of the profiles and levels that it claims was run and passed.
    """
    from refcodec.cli.terminal import print_note
    from refcodec.errors import CallerError
    from refcodec.suite.manifest import load_manifest
    from refcodec.suite.run.runner import read_known_failing, run_suite
    from refcodec.suite.run.selection import Scope

    if claim_file and (decoder or server) and not decoder_version:
        raise CallerError("a claim names the version of the decoder", hint="give --decoder-version")
    manifest, scope = load_manifest(suite), Scope.parse(profile or (), level or ())
    selection = selection_of(only, exclude, clause, tag)
    print_note(f"{len(selection.choose(manifest))} vectors of {manifest.root}")
    with open_decoder(decoder, server, memory) as tested:
        done = run_suite(
            manifest,
            tested,
            scope=scope,
            selection=selection,
            timeout=timeout,
            workers=workers,
            known_failing=read_known_failing(known_failing) if known_failing else {},
        )
    _write_reports(done, json_file, junit_file, markdown_file, html_file, docs)
    if claim_file:
        _write_claim(
            claim_file, done, decoder_name or decoder or server or "refcodec", decoder_version
        )
    print_run(done)
    if done.counts["skip"] and not profile:
        print_note("a decoder that has some profiles only names them: --profile lossless")
    raise typer.Exit(0 if done.passed else 1)


def _write_reports(
    done: Run,
    json_file: Path | None,
    junit: Path | None,
    markdown: Path | None,
    page: Path | None,
    docs: str | None,
) -> None:
    from refcodec.suite.report.documents import as_json, as_junit, as_markdown
    from refcodec.suite.report.page import as_html

    for path, make in ((json_file, as_json), (junit, as_junit), (markdown, as_markdown)):
        if path is not None:
            _write(path, make(done))
    if page is not None:
        _write(page, as_html(done, docs))


def _write_claim(path: Path, done: Run, name: str, version: str | None) -> None:
    import refcodec
    from refcodec.suite.report.claim import Claim

    claim = Claim.of(done, name, version or refcodec.__version__)
    _write(path, claim.as_json())


def _write(path: Path, content: object) -> None:
    """Write a text, or a document as JSON."""
    import json

    from refcodec.files import atomic_file

    text = (
        content
        if isinstance(content, str)
        else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    )
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def print_run(done: Run) -> None:
    """Print the vectors that did not pass, the numbers by kind of vector, and the verdict."""
    from rich.table import Table

    from refcodec.cli.terminal import console, printable
    from refcodec.suite.run.results import STATUSES

    out = console()
    skipped = Counter(one.reason for one in done.results if one.status == "skip")
    for reason, count in skipped.items():
        out.print(f"skip: {count} vectors: {printable(reason)}", soft_wrap=True)
    for result in done.results:
        if result.status == "fail":
            known = ", known" if result.known else ""
            out.print(
                f"fail{known}: {result.vector.id} {result.vector.name}: {printable(result.reason)}",
                soft_wrap=True,
            )
    names = {name for one in done.suite.vectors for name in (one.id, one.name)}
    for name in done.stale:
        why = "is listed as failing, and does not" if name in names else "is no vector of the suite"
        out.print(f"stale: {printable(name)} {why}", soft_wrap=True)
    table = Table("vectors", *STATUSES, box=None, pad_edge=False)
    for kind, decoder in (("to accept", "accept"), ("to reject", "reject"), ("either", "either")):
        own = [result.status for result in done.results if result.vector.decoder == decoder]
        table.add_row(kind, *(str(own.count(status)) for status in STATUSES))
    table.add_row("all", *(str(done.counts[status]) for status in STATUSES))
    out.print(table)
    out.print(f"{printable(done.decoder)}: {done.sentence}", soft_wrap=True)
