"""Pages of results that programs fill: tables between markers.

A page holds ``.. generated NAME`` and ``.. end of NAME`` lines; the lines between are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from refcodec.files import atomic_file


def fill(page: Path, parts: Mapping[str, str]) -> None:
    """Put each part between its markers. Raises ValueError unless a page has exactly one pair of them."""
    text = page.read_text()
    for name, lines in parts.items():
        pattern = rf"(?<=\.\. generated {name}\n).*?(?=\.\. end of {name}\n)"
        text, found = re.subn(pattern, partial(_between, lines), text, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"{page} has {found} places for {name}")
    with atomic_file(page) as file:
        file.write(text.encode())


def _between(lines: str, _: re.Match[str]) -> str:
    return f"\n{lines}\n"


def measured(machine: Mapping[str, Any], *, load: bool = False) -> str:
    """Words on how a record was measured, without the full stop: command, machine, versions.

    machine : that of `record.machine`, with its command.
    load    : true to state the load.
    """
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    busy = f" (load\n{machine['load']}), " if load else ",\n"
    return (
        f"Measured by ``{machine['command']}`` on {machine['processor']}, {machine['cores']} cores, "
        f"shared with other work{busy}Python {machine['python']}, {packages}"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A list-table with a heading."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (heads, *rows):
        lines += [f"   {'*' if i == 0 else ' '} - {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def percent(value: float | None) -> str:
    """A change of rate, with a minus sign that is one."""
    return "no shared range" if value is None else f"{value:+.1f} %".replace("-", "\N{MINUS SIGN}")
