"""``refcodec conformance export``: the suite for other runners."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from refcodec.cli.conformance.options import Suite

__all__ = ["export"]


class Format(StrEnum):
    """The forms of an export."""

    fluster = "fluster"
    zip = "zip"


def export(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The archive to write, or the folder for fluster.")
    ],
    form: Annotated[
        Format, typer.Option("--format", help="fluster: test suites of fluster; zip: one archive.")
    ],
    suite: Suite = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Address from which fluster will download the archive; its file in OUT if absent."
        ),
    ] = None,
    ffmpeg: Annotated[
        str | None, typer.Option(help="Program to run for HEVC, VVC and AV1.")
    ] = None,
) -> None:
    """Write the suite as test suites of fluster, or as one self-contained ZIP archive.

    The expected outputs are decoded here, and checked against the manifest. The same suite gives the same
    bytes.
    """
    from refcodec.cli.progress import progress
    from refcodec.errors import CallerError
    from refcodec.suite.export.archive import archive_of
    from refcodec.suite.export.fluster import ARCHIVE, fluster_files
    from refcodec.suite.manifest import load_manifest
    from refcodec.suite.run.outputs import written_outputs

    if url is not None and form is Format.zip:
        raise CallerError("--url belongs to --format fluster")
    manifest = load_manifest(suite)
    count = sum(vector.decoder != "reject" for vector in manifest.vectors)
    with progress("decoding", count, "vectors") as show:
        outputs = written_outputs(
            manifest,
            manifest.vectors,
            ffmpeg=ffmpeg,
            workers=os.cpu_count() or 1,
            progress=show,
        )
    archive = archive_of(manifest, outputs, _network())
    if form is Format.zip:
        _write(out, archive)
        return
    address = url or (out / ARCHIVE).resolve().as_uri()
    for name, data in fluster_files(manifest, outputs, address, archive).items():
        _write(out / name, data, made=True)


def _network() -> dict[str, bytes]:
    """The demonstration network's weights and their description, for the fidelity vectors."""
    from importlib.resources import files

    home = files("refcodec.demo")
    return {
        f"fidelity/{name}": (home / name).read_bytes() for name in ("weights.npz", "network.py")
    }


def _write(path: Path, data: bytes, *, made: bool = False) -> None:
    """Write a file, and first its folder if that is to be ``made``."""
    from refcodec.files import atomic_file, storage_error

    if made:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, path.parent) from None
    with atomic_file(path) as file:
        file.write(data)
    typer.echo(f"{len(data):>9,} bytes  {path}")
