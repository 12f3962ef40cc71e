"""``refcodec store build`` and ``refcodec store verify``: stores of features by dask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import many, printable

if TYPE_CHECKING:
    from refcodec.stores import Manifest

__all__ = ["app"]

_DIFFERS = 1

_Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Scheduler of dask, tcp://host:8786; else processes of this machine.",
    ),
]
_Workers = Annotated[int, typer.Option(min=1, help="Processes, where there is no --cluster.")]

app = typer.Typer(help="Build stores of features by dask, and verify them.", no_args_is_help=True)


@app.command()
def build(
    plan: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="Source, store and encoder; see the guide."),
    ],
    cluster: _Cluster = None,
    workers: _Workers = 2,
    retries: Annotated[int, typer.Option(min=0, help="Times that a chunk is tried again.")] = 2,
    data: options.DataFolder = None,
    changes: options.Changes = None,
) -> None:
    """Build a store of features: a zarr array whose chunks are streams.

    What is there already stays: a build that was interrupted goes on.
    """
    from refcodec import stores

    found = stores.read_plan(plan, data=data, changes=changes or ())
    with stores.cluster(cluster, workers) as client, progress("building", None, "chunks") as show:
        manifest = stores.build(found, client, retries=retries, progress=show)
    typer.echo(f"{found.target}: {_summary(manifest)}")


@app.command()
def verify(
    store: Annotated[Path, typer.Argument(metavar="STORE.zarr", help="A store that was built.")],
    cluster: _Cluster = None,
    workers: _Workers = 2,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every chunk, too.")] = False,
) -> None:
    """Compare each chunk of a store with the manifest: size and SHA-256. Exit status 1 if one differs."""
    from refcodec import stores

    with stores.cluster(cluster, workers) as client, progress("verifying", None, "chunks") as show:
        faults = stores.verify(store, client, decode=decode, progress=show)
    for fault in faults:
        typer.echo(printable(f"{fault.key} {fault.what}"))
    if faults:
        raise typer.Exit(_DIFFERS)
    typer.echo(f"{store}: every chunk is as the manifest says")


def _summary(manifest: Manifest) -> str:
    size = sum(one.size for one in manifest.entries.values())
    features = manifest.facts["shape"][0]
    return (
        f"{many(features, 'feature')} in {many(len(manifest.entries), 'chunk')}, {size:,} bytes, "
        f"{size / features:,.1f} a feature"
    )
