"""The job of ``refcodec demo``: rates and fidelity for a small network, in little time.

Every cut of the network in `refcodec.demo.network` is coded with every setting of `SETTINGS`, the
whole set of images in one file.  The file is decoded and validated, and the rest of the network
runs on the decoded features: rate is the size of real files, fidelity the share of unchanged decisions.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

import refcodec
from refcodec.config import EncoderConfig
from refcodec.demo.network import FEATURE_SHAPES, Floats, Network, load_held_out
from refcodec.demo.row import Row
from refcodec.files import atomic_file, storage_error
from refcodec.metrics import compression_rate, fidelity, top1_accuracy

__all__ = ["SETTINGS", "run_demo"]

SETTINGS: Final[Sequence[EncoderConfig]] = (
    *(
        EncoderConfig(coder=coder)
        for coder in ("raw", "zlib", "gzip", "bzip2", "lzma", "native-lossless")
    ),
    *(EncoderConfig(coder="native", qp=qp) for qp in (12, 24, 32, 38, 42)),
    *(EncoderConfig(coder="hevc", qp=qp) for qp in (16, 28, 36, 42, 48)),
    *(EncoderConfig(coder="raw", quantiser="uniform", bits=bits) for bits in (8, 4, 2, 1)),
    *(EncoderConfig(coder="raw", quantiser="log", bits=bits) for bits in (4, 3, 2)),
)
"""The settings that the demonstration tries: lossless, native, HEVC, and plain quantisation.

