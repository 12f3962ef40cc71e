"""A decoder of fluster that runs any command which follows the contract of the DFC conformance suite.

``refcodec conformance export --format fluster`` writes a copy of this file. It needs fluster and the standard
library alone, and serves in two ways: as a program that registers the decoder and then is fluster,

    export DFC_DECODER='mydec {input} {output}'
    python fluster_dfc.py -tsd test_suites -r resources download DFC-ALL
    python fluster_dfc.py -tsd test_suites -r resources run -d DFC -ts DFC-ALL

or copied into the folder ``fluster/decoders``, where fluster finds it by itself.

Fluster compares one hash with one string, so a rejection becomes an output: the line ``REJECT <class>``. A
command that exits with status 77 does not support the vector; one that ends otherwise than the contract says
is in error.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from fluster.codec import Codec, OutputFormat
from fluster.decoder import Decoder, register_decoder

try:
    from fluster.decoder import NotSupportedError
except ImportError:  # fluster before 0.6 does not know that a decoder may pass a vector over

    class NotSupportedError(Exception):  # type: ignore[no-redef]
        """The decoder does not claim the vector."""


_REFERENCE = f"{shlex.quote(sys.executable)} -m refcodec.suite.adapter {{input}} {{output}}"
_MOST_OUTPUT = 64 << 20
_POLL = 0.01


class DFC(Decoder):  # type: ignore[misc]
    """The command in ``$DFC_DECODER``, a template with {input} and {output}; that of refcodec if unset."""

    name = "DFC"
    description = "Deep Feature Coding: the command in $DFC_DECODER"
    codec = Codec.DUMMY  # fluster's list of codecs is closed

    def decode(
        self,
        input_filepath: str,
        output_filepath: str,
        output_format: OutputFormat,
        timeout: int,
        verbose: bool,
        keep_files: bool,
        optional_params: dict[str, Any] | None = None,
    ) -> str:
        """Run the command on a stream; returns the MD5 of its output, or of the line of its rejection."""
        expected = optional_params or {}
        holes = {"{input}": input_filepath, "{output}": output_filepath}
        words = shlex.split(os.environ.get("DFC_DECODER", _REFERENCE))
        for hole, path in holes.items():
            words = [word.replace(hole, os.path.abspath(path)) for word in words]  # noqa: PTH100
        output = Path(output_filepath)
        output.unlink(missing_ok=True)
        most = max(_MOST_OUTPUT, expected.get("output_size", 0))
        status, last = _run(words, output, most, timeout)
        if verbose:
            print(f"{shlex.join(words)}: exit status {status}, {last}")
        if status == 77:
            raise NotSupportedError(last or "not claimed")
        if status == 0:
            data = output.read_bytes()
            if expected.get("decoder") == "reject":
                return (
                    f"accepted, {len(data)} bytes"  # whatever they are, a line of a rejection too
                )
            return _md5(data)
        if status != 1 or len(last.split()) != 2 or last.split()[0] != "REJECT":
            raise RuntimeError(
                f"exit status {status} without a REJECT line: {last or 'no message'}"
            )
        line = " ".join(last.split())
        output.write_text(f"{line}\n", encoding="utf-8")
        if line in expected.get("may_print", ()):
            return str(expected["result"])  # fluster knows one result of each vector
        return _md5(output.read_bytes())


def _run(words: list[str], output: Path, most: int, timeout: float) -> tuple[int, str]:
    """Run a command of bounded time and output; returns its exit status and the last line it printed."""
    with tempfile.TemporaryFile() as stdout:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + timeout
        try:
            while process.poll() is None:
                if time.monotonic() > end:
                    raise subprocess.TimeoutExpired(words, timeout)
                written = output.stat().st_size if output.exists() else 0
                if max(written, os.fstat(stdout.fileno()).st_size) > most:
                    raise RuntimeError(f"stopped after writing more than {most} bytes")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
        finally:
            with suppress(ProcessLookupError, PermissionError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
        stdout.seek(max(0, os.fstat(stdout.fileno()).st_size - 4096))
        lines = stdout.read().decode("utf-8", "replace").strip().splitlines()
    return process.returncode, lines[-1].strip() if lines else ""


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


if __name__ != "__main__":
    register_decoder(DFC)
else:  # worker processes of fluster find the class by the name of its module
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    __import__(Path(__file__).stem)
    from fluster.main import fluster_main

    fluster_main()
