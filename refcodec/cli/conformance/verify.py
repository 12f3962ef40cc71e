"""``refcodec conformance verify``: a claim of conformance, checked again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refcodec.cli.conformance.options import (
    Memory,
    ServerCommand,
    Suite,
    Template,
    Timeout,
    Workers,
    open_decoder,
)

__all__ = ["verify"]


def verify(
    claim: Annotated[Path, typer.Argument(help="Claim that 'conformance run --claim' wrote.")],
    decoder: Template = None,
    server: ServerCommand = None,
    suite: Suite = None,
    timeout: Timeout = 60.0,
    memory: Memory = None,
    workers: Workers = None,
) -> None:
    """Check a claim against the suite; with a decoder, run it again and compare each vector.

    Exit status 0: what it claims is true, be it conformity or not; 1: it is not.
    """
    from refcodec.cli.terminal import console, printable
    from refcodec.suite.manifest import load_manifest
    from refcodec.suite.report.claim import claimed_scope, claimed_selection, read_claim
    from refcodec.suite.report.claim import verify as contradictions
    from refcodec.suite.run.runner import run_suite

    document, manifest = read_claim(claim), load_manifest(suite)
    problems = list(contradictions(document, manifest))
    if (decoder or server) and not problems:
        with open_decoder(decoder, server, memory) as tested:
            done = run_suite(
                manifest,
                tested,
                scope=claimed_scope(document),
                selection=claimed_selection(document),
                timeout=timeout,
                workers=workers,
            )
        problems += [
            f"{one.vector.id} {one.vector.name} is claimed to be {stated['status']}, and is "
            f"{one.status}: {one.reason or 'everything agrees'}"
            for one, stated in zip(done.results, document["results"], strict=True)
            if one.status != stated["status"]
        ]
    out = console()
    for problem in problems:
        out.print(f"wrong: {printable(problem)}", soft_wrap=True)
    name = f"{document['decoder']['name']} {document['decoder']['version']}"
    out.print(f"{printable(name)}: {printable(document['sentence'])}", soft_wrap=True)
    how = "run again" if decoder or server else "not run again: no --decoder"
    truth = "is wrong" if problems else f"is true: {document['verdict']}"
    out.print(f"the claim {truth} ({how})", soft_wrap=True)
    raise typer.Exit(1 if problems else 0)