Native and HEVC take their defaults but for the QP. Those of HEVC are 10-bit uniform samples, channels tiled
into one frame.
"""

KEPT: Final = 0.99
"""Share of decisions to be kept by the files in the closing summary."""


def run_demo(
    output: Path,
    console: Console,
    *,
    images: int | None = None,
    settings: Sequence[EncoderConfig] = SETTINGS,
) -> int:
    """Run the demonstration: print a table, and write streams, results and a plot.

    output   : the folder to write to; made if it does not exist, and files of an earlier run replaced.
    console  : console to print to.
    images   : number of held-out images to code; None for all.
    settings : configurations to code them with, at every cut.

    Returns the exit status: 0 if every stream conforms and the lossless ones are bit-exact, else 1.
    Raises CallerError if ``output`` cannot be written, EnvironmentFault if ffmpeg cannot run.
    """
    streams = output / "streams"
    try:
        streams.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, streams) from None
    pixels, labels = load_held_out()
    pixels, labels = pixels[:images], labels[:images]
    network = Network.load()
    _warm_up(settings)
    rows = []
    with _progress(console) as progress:
        task = progress.add_task("", total=len(FEATURE_SHAPES) * len(settings))
        for layer in FEATURE_SHAPES:
            features = network.head(pixels, layer)
            for config in settings:
                progress.update(task, description=f"{layer}, {_describe(config)}")
                rows.append(_measure(network, layer, features, labels, config, streams))
                progress.advance(task)
    console.print(_table(rows, len(pixels), console))
    written = [*_write_plot(output, rows, console), _write_results(output, rows, len(pixels))]
    _print_summary(output, rows, written, console)
    return 0 if all(row.passed for row in rows) else 1


def _warm_up(settings: Sequence[EncoderConfig]) -> None:
    """Compile the kernels of the native coders, once per machine, before times are measured."""
    for coder in sorted({config.coder for config in settings if config.coder.startswith("native")}):
        refcodec.decode(refcodec.encode(np.eye(8, dtype=np.float32)[None], coder=coder))


# --- measuring -------------------------------------------------------------------------------------


def _measure(
    network: Network,
    layer: str,
    features: Floats,
    labels: npt.NDArray[np.int64],
    config: EncoderConfig,
    folder: Path,
) -> Row:
    """Code the features of one cut into a file, decode it, and measure."""
    path = folder / f"{layer} {_describe(config)}.dfc".lower().replace(" ", "-")
    start = time.perf_counter()
    with refcodec.create(path, config, feature_type=layer, exist_ok=True) as writer:
        for feature in features:
            writer.write(feature)
    encoded = time.perf_counter()
    with refcodec.open(path) as reader:
        decoded = np.stack(list(reader))
    finished = time.perf_counter()
    logits = network.tail(decoded, layer)
    size = path.stat().st_size
    return Row(
        layer=layer,
        config=config,
        path=path,
        elements=features.size,
        coded_bytes=size,
        compression_rate=compression_rate(size, features),
        fidelity=fidelity(logits, network.tail(features, layer)),
        accuracy=top1_accuracy(logits, labels),
        encode_seconds=encoded - start,
        decode_seconds=finished - encoded,
        bit_exact=decoded.tobytes() == features.tobytes(),
        conforming=refcodec.validate(path).conforming,
    )


def _describe(config: EncoderConfig) -> str:
    """Name of a setting in the table and in names of files: the coder and its options."""
    if config.coder in ("native", "hevc"):
        return f"{config.coder} QP {config.qp}"
    if config.lossy_quantiser:
        return f"{config.coder} {config.lossy_quantiser} {config.bits} bit"
    return "native lossless" if config.coder == "native-lossless" else f"{config.coder} lossless"


# --- printing --------------------------------------------------------------------------------------


def _progress(console: Console) -> Progress:
    """A progress bar that disappears when the work is done, and does not appear in logs."""
    return Progress(
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _table(rows: Sequence[Row], images: int, console: Console) -> Table:
    """Table of the rows, in one section per cut, for a terminal of 80 columns."""
    table = Table(
        title=f"Features of {images} held-out digits, coded and decoded",
        caption="  size: of the file, over float32\n"
        "  fidelity: share of the images with an unchanged decision\n"
        "  M/s: million elements per second, the start of ffmpeg included\n"
        "  ok: the stream conforms, and is bit-exact if lossless",
        caption_justify="left",
        box=box.HORIZONTALS,
        padding=(0, 0, 0, 1),
    )
    table.add_column("", no_wrap=True)
    for name in (
        "bits an\nelement", "\nsize", "\nfidelity", "\naccuracy", "encode\nM/s", "decode\nM/s",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    table.add_column("\nok", justify="center")
    yes, no = ("✓", "✗") if console.encoding.lower().startswith("utf") else ("yes", "NO")
    for layer, section in groupby(rows, key=lambda row: row.layer):
        table.add_section()
        table.add_row(f"{layer} {' x '.join(map(str, FEATURE_SHAPES[layer]))}", style="bold")
        for row in section:
            table.add_row(
                _describe(row.config),
                f"{row.bits_per_element:.2f}",
                f"{row.compression_rate:.1%}",
                f"{row.fidelity:.3f}",
                f"{row.accuracy:.3f}",
                f"{row.elements / row.encode_seconds / 1e6:.2f}",
                f"{row.elements / row.decode_seconds / 1e6:.2f}",
                Text(yes, "green") if row.passed else Text(no, "bold red"),
            )
    return table


def _print_summary(
    output: Path, rows: Sequence[Row], written: Sequence[str], console: Console
) -> None:
    """Print the files written, and the smallest ones that keep the decisions."""

    def say(text: str) -> None:
        # A path may contain brackets that are not markup, and a copied line should not be wrapped.
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"\nWritten to {output}: {', '.join(written)}, and {len(rows)} files in streams")
    best = list(_thriftiest(rows))
    if not best:
        return
    say(f"\nWhat to look at: the smallest file that keeps {KEPT:.0%} of the decisions")
    for row in best:
        say(
            f"  {row.layer:4}  {_describe(row.config):17} {row.bits_per_element:6.2f} bits per element, "
            f"1/{1 / row.compression_rate:.0f} of float32"
        )
    say(f"\nEvery bit of it: refcodec inspect {best[0].path}")


def _thriftiest(rows: Sequence[Row]) -> Iterator[Row]:
    """The smallest file of each cut that keeps the decisions, if there is one."""
    for _, section in groupby(rows, key=lambda row: row.layer):
        kept = [row for row in section if row.fidelity >= KEPT]
        if kept:
            yield min(kept, key=lambda row: row.coded_bytes)


# --- writing ---------------------------------------------------------------------------------------


def _write_plot(output: Path, rows: Sequence[Row], console: Console) -> list[str]:
    """Write the plot as PNG and SVG, if matplotlib is installed; returns the names."""
    try:
        from refcodec.demo.plot import draw
    except ImportError:
        console.print("No plot without matplotlib: pip install 'refcodec[demo]'", markup=False)
        return []
    names = []
    for suffix, data in draw(rows).items():
        names.append(f"rate-fidelity.{suffix}")
        with atomic_file(output / names[-1]) as file:
            file.write(data)
    return names


def _write_results(output: Path, rows: Sequence[Row], images: int) -> str:
    """Write all rows as JSON, with units in the keys; returns the name of the file."""
    results = {
        "versions": {
            "refcodec": refcodec.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "imageio-ffmpeg")},
        },
        "images": images,
        "rows": [
            {
                "feature_type": row.layer,
                "shape": FEATURE_SHAPES[row.layer],
                "coder": row.config.coder,
                "qp": row.config.qp if row.config.coder in ("native", "hevc") else None,
                "quantiser": row.config.lossy_quantiser,
                "quantiser_bits": row.config.bits if row.config.lossy_quantiser else None,
                "file": row.path.relative_to(output).as_posix(),
                "elements": row.elements,
                "coded_bytes": row.coded_bytes,
                "bits_per_element": row.bits_per_element,
                "compression_rate_of_float32": row.compression_rate,
                "fidelity": row.fidelity,
                "accuracy": row.accuracy,
                "encode_seconds": row.encode_seconds,
                "decode_seconds": row.decode_seconds,
                "encode_elements_per_second": row.elements / row.encode_seconds,
                "decode_elements_per_second": row.elements / row.decode_seconds,
                "bit_exact": row.bit_exact,
                "conforming": row.conforming,
            }
            for row in rows
        ],
    }
    with atomic_file(output / "results.json") as file:
        file.write(json.dumps(results, indent=2).encode() + b"\n")
    return "results.json"
