"""The mutation score: its mutations, its map of branches, and a sample of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "tools" / "mutate"
PAGE = ROOT / "docs" / "results" / "mutation.rst"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of the tool by their own names."""
    monkeypatch.syspath_prepend(str(TOOL))


@pytest.mark.parametrize(
    ("statement", "mutants"),
    [
        ("return x < 3", {"x <= 3", "x >= 3", "x < 4", "x < 2"}),
        ("return x + y", {"x - y"}),
        ("return x and y", {"x or y", "x", "y"}),
        ("return min(x, y)", {"max(x, y)", "x", "y"}),
        ("return -x", {"x"}),
        ("return x == 'a'", {"x != 'a'"}),
    ],
)
def test_expressions(tool: None, statement: str, mutants: set[str]) -> None:
    from operators import mutations

    function = ast.parse(f"def f(x, y):\n    {statement}").body[0]
    found = set()
    for site, _, make in mutations(function):
        site.put(make())
        body = ast.unparse(function).partition("\n")[2].strip()
        found.add(body.removeprefix("return "))
        site.put(site.node)
    assert found == mutants | {"pass"}


def test_messages_are_left_alone(tool: None) -> None:
    from operators import mutations

    source = "def f(x):\n    raise PayloadError(f'{x + 1}', bit_offset=x + 1, clause='8')"
    found = [what for _, what, _ in mutations(ast.parse(source).body[0])]
    assert found == ["left out", "raise HashError"]


def test_targets_name_clauses(tool: None) -> None:
    from targets import modules, targets

    from refcodec.tables import clause_titles

    found = targets(modules())
    assert len(found) > 300
    assert {one.clause for one in found} <= set(clause_titles())
    names = {(one.module.file, one.name): one.clause for one in found}
    assert names["coders/hevc/checks.py", "check_slices"] == "9.3.2"
    assert names["syntax/structures.py", "CodedFeature"] == "6.5"
    assert names["entropy/mixing.py", "mix"] == "8.9.2"
    assert ("entropy/arithmetic.py", "encode_bit") not in names


def test_constants_are_used_where_they_are_imported(tool: None) -> None:
    from targets import files_with_constants_of, modules

    looked = modules()
    found = files_with_constants_of(looked["entropy/static.py"], looked)
    assert {"entropy/static.py", "entropy/rans.py", "entropy/symbols.py"} <= found
    assert "pack.py" not in found


def test_verdicts_hold_as_long_as_nothing_changes(tool: None, tmp_path: Path) -> None:
    from judging import Trial
    from kept_verdicts import Verdicts
    from mutants import Mutant, all_mutants
    from probes import Map
    from targets import modules, targets

    looked = modules()
    found = [one for one in targets(looked) if one.module.file == "pack.py"]
    killed, survivor = list(all_mutants(found, Map(looked, found)))[:2]
    trials = [Trial(name, "decode", {"name": name}, b"") for name in ("one", "two")]
    kept = tmp_path / "verdicts"

    def verdicts(now: list[Trial]) -> Verdicts:
        return Verdicts(kept, now, looked)

    def order(mutant: Mutant, now: list[Trial]) -> list[int]:
        return verdicts(now).order(mutant, list(range(len(now))))

    first = verdicts(trials)
    first.add(killed, "decode two")
    first.add(survivor, "")
    first.write()
    assert [verdicts(trials).of(one) for one in (killed, survivor)] == ["decode two", ""]

    more = [*trials, Trial("three", "decode", {}, b"")]
    assert [verdicts(more).of(one) for one in (killed, survivor)] == ["decode two", None]
    assert order(survivor, more) == [2]

    changed = [trials[0], Trial("two", "decode", {}, b"another")]
    assert [verdicts(changed).of(one) for one in (killed, survivor)] == [None, None]
    assert order(killed, changed) == [1, 0]


CLASSIFIED = (
    *("pack.py", "ranges.py", "quantise.py", "decoder.py", "coders/lossless.py", "coders/hevc/*"),
    *("coders/video/*", "coders/native_lossless/[fhpr]*"),
)
"""Modules all of whose survivors have been looked at."""


@pytest.mark.slow
def test_sample_is_killed() -> None:
    """Vectors reach every branch that has no reason not to, and kill a sample but for known survivors."""
    command = [
        sys.executable,
        str(TOOL / "mutate.py"),
        "--sample",
        "60",
        "--seed",
        "20261126",
        "--quiet",
    ]
    only = [word for name in CLASSIFIED for word in ("--only", f"{name}:[a-z_]*")]
    done = subprocess.run([*command, *only], capture_output=True, text=True)
    told = done.stdout.splitlines()
    survivors = {_mutant(line) for line in told if line.startswith("survived: ")}
    known = {_mutant(line) for line in PAGE.read_text().splitlines() if line.startswith("* ``")}
    assert len(known) > 20
    assert survivors <= known, done.stdout
    assert not [line for line in told if line.startswith("no vector: ")], done.stdout
    assert re.search(r"^\d+ of \d+ killed", done.stdout, re.MULTILINE), done.stdout + done.stderr


def _mutant(line: str) -> str:
    """A mutant as the tool and its page name it, without the number of its line."""
    return re.sub(r":\d+ ", " ", line.removeprefix("survived: ").strip("* `"), count=1)
