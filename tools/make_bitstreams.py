#!/usr/bin/env python3
"""Make the conformance bitstreams, or check them.

    python tools/make_bitstreams.py              write every stream and the manifest
    python tools/make_bitstreams.py --check      compare them with their definitions, write nothing

The definitions are in ``refcodec.suite.valid`` and ``refcodec.suite.invalid``. HEVC streams that exist
are kept, since versions of x265 write different ones: ``--again`` encodes them anew. ``--features``
runs the demonstration network to write ``features.npz``, of which most streams are made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from refcodec.demo.network import Network, load_held_out
from refcodec.suite.generate import check, write
from refcodec.suite.manifest import load_manifest

ROOT = Path(__file__).resolve().parents[1] / "bitstreams"

IMAGES = {"conv": 8, "pool": 16, "fc": 20}
"""Features of each layer that are kept."""


def write_features(root: Path) -> None:
    """Write the features of the first held-out digits at every layer."""
    network, (images, _) = Network.load(), load_held_out()
    layers: dict[str, Any] = {
        layer: network.head(images[:count], layer) for layer, count in IMAGES.items()
    }
    np.savez_compressed(root / "features.npz", **layers)


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on differences")
    parser.add_argument("--again", action="store_true", help="encode HEVC streams anew, too")
    parser.add_argument("--features", action="store_true", help="write features.npz first")
    parser.add_argument("--suite", type=Path, default=ROOT, help="folder of the suite")
    chosen = parser.parse_args()
    if chosen.check:
        differences = list(check(load_manifest(chosen.suite)))
        print("\n".join(differences) or "the bitstreams are those of their definitions")
        return 1 if differences else 0
    if chosen.features:
        write_features(chosen.suite)
    vectors = write(chosen.suite, again=chosen.again)
    print(f"{len(vectors)} vectors, {sum(vector.size for vector in vectors)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
