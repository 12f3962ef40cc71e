"""``refcodec conformance``: the conformance suite against a decoder; one module per command."""

from __future__ import annotations

import typer

from refcodec.cli.conformance import (
    diff,
    drawing,
    encoder,
    export,
    fidelity,
    listing,
    run,
    verify,
)

__all__ = ["app"]

app = typer.Typer(
    help="Run the conformance suite against a decoder; test an encoder; verify an evaluation.",
    no_args_is_help=True,
)
app.command("run")(run.run)
app.command("list")(listing.list_vectors)
app.command("verify")(verify.verify)
app.command("diff")(diff.diff)
app.command("export")(export.export)
app.command("encoder")(encoder.encoder)
app.command("fidelity")(fidelity.fidelity)
app.command("generate")(drawing.generate)
app.command("hash")(drawing.hash_seeds)
