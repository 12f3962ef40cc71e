"""The decoder of refcodec as a command and as a server: an example for other adapters.

refcodec conformance run --decoder 'python -m refcodec.suite.adapter {input} {output} {samples} {syntax}'
refcodec conformance run --server 'python -m refcodec.suite.adapter'

{samples} and {syntax} may be absent.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from refcodec.errors import EnvironmentFault, StreamError
from refcodec.hashes import little_endian_bytes
from refcodec.suite.derive import syntax_lines
from refcodec.suite.run.expected import decoded_features

__all__ = ["decode", "main", "serve"]

SKIP_STATUS = 77


def decode(stream: str, output: str, samples: str = "", syntax: str = "") -> dict[str, str]:
    """Decode one stream to files, '' for those not wanted; returns the response of the protocol."""
    try:
        with ExitStack() as files:
            source = files.enter_context(Path(stream).open("rb"))
            features = files.enter_context(Path(output).open("wb"))
            integers = files.enter_context(Path(samples).open("wb")) if samples else None
            for decoded in decoded_features(source):
                features.write(little_endian_bytes(decoded.values))
                if integers is not None:
                    integers.write(little_endian_bytes(decoded.samples))
        if syntax:
            lines = "".join(f"{line}\n" for line in syntax_lines(Path(stream).read_bytes()))
            Path(syntax).write_text(lines, encoding="ascii")
    except StreamError as error:
        return {"status": "reject", "class": error.reject}
    except EnvironmentFault as error:
        return {"status": "skip", "reason": str(error)}
    return {"status": "accept"}


def serve() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin.buffer:
        request = json.loads(line)
        places = [request.get(name, "") for name in ("input", "output", "samples", "syntax")]
        print(json.dumps({"id": request["id"], **decode(*places)}), flush=True)


def main(*places: str) -> int:
    """Decode one stream, or serve where none is named; returns the exit status."""
    if not places:
        serve()
        return 0
    response = decode(*places)
    if response["status"] == "reject":
        print(f"REJECT {response['class']}")
        return 1
    if response["status"] == "skip":
        print(response["reason"])
        return SKIP_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
