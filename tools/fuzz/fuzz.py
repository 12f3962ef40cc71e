"""Fuzz the decoder, the validator and the inspector with streams of the suite that were tampered with.

    python tools/fuzz/fuzz.py                              a minute
    python tools/fuzz/fuzz.py --minutes 60                 an hour
    python tools/fuzz/fuzz.py --case 4711 --seed 1         one case again, in this process
    python tools/fuzz/fuzz.py --guided --minutes 60        guided by coverage (pip install atheris)

What is wrong: an exception that is not refcodec's, a crash, a hang, memory or time beyond the budget of the
level, a decoder and a validator that disagree, a feature by number that differs from the one in order.
Each finding is written to ``--findings`` as a stream and a JSON of the edits that made it of a vector.

Exit status: 0 nothing was found; 1 something was; 2 the call is at fault.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "bench"), str(HERE.parents[1])]

from campaign import run, save, work  # noqa: E402
from mutations import case  # noqa: E402
from verdicts import judge  # noqa: E402


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long; 1 unless given")
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=1, help="of the campaign: other cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for them")
    parser.add_argument("--case", type=int, help="judge this case alone, and write it")
    parser.add_argument("--guided", action="store_true", help="let coverage guide the edits")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work is not None:
        work(chosen.work, chosen.seed, chosen.cases)
        return 0
    if chosen.guided:
        from guided import run_guided

        return run_guided(chosen.minutes, chosen.seed, chosen.findings)
    if chosen.case is not None:
        one = case(chosen.case, chosen.seed)
        verdict = judge(one.stream)
        print(save(one, verdict.findings, chosen.findings), *verdict.findings, sep="\n")
        return bool(verdict.findings)
    tally = run(chosen.first, chosen.seed, 60 * chosen.minutes, chosen.cases)
    for number, findings in tally.findings.items():
        print(save(case(number, chosen.seed), findings, chosen.findings), *findings, sep="\n  ")
    shares = ", ".join(f"{name} {count}" for name, count in tally.refused.most_common())
    print(f"{tally.inputs} inputs ({shares}); {len(tally.findings)} with findings")
    print(
        f"largest memory {tally.peak / 2**20:.1f} MiB, longest {tally.longest:.2f} s, "
        f"slowest {tally.slowest:.0f} s per megabyte of stream"
    )
    return bool(tally.findings)


if __name__ == "__main__":
    sys.exit(main())
