"""Builds the wheel and the source distribution, checks both, and tries the wheel where nothing else is.

    python tools/release_check.py [--keep dist]

Needs the packages of ``tox -e release-check``, and a package index for the dependencies. The wheel is built
from the source distribution, and installed into a new virtual environment; there, in an empty folder, it is
imported, shows its version, examines itself (``refcodec doctor``), runs the demonstration, and decodes the
small vectors of the suite that it contains. Exit status 1 if anything fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_IMPORTED = """
import sys
import numpy as np
import refcodec
assert refcodec.__version__ == sys.argv[1], refcodec.__version__
assert sys.prefix in refcodec.__file__, refcodec.__file__
feature = np.arange(6, dtype=np.float32)
assert (refcodec.decode(refcodec.encode(feature, coder="zlib")) == feature).all()
"""


def main() -> int:
    """Build, check, install and try; the steps are printed as they run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, help="folder for the distributions, if all is well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        place = Path(folder)
        try:
            wheel, source = build(place / "dist")
            check(wheel, source)
            try_wheel(wheel, place)
        except subprocess.CalledProcessError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        if options.keep is not None:
            shutil.copytree(wheel.parent, options.keep, dirs_exist_ok=True)
    print("the release is sound")
    return 0


def build(target: Path) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from it."""
    _run([sys.executable, "-m", "build", "--outdir", str(target), str(ROOT)], ROOT)
    (wheel,), (source,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return wheel, source


def check(wheel: Path, source: Path) -> None:
    """Check metadata and contents: descriptions that render, no file of the wheel twice or out of place."""
    _run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(source)], ROOT)
    _run([sys.executable, "-m", "check_wheel_contents", str(wheel)], ROOT)
    installed = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "refcodec", "bitstreams"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    wanted = {name for name in listed if name.startswith("refcodec/") or name.endswith(".dfc")}
    missing = {
        name.replace("bitstreams/", "refcodec/bitstreams/", 1) if "refcodec/" not in name else name
        for name in wanted
    } - installed
    if missing:
        print("\n".join(sorted(missing)[:20]), file=sys.stderr)
        raise subprocess.CalledProcessError(1, f"the wheel lacks {len(missing)} files")


def try_wheel(wheel: Path, place: Path) -> None:
    """Install the wheel into a new environment, and use it from an empty folder."""
    environment, empty = place / "venv", place / "empty"
    venv.create(environment, with_pip=True)
    empty.mkdir()
    python, program = environment / "bin" / "python", str(environment / "bin" / "refcodec")
    install = [str(python), "-m", "pip", "install", "--quiet", f"{wheel}[demo]"]
    _run([*install, "--constraint", str(ROOT / "constraints.txt")], empty)
    version = wheel.name.split("-")[1]
    _run([str(python), "-I", "-c", _IMPORTED, version], empty)
    for words in (["--version"], ["doctor"], ["demo"], ["conformance", "run", "--tag", "small"]):
        _run([program, *words], empty)


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a command, without this checkout in the path of Python. Raises CalledProcessError."""
    print("$", " ".join(command), flush=True)
    places = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, cwd=folder, env=places, check=True)


if __name__ == "__main__":
    sys.exit(main())
