"""The decoder of refcodec as a command that follows the contract: an example for other adapters.

refcodec conformance run --decoder 'python -m refcodec.suite.adapter {input} {output}'
"""

from __future__ import annotations

import sys
from pathlib import Path

from refcodec.errors import StreamError
from refcodec.hashes import little_endian_bytes
from refcodec.reader import open_stream

__all__ = ["main"]


def main(stream: str, output: str) -> int:
    """Decode one stream to a file; returns the exit status."""
    try:
        with open_stream(stream) as reader, Path(output).open("wb") as file:
            for feature in reader:
                file.write(little_endian_bytes(feature))
    except StreamError as error:
        print(f"REJECT {error.reject}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
