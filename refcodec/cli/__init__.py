"""The command line: parses arguments, calls the library, prints.

Exit status: 0 success; 1 the input is at fault, and the last line of standard output is ``REJECT <class>``;
2 the call or the environment is at fault; 130 interrupted; 141 the reader of a pipe has closed it.

Commands import what they need when they run, so that help is fast.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import refcodec
from refcodec.cli import (
    allocation,
    assembling,
    checking,
    coding,
    conformance,
    doctoring,
    evaluation,
    extraction,
    inspecting,
    joining,
    latent_models,
    looking,
    plotting,
    serving,
    storing,
    training,
    warming,
)
from refcodec.cli.terminal import printable
from refcodec.errors import DFCError, EnvironmentFault, StreamError
from refcodec.files import storage_error

__all__ = ["app", "main"]

_INPUT_AT_FAULT = 1
_CALL_AT_FAULT = 2
_INTERRUPTED = 130  # 128 + SIGINT, as a shell would say
_PIPE_CLOSED = 141  # 128 + SIGPIPE


class _Commands(TyperGroup):
    """The group of commands, which turns errors into messages and exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe raises here rather than when the interpreter exits
        except StreamError as error:
            _complain(error)
            typer.echo(f"REJECT {error.reject}")
            raise typer.Exit(_INPUT_AT_FAULT) from None
        except DFCError as error:
            _complain(error)
            _forget_full_stdout()
            raise typer.Exit(_CALL_AT_FAULT) from None
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(_PIPE_CLOSED) from None
        except OSError as error:
            if error.filename is not None or not isinstance(
                fault := storage_error(error, "standard output"), EnvironmentFault
            ):
                raise
            _complain(fault)
            _forget_full_stdout()
            raise typer.Exit(_CALL_AT_FAULT) from None
        return result


def _complain(error: DFCError) -> None:
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    typer.echo(printable(str(error)), err=True)


def _forget_stdout() -> None:
    """Discard buffered output, or the interpreter would write to the closed pipe again when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _forget_full_stdout() -> None:
    """Give up what standard output cannot take, or the interpreter would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_stdout()


app = typer.Typer(
    name="refcodec",
    help="Reference software of Deep Feature Coding (DFC): features of deep networks as bitstreams.",
    epilog="Exit status: 0 fine; 1 the input is at fault; 2 the call or the machine is.",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(coding.encode)
app.command()(coding.append)
app.command()(joining.concat)
app.command()(coding.decode)
app.command()(extraction.extract)
app.command()(allocation.sensitivity)
app.command()(looking.info)
app.command()(inspecting.inspect)
app.command()(assembling.disasm)
app.command()(assembling.asm)
app.command()(checking.validate)
app.command()(looking.compare)
app.command()(plotting.plot)
app.command()(evaluation.evaluate)
app.command()(training.train)
app.command()(serving.serve)
app.add_typer(latent_models.app, name="model")
app.command()(warming.warm_up)
app.command()(doctoring.doctor)
app.add_typer(conformance.app, name="conformance")
app.add_typer(storing.app, name="store")


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the results of the demonstration.")
    ] = Path("demo-output"),
) -> None:
    """Code the features of a small network, and show rates and fidelity."""
    from rich.console import Console

    from refcodec.demo.run import run_demo

    raise typer.Exit(run_demo(output, Console()))


class _Notes(logging.Handler):
    """Handler that prints the library's log messages on standard error, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = printable(record.getMessage())
        if text not in self._seen:
            self._seen.add(text)
            typer.secho("note: ", fg=typer.colors.YELLOW, bold=True, nl=False, err=True)
            typer.echo(text, err=True)


def _pass_notes_on() -> None:
    """Print warnings of the library, such as that kernels are compiled in the first run."""
    log = logging.getLogger("refcodec")
    for old in [one for one in log.handlers if isinstance(one, _Notes)]:
        log.removeHandler(old)
    log.addHandler(_Notes())


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"refcodec {refcodec.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    _pass_notes_on()


def main() -> None:
    """Run the command line; the entry point of the ``refcodec`` program."""
    app()
