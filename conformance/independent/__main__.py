"""The decoder command: ``python -m independent INPUT OUTPUT``.

Exit status 0: OUTPUT holds all features one after the other, each in C order, little-endian. 1: the last
line is ``REJECT`` and the class of Annex D. 77: ffmpeg, or the file of an entropy model, is
missing and the stream needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .decode import decode_stream
from .refusal import Missing, Refusal

PASSED_OVER = 77


def main(arguments: list[str]) -> int:
    """Decode a stream to a file; returns the exit status."""
    if len(arguments) != 2:
        print("usage: python -m independent INPUT OUTPUT", file=sys.stderr)
        return 2
    source, target = map(Path, arguments)
    try:
        features = decode_stream(source.read_bytes())
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        print("REJECT", refusal.kind)
        return 1
    except Missing as missing:
        print(missing, file=sys.stderr)
        return PASSED_OVER
    target.write_bytes(b"".join(feature.value_bytes() for feature in features))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
