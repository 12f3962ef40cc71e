"""``refcodec doctor``."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from refcodec.cli import options
from refcodec.cli.terminal import console, print_facts, print_json
from refcodec.errors import EnvironmentFault

if TYPE_CHECKING:
    from refcodec.doctor import Finding

__all__ = ["doctor"]

_NOT_WELL = 1


def doctor(as_json: options.Json = False) -> None:
    """Examine the installation: what works, what is slow or missing, and what to do about it.

    Every coder codes a feature, and compiles its kernels if it has not yet. Exit status 1 if something that
    is needed does not work; 2 if nothing does.
    """
    try:
        from refcodec.doctor import examine, works
    except ImportError as error:
        raise EnvironmentFault(
            f"refcodec does not run at all: {error}", hint="pip install --force-reinstall refcodec"
        ) from None

    findings = list(examine())
    sound = works(findings)
    if as_json:
        print_json({"works": sound, "findings": [asdict(one) for one in findings]})
    else:
        _print(findings, sound)
    raise typer.Exit(0 if sound else _NOT_WELL)


def _print(findings: list[Finding], sound: bool) -> None:
    """All findings by topic, and then what can be done."""
    out = console()
    for topic, group in groupby(findings, key=lambda one: one.topic):
        print_facts(out, topic, [(one.name, _text(one)) for one in group])
        print()
    advice = [(one.name, one.hint) for one in findings if one.hint]
    if advice:
        print_facts(out, "what to do", advice)
        print()
    broken = [one.name for one in findings if one.state == "broken"]
    print("everything that is needed works" if sound else f"does not work: {', '.join(broken)}")


def _text(one: Finding) -> str:
    return one.text if one.state == "fine" else f"{one.state}: {one.text}"
