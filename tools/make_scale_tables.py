#!/usr/bin/env python3
"""Make the normative family of tables by scale: refcodec/tables/scales.txt (clause 8.10.4).

    python tools/make_scale_tables.py             write the file
    python tools/make_scale_tables.py --check     compare it with the file that is there

The scales are 64, equally spaced on a logarithmic scale from 0.11 to 256. A table is the normal distribution
of mean 0 and that standard deviation over the integers, each with the interval of length 1 around it. It has
the values whose probability is at least half a unit of 2^-14, and the escape, which has what lies beyond, at
least a unit. Frequencies are rounded to nearest; where they do not add up, pairs of values that were rounded
farthest in that direction give or take a unit, and 0 takes what is left. Computed with 60 decimal digits, so
that every machine makes the same file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mpmath import erfc, floor, mp, mpf, sqrt

PLACE = Path(__file__).resolve().parents[1] / "refcodec" / "tables" / "scales.txt"
COUNT = 64
TOTAL = 1 << 14

HEAD = """\
# Tables by scale (8.10.4), made by tools/make_scale_tables.py. A line has the frequency of the escape, then
# those of the values 0, 1, 2 and so on; -k has the frequency of k. They add up to 2^14.
"""


def frequencies(scale: mpf) -> list[int]:
    """Frequencies of the escape, and of the values from 0 on."""

    def beyond(edge: mpf) -> mpf:
        """Probability of a number above ``edge``."""
        return erfc(edge / (scale * sqrt(2))) / 2

    def rounded(number: mpf) -> int:
        return int(floor(number + half))

    half = mpf(1) / 2
    shares: list[mpf] = []
    while TOTAL * (share := beyond(len(shares) + half) - beyond(len(shares) + 1 + half)) >= half:
        shares.append(TOTAL * share)
    sides = [rounded(share) for share in shares]
    escape = max(1, rounded(2 * TOTAL * beyond(len(sides) + half)))
    zero = rounded(TOTAL * (1 - 2 * beyond(half)))
    left = TOTAL - escape - zero - 2 * sum(sides)
    sign = 1 if left > 0 else -1
    free = [k for k in range(len(sides)) if sides[k] + sign >= 1]
    for k in sorted(free, key=lambda k: sign * (sides[k] - shares[k]))[: abs(left) // 2]:
        sides[k] += sign
    return [escape, TOTAL - escape - 2 * sum(sides), *sides]


def table_file() -> str:
    """The text of the file."""
    mp.dps = 60
    lowest, highest = mpf(11) / 100, mpf(256)
    scales = [lowest * (highest / lowest) ** (mpf(i) / (COUNT - 1)) for i in range(COUNT)]
    return HEAD + "".join(" ".join(map(str, frequencies(scale))) + "\n" for scale in scales)


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    text = table_file()
    if parser.parse_args().check:
        same = PLACE.read_text(encoding="ascii") == text
        print(f"{PLACE}: {'the same' if same else 'different'}")
        return 0 if same else 1
    PLACE.write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
