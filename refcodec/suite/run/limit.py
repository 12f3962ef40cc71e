"""Run a command with a limit on the memory of its processes: ``python limit.py BYTES COMMAND...``.

Run by its path, with nothing imported but the standard library, so that it starts at once. Linux only.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main(size: int, words: list[str]) -> str:
    """Become the command, with so many bytes of address space; returns the reason if that fails."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    try:
        os.execvp(words[0], words)
    except OSError as error:
        return f"cannot run {words[0]}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
