"""The report of an evaluation: results.csv, results.json, tables.md, plots, and printed tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table as Printed

from refcodec.evaluate import tables
from refcodec.evaluate.experiment import Experiment
from refcodec.evaluate.results import Line, Row, lines_of, lossless_lines, write_csv, write_json
from refcodec.evaluate.run import Folders
from refcodec.evaluate.summary import QUALITIES, Comparison, Equal, comparisons, equals
from refcodec.evaluate.tables import Table
from refcodec.files import atomic_file

__all__ = ["write_report"]


def write_report(
    experiment: Experiment, rows: Sequence[Row], folders: Folders, command: str, console: Console
) -> list[str]:
    """Write and print the report of an experiment; returns the names of the files.

    rows    : available results, in the order of the experiment.
    command : the command line, to be stored with the results.
    """
    lines = lines_of(rows)
    compared, equal = comparisons(lines, experiment), equals(lines, experiment)
    summary = {
        "comparisons": [one.as_json() for one in compared],
        "equal_quality": [asdict(one) for one in equal],
    }
    write_csv(rows, folders.output / "results.csv")
    write_json(rows, experiment, summary, command, folders.output / "results.json")
    made = list(_tables(experiment, lines, compared, equal))
    with atomic_file(folders.output / "tables.md") as file:
        text = "\n".join([f"# {experiment.title}\n", *(table.markdown() for table in made)])
        file.write(text.encode())
    for table in made:
        console.print(_printed(table))
    names = ["results.csv", "results.json", "tables.md"]
    for name, plot in _plots(experiment, lines, equal):
        for suffix, data in plot.items():
            names.append(f"{name}.{suffix}")
            with atomic_file(folders.output / names[-1]) as file:
                file.write(data)
    return names


def _tables(
    experiment: Experiment,
    lines: dict[str, list[Line]],
    compared: Sequence[Comparison],
    equal: Sequence[Equal],
) -> Iterator[Table]:
    for wanted in experiment.report.tables:
        match wanted:
            case "points":
                yield from tables.points_tables(lines)
            case "lossless":
                yield from tables.lossless_tables(lines)
            case "bd-rate":
                yield tables.bd_rate_table(compared)
            case "equal-quality":
                yield from tables.equal_quality_tables(equal)


def _plots(
    experiment: Experiment,
    lines: dict[str, list[Line]],
    equal: Sequence[Equal],
) -> Iterator[tuple[str, dict[str, bytes]]]:
    if not experiment.report.plots:
        return
    from refcodec.evaluate import plots

    for wanted in experiment.report.plots:
        match wanted:
            case _ if wanted in QUALITIES:
                yield f"rate-{wanted}", plots.draw_curves(lines, wanted)
            case "nonzero" if lossless_lines(lines):
                yield wanted, plots.draw_nonzero(lines)
            case "equal-quality" if equal:
                yield wanted, plots.draw_equal(equal)
            case "channels":
                for row, plot in plots.draw_channels(lines):
                    name = re.sub(r"[^a-z0-9.]+", "-", row.job.name.lower())
                    yield f"channels-{name}", plot


def _printed(table: Table) -> Printed:
    printed = Printed(title=table.title, box=box.HORIZONTALS, title_justify="left")
    for number, head in enumerate(table.heading):
        printed.add_column(head, justify="left" if number < table.texts else "right")
    for row in table.rows:
        printed.add_row(*row)
    return printed
