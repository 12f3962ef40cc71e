"""``refcodec conformance list``: the vectors of a suite."""

from __future__ import annotations

from refcodec.cli.conformance.options import (
    Clauses,
    Excluded,
    Levels,
    Only,
    Profiles,
    Suite,
    Tags,
    selection_of,
)

__all__ = ["list_vectors"]


def list_vectors(
    suite: Suite = None,
    profile: Profiles = None,
    level: Levels = None,
    only: Only = None,
    exclude: Excluded = None,
    clause: Clauses = None,
    tag: Tags = None,
) -> None:
    """List the vectors: id, name, what a decoder must do, and the purpose."""
    from rich.table import Table

    from refcodec.cli.terminal import console
    from refcodec.suite.manifest import load_manifest
    from refcodec.suite.run.selection import Scope

    manifest, scope = load_manifest(suite), Scope.parse(profile or (), level or ())
    table = Table("id", "name", "decoder", "purpose", box=None, pad_edge=False)
    for vector in selection_of(only, exclude, clause, tag).choose(manifest):
        if scope.objection(manifest, vector):
            continue
        must = f"REJECT {vector.violation.reject}" if vector.violation else ""
        table.add_row(
            vector.id,
            vector.name,
            {"accept": "accept", "reject": must, "either": f"accept or {must}"}[vector.decoder],
            vector.purpose,
        )
    console().print(table)
