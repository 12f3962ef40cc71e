"""The command line, for tests: run in this process, its exit status checked."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from refcodec.cli import app

OK, INPUT_AT_FAULT, CALL_AT_FAULT = 0, 1, 2


def run(*arguments: object, stdin: bytes = b"", status: int = OK) -> Result:
    """Run a command; ``status`` is what it must end with."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
    assert result.exit_code == status, result.output
    return result
