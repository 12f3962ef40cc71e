"""The page ``docs/results/mutation.rst``: scores by clause and by module, survivors, equivalents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Protocol

from mutants import Mutant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "mutation.rst"

_INTRODUCTION = """\
Mutation score of the conformance suite
=======================================

How many small mistakes in a decoder do the vectors find? Each normative function, each declaration of the
syntax and each constant of the decoding path was changed in one place at a time: another operator, another
comparison, a constant one larger or smaller, a bound left out, a statement left out, a condition negated. The
decoder then ran over the vectors that reach the place. A change that some vector shows is *killed*: the
features are not those of the manifest, or the class of the rejection is not. Code that only the strict
validator runs is judged by its verdict. Unit tests take no part.

"""

_SAMPLE = "A random sample of {} of the {:,} mutants, by ``{}``.\n\n"
_ALL = "All {:,} mutants, by ``{}``.\n\n"


class Results(Protocol):
    """What the page shows."""

    killed: list[tuple[Mutant, str]]
    survived: list[Mutant]
    equivalent: list[tuple[Mutant, str]]
    unreached: list[tuple[Mutant, str]]
    gaps: list[tuple[str, str]]
    branches: tuple[int, int]


def write_page(
    score: Results, vectors: int, sample: int | None, seed: int, mutants: int, kept: bool
) -> None:
    """Write the page.

    sample : number of mutants drawn with ``seed``, of so many ``mutants``; None for all.
    kept   : true if verdicts of earlier runs that still hold are among them.
    """
    command = "python tools/mutate/mutate.py --page" + kept * " --kept FILE"
    if sample is None:
        scope = _ALL.format(mutants, command)
    else:
        scope = _SAMPLE.format(f"{sample:,}", mutants, f"{command} --sample {sample} --seed {seed}")
    PAGE.write_text(page_of(score, vectors, scope), encoding="utf-8")


def page_of(score: Results, vectors: int, scope: str) -> str:
    """The page, as reStructuredText.

    scope : sentence on the mutants that were judged.
    """
    limits = sum(name == "limit" for _, name in score.killed)
    counted = len(score.killed) + len(score.survived)
    reached, all_branches = score.branches
    text = _INTRODUCTION + scope
    text += _table(
        ("", "number"),
        [
            ("vectors", f"{vectors:,}"),
            ("mutants that can be found", f"{counted:,}"),
            ("killed", f"{len(score.killed):,} ({_share(len(score.killed), counted)})"),
            ("of these by a limit on time or memory", f"{limits:,}"),
            ("equivalent, with reasons below", f"{len(score.equivalent):,}"),
            ("in an encoder's half of a function, not run", f"{len(score.unreached):,}"),
            ("pieces of code and outcomes of conditions", f"{all_branches:,}"),
            (
                "reached by vectors",
                f"{reached:,} ({_share(reached, all_branches)}); the others are listed below",
            ),
        ],
    )
    text += _heading("By clause")
    text += _scores(score, lambda one: one.target.clause, "clause", _in_order)
    text += _heading("By module")
    text += _scores(score, lambda one: one.target.module.file, "module", lambda name: [name])
    text += _heading("Survivors")
    text += _list(f"``{one.name}``" for one in score.survived) or "None.\n\n"
    text += _heading("Equivalent mutants")
    text += "They decode every stream as the original does, or differ only in what no vector can show:\n\n"
    reasons = Counter((one.target.module.file, why) for one, why in score.equivalent)
    rows = [(f"``{file}``", why, str(count)) for (file, why), count in sorted(reasons.items())]
    text += _table(("module", "reason", "mutants"), rows)
    text += _heading("Branches that no vector takes")
    gaps = sorted(score.gaps, key=lambda gap: gap[1])
    for why, group in groupby(gaps, key=lambda gap: gap[1]):
        text += f"{why or '**without a reason**'}:\n\n" + _list(
            f"``{place}``" for place, _ in group
        )
    return text


def _scores(
    score: Results,
    key: Callable[[Mutant], str],
    title: str,
    order: Callable[[str], list[object]],
) -> str:
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one, _ in score.killed:
        found[key(one)][0] += 1
    for one in score.survived:
        found[key(one)][1] += 1
    for one, _ in score.equivalent:
        found[key(one)][2] += 1
    rows = [
        (name, f"{killed + alive:,}", f"{killed:,}", _share(killed, killed + alive), f"{same:,}")
        for name, (killed, alive, same) in sorted(found.items(), key=lambda one: order(one[0]))
    ]
    return _table((title, "mutants", "killed", "share", "equivalent"), rows)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "none"


def _in_order(clause: str) -> list[object]:
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in clause.split(".")
    ]


def _heading(title: str) -> str:
    return f"{title}\n{'-' * len(title)}\n\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    text = ".. list-table::\n   :header-rows: 1\n\n"
    for row in [head, *rows]:
        text += "".join(f"   {'*' if n == 0 else ' '} - {cell}\n" for n, cell in enumerate(row))
    return text + "\n"


def _list(items: Iterable[str]) -> str:
    text = "".join(f"* {item}\n" for item in items)
    return text + "\n" if text else ""
