"""Fits how time and memory grow with the number of units, path by path, and writes the results page.

    python tools/bench/bench_growth.py [--paths reading validating] [--largest 10000] [--budget 120]

Reading, validating, looking up by number, writing and so on are to cost the same for every unit: time
grows with the power 1 of their number, whatever the length of the stream. Each path runs on streams of
100 to 100,000 small features, each size in a process of its own; a path that would exceed its budget
of seconds stops early, at the sizes that it reached.

The exponent b of ``time = a * units**b`` is fitted to the upper half of the sizes (on a logarithmic
scale). Memory is the peak beyond what the process held before; its growth is given in bytes per unit,
from the smallest size to the largest, and as the exponent of what exceeds the smallest size.

A run of all paths over all sizes writes docs/results/growth.rst, its record growth.json, and a plot;
others only print, unless ``--page`` or ``--json`` ask for more.

Exit status: 0 fine; 1 some time exponent exceeds ``--most``; 2 the call is at fault, or a path failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from growth_fit import Growth, Point, exponent  # noqa: E402
from growth_paths import PATHS, Job  # noqa: E402
from rich import box, console, progress, table  # noqa: E402

SMALLEST, LARGEST = 100, 100_000

_WIDTH = 140
"""Width of the table if it is not printed to a terminal, in columns."""

_START = 10.0
"""Seconds that a process may take beyond its budget, to start and to warm up with compiled kernels."""

_COMPILATION = 300.0
"""Seconds for compiling what a first run needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write what was asked for."""
    options = _options(arguments)
    if options.render:
        _write_page(json.loads(options.render.read_text()), options)
        return 0
    sizes = sorted(options.sizes or _sizes(options.largest))
    names = [name for name in PATHS if not options.paths or name in options.paths]
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = _measure_all(names, sizes, options, folder)
    except subprocess.CalledProcessError as error:
        print(f"a path failed:\n{error.stderr}", file=sys.stderr)
        return 2
    width = None if sys.stdout.isatty() else _WIDTH
    console.Console(width=width).print(growth_table(found, options.most))
    record = _record(found, sizes, options, arguments)
    complete = not (options.paths or options.sizes) and options.largest >= LARGEST
    if complete and not options.page:
        options.page = ROOT / "docs" / "results" / "growth.rst"
    if options.json or options.page:
        _save(record, options.json or options.page.with_suffix(".json"))
    if options.page:
        _write_page(record, options)
    return int(any((one.time_exponent or 0) > options.most for one in found))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_growth.py",
        description=__doc__,
        epilog="paths: " + "; ".join(f"{name}, {way.title}" for name, way in PATHS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--paths", nargs="+", choices=PATHS, metavar="PATH", help="only these, of those below")
    add("--largest", type=int, default=LARGEST, help="largest number of units (default 100000)")
    add("--sizes", type=int, nargs="+", help="these numbers of units instead")
    add("--budget", type=float, default=120, help="seconds for each path (default 120)")
    add("--most", type=float, default=1.1, help="largest time exponent to accept (default 1.1)")
    add("--elements", type=int, default=64, help="elements of a plain feature (default 64)")
    add("--gop", type=int, default=64, help="features between access points (default 64)")
    add("--json", type=Path, metavar="OUT", help="where to keep the record")
    add("--page", type=Path, help="where to write the page, although some paths are left out")
    add("--plot", type=Path, default=ROOT / "docs" / "images" / "growth.png", help="the plot")
    add("--render", type=Path, metavar="RECORD", help="make the page again from a record")
    found = parser.parse_args(arguments)
    if min(found.sizes or [found.largest]) < 1:
        parser.error("a stream has at least one unit")
    if found.elements < 16 or found.elements % 16:
        parser.error("--elements is a multiple of 16")
    if found.render and not found.page:
        found.page = found.render.with_suffix(".rst")
    return found


def _sizes(largest: int) -> list[int]:
    """100, 300, 1000, 3000, ... up to the largest, which is among them."""
    steps = [lead * 10**power for power in range(2, 9) for lead in (1, 3)]
    return [size for size in steps if 1.5 * size <= largest] + [largest]


# --- measuring -------------------------------------------------------------------------------------


@dataclass
class Streams:
    """The streams that paths take, each written once, by a process of its own.

    late : kinds whose larger streams take more than the budget.
    """

    budget: float
    late: set[str] = field(default_factory=set)

    def has(self, job: Job, kind: str) -> bool:
        """Write the stream unless it exists; returns True if it exists afterwards."""
        if not job.stream(kind).exists() and kind not in self.late:
            try:
                _child(Job(**{**asdict(job), "path": kind}), self.budget + _START)
            except subprocess.TimeoutExpired:
                self.late.add(kind)
                job.stream(kind).unlink(missing_ok=True)
        return job.stream(kind).exists()


def _measure_all(
    names: Sequence[str], sizes: Sequence[int], options: argparse.Namespace, folder: str
) -> list[Growth]:
    """Measure path by path, the sizes of each rising."""
    columns = (
        progress.TextColumn("{task.description:24}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    streams, found = Streams(options.budget), []
    for kind in dict.fromkeys(PATHS[name].stream for name in names):  # compiles what they need
        _child(Job(kind, 1, folder, options.elements, options.gop), _COMPILATION)
    with progress.Progress(*columns, console=console.Console(stderr=True)) as bar:
        for name in names:
            task = bar.add_task(name, total=len(sizes))
            jobs = [Job(name, size, folder, options.elements, options.gop) for size in sizes]
            growth = measure_path(jobs, streams)
            bar.update(task, completed=len(growth.points))
            found.append(growth)
    return found


def measure_path(jobs: Sequence[Job], streams: Streams) -> Growth:
    """Measure the sizes of one path in turn, as far as the budget goes."""
    name, way, budget = jobs[0].path, PATHS[jobs[0].path], streams.budget
    points: list[Point] = []
    spent = 0.0
    for job in jobs:
        if spent + _expected(points, job.units) > budget:
            return Growth(name, way.title, tuple(points), f"{job.units:,} would exceed the budget")
        if not streams.has(job, way.stream):
            return Growth(name, way.title, tuple(points), f"no stream of {job.units:,} in time")
        begin = time.monotonic()
        try:
            points.append(Point(**json.loads(_child(job, budget - spent + _START))))
        except subprocess.TimeoutExpired:
            return Growth(name, way.title, tuple(points), f"{job.units:,} exceeded the budget")
        spent += time.monotonic() - begin
    return Growth(name, way.title, tuple(points))


def _expected(points: Sequence[Point], units: int) -> float:
    """Seconds that the next size will take, by the last two."""
    if not points:
        return 0
    last = points[-2:]
    slope = exponent([one.units for one in last], [one.seconds for one in last]) or 1
    return points[-1].seconds * float((units / points[-1].units) ** max(1, slope))


def _child(job: Job, seconds: float) -> str:
    """Run a job in a process of its own. Raises TimeoutExpired, CalledProcessError."""
    command = [sys.executable, str(HERE / "growth_paths.py"), json.dumps(asdict(job))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, check=True, text=True, timeout=seconds
    )
    return done.stdout


# --- showing ---------------------------------------------------------------------------------------


def growth_table(found: Sequence[Growth], most: float) -> table.Table:
    """Paths with their fits; exponents of time above ``most`` in red."""
    from growth_page import HEADS, cells

    shown = table.Table(box=box.SIMPLE_HEAD)
    for number, head in enumerate(HEADS):
        justify: Any = "left" if number in (0, len(HEADS) - 1) else "right"
        shown.add_column(head, justify=justify, no_wrap=number == 0)
    for one in found:
        style = "red" if (one.time_exponent or 0) > most else ""
        shown.add_row(*cells(one), style=style)
    return shown


def _record(
    found: Sequence[Growth],
    sizes: Sequence[int],
    options: argparse.Namespace,
    arguments: Sequence[str] | None,
) -> dict[str, Any]:
    from growth_page import machine

    words = sys.argv[1:] if arguments is None else arguments
    words = [Path(word).name if "/" in word else word for word in words]
    return {
        "machine": machine(),
        "command": " ".join(["python tools/bench/bench_growth.py", *words]),
        "sizes": list(sizes),
        **{name: getattr(options, name) for name in ("budget", "most", "elements", "gop")},
        "paths": [one.as_json() for one in found],
    }


def _save(record: dict[str, Any], path: Path) -> None:
    from refcodec.files import atomic_file

    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=1).encode() + b"\n")


def _write_page(record: dict[str, Any], options: argparse.Namespace) -> None:
    import growth_page

    growth_page.write(record, options.page, options.plot)
    print(f"wrote {options.page} and {options.plot}")


if __name__ == "__main__":
    sys.exit(main())
