"""``refcodec store``: stores of features, built, verified and exported by dask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import many, printable
from refcodec.errors import CallerError

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

_Store = Annotated[
    str,
    typer.Argument(metavar="STORE", help="A store that was built: a folder, or a URL of fsspec."),
]
_Storage = Annotated[
    list[str] | None,
    typer.Option(
        "--storage",
        metavar="KEY=VALUE",
        help="Option of the file system of a URL: endpoint_url=http://…; may be repeated.",
    ),
]

app = typer.Typer(
    help="Build stores of features by dask, verify and export them.", no_args_is_help=True
)


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
    store: _Store,
    cluster: _Cluster = None,
    workers: _Workers = 2,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every chunk, too.")] = False,
    storage: _Storage = None,
) -> None:
    """Compare each chunk of a store with the manifest: size and SHA-256. Exit status 1 if one differs."""
    from refcodec import stores

    chosen = _chosen(storage)
    with stores.cluster(cluster, workers) as client, progress("verifying", None, "chunks") as show:
        faults = stores.verify(store, client, decode=decode, options=chosen, progress=show)
    for fault in faults:
        typer.echo(printable(f"{fault.key} {fault.what}"))
    if faults:
        raise typer.Exit(_DIFFERS)
    typer.echo(f"{store}: every chunk is as the manifest says")


@app.command()
def export(
    store: _Store,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="A .safetensors or .parquet to write.")
    ],
    features: Annotated[
        int | None,
        typer.Option(min=1, help="Features of a file, rounded up to whole chunks; else one file."),
    ] = None,
    cluster: _Cluster = None,
    workers: _Workers = 2,
    storage: _Storage = None,
) -> None:
    """Export a store to .safetensors or .parquet, chunk by chunk, several files at once.

    Files that are there already stay: an export that was interrupted goes on.
    """
    from refcodec import stores

    chosen = _chosen(storage)
    with stores.cluster(cluster, workers) as client, progress("exporting", None, "files") as show:
        found = stores.export(
            store, target, client, features=features, options=chosen, progress=show
        )
    for path in found:
        typer.echo(printable(str(path)))


def _chosen(storage: list[str] | None) -> dict[str, str]:
    """Options of a file system. Raises CallerError."""
    found = {}
    for one in storage or ():
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise CallerError(f"{one!r} is not of the form KEY=VALUE")
        found[key] = value
    return found


def _summary(manifest: Manifest) -> str:
    size = sum(one.size for one in manifest.entries.values())
    features = manifest.facts["shape"][0]
    return (
        f"{many(features, 'feature')} in {many(len(manifest.entries), 'chunk')}, {size:,} bytes, "
        f"{size / features:,.1f} a feature"
    )
