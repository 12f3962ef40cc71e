"""Headless Chromium, for pages that reports write; tests are skipped where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from html import unescape
from pathlib import Path
from re import DOTALL, search

import pytest
from variation import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browser() -> str:
    """Path of the browser: ``$REFCODEC_CHROMIUM``, or the first of the usual names on the path."""
    found = os.environ.get("REFCODEC_CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return found


def evaluate(page: Path, script: str, *, width: int = 1280, state: str = "") -> str:
    """Open a page from the disk, run a script in it, and return the text that its last expression has.

    script : the body of a function that returns a text.
    width  : of the window, in pixels.
    state  : the part of the address after ``#``.
    """
    copy = page.with_name(f"{page.stem} tested.html")
    code = f"<script>document.body.dataset.found = (function () {{ {script} }})();</script>"
    text = page.read_text(encoding="utf-8").replace("</body>", f"{code}</body>")
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},900"),
            *("--disable-background-networking", "--dump-dom", f"{copy.as_uri()}#{state}"),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        encoding="utf-8",
    )
    found = search(r'<body[^>]* data-found="([^"]*)"', done.stdout, DOTALL)
    assert found is not None, f"the script did not run to its end: {done.stderr[-500:]}"
    return unescape(found[1])
