"""A decoder as a server of the conformance suite: a skeleton in Python, of the standard library alone.

    refcodec conformance run --server 'python conformance/clients/client.py'

Put your own decoder into ``decode``. The one here reads the stream header and skips the rest.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path


class Rejected(Exception):
    """The stream is refused; the argument is a class of Annex D."""


class Skipped(Exception):
    """The stream is outside what this decoder claims; the argument says why."""


def decode(stream: bytes) -> bytes:
    """Decode a stream to the values of its features, little-endian in C order, one after the other."""
    if not stream or not b"\x89DFC".startswith(stream[:4]):
        raise Rejected("signature")
    if len(stream) < 9:
        raise Rejected("truncated")
    if zlib.crc32(stream[:7]) & 0xFFFF != int.from_bytes(stream[7:9], "big"):
        raise Rejected("checksum")
    if stream[4] >> 4 != 1 or stream[6] & 3:  # version_major, reserved_zero_2bits
        raise Rejected("unsupported")
    raise Skipped("this skeleton does not decode features")


def answer(request: dict[str, str]) -> dict[str, str]:
    """Decode the stream of a request, and write its features."""
    try:
        values = decode(Path(request["input"]).read_bytes())
        Path(request["output"]).write_bytes(values)
    except Rejected as reason:
        return {"status": "reject", "class": str(reason)}
    except Skipped as reason:
        return {"status": "skip", "reason": str(reason)}
    except Exception as error:
        return {"status": "error", "reason": f"{type(error).__name__}: {error}"}
    return {"status": "accept"}


def main() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin.buffer:
        request = json.loads(line.decode("utf-8", "surrogateescape"))
        print(json.dumps({"id": request["id"], **answer(request)}), flush=True)


if __name__ == "__main__":
    main()
