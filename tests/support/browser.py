"""Pages in headless Chromium, and the values of scripts on them."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from variation import PATIENCE

__all__ = ["result_of"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

_PROGRAM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), "")

_OPTIONS = """
    --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-quic
    --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars
""".split()  # noqa: SIM905 - as one would type them


def result_of(
    page: Path, script: str, *, size: tuple[int, int] = (1280, 900), place: str = ""
) -> Any:
    """The JSON value of an expression on a page, which is opened as a file with nothing to load.

    script : the body of a function; ``press(key)`` sends a key to the element with the focus.
    size   : width and height of the window, in pixels.
    place  : the fragment of the address, such as ``#bit=3``.

    Skips the test where there is no browser.
    """
    if not _PROGRAM:
        pytest.skip("no Chromium is installed, and the environment variable CHROMIUM names none")
    probe = """<script>
    const press = key => document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const said = [];
    addEventListener("error", event => said.push(event.message));
    addEventListener("load", () => {
      let result;
      try { result = (() => {SCRIPT})(); } catch (error) { said.push(String(error)); }
      const answer = document.createElement("pre");
      answer.id = "answer";
      answer.textContent = JSON.stringify({result, said});
      document.body.append(answer);
    });</script>"""
    probed = page.with_name(f"probed-{page.name}")
    text = page.read_text(encoding="utf-8")
    probed.write_text(text + probe.replace("SCRIPT", script), encoding="utf-8")
    width, height = size
    command = [
        _PROGRAM,
        *_OPTIONS,
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},{height}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        probed.as_uri() + place,
    ]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout.decode("utf-8"), re.DOTALL)
    assert found, done.stderr.decode("utf-8", "replace")[-2000:]
    answer = json.loads(html.unescape(found[1]))
    assert answer["said"] == []
    return answer["result"]
