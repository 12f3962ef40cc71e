"""The specification on one page, and as PDF: made by the build of the site, and linked from it.

The page is another build of the same sources (``-t print -b singlehtml``). The PDF is that page, printed by
a headless Chromium; where there is none, the site has no PDF, and the build says so.
"""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

PAGE = "print/print.html"
PDF = "print/deep-feature-coding-{version}.pdf"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 300
"""Seconds that Chromium may take."""

_log = logging.getLogger(__name__)


def printer() -> str | None:
    """The Chromium that prints, named by the environment variable CHROMIUM or in the path, if any."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, (named,) if named else PROGRAMS)), None)


def edition_of(source: Path) -> str:
    """The version of the specification, as the root page of its edition on one page says."""
    text = (source / "print.rst").read_text(encoding="utf-8")
    return text.partition("version ")[2].partition(".\n")[0]


class Editions(SphinxDirective):
    """``.. editions::``: links to the specification on one page and as PDF."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # whether there is a Chromium may change
        app = self.env.app
        if app.builder.name != "html" or not app.config.dfc_editions:
            return []
        version = edition_of(Path(app.srcdir))
        up = "../" * self.env.docname.count("/")
        text = f"Version {version} of the specification is also there "
        found = [nodes.Text(text), _link("on one page", up + PAGE)]
        if printer():
            found += [nodes.Text(" and "), _link("as PDF", up + PDF.format(version=version))]
        return [nodes.paragraph("", "", *found, nodes.Text("."), classes=["editions"])]


def _link(text: str, target: str) -> nodes.reference:
    return nodes.reference("", text, refuri=target, internal=True)


def _make(app: Any, exception: Exception | None) -> None:
    """Build the page and the PDF into the site."""
    if exception or app.builder.name != "html" or not app.config.dfc_editions:
        return
    page = Path(app.outdir, PAGE)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-t",
        "print",
        "-b",
        "singlehtml",
    ]
    trees = Path(app.doctreedir) / "print"
    built = subprocess.run([*command, "-d", str(trees), str(app.srcdir), str(page.parent)])
    if built.returncode:
        _log.warning("the edition on one page could not be built")
        return
    program = printer()
    if program is None:
        _log.info(
            "no PDF: no Chromium is installed, and the environment variable CHROMIUM names none"
        )
        return
    pdf = Path(app.outdir, PDF.format(version=edition_of(Path(app.srcdir))))
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        target = [f"--print-to-pdf={pdf}", "--no-pdf-header-footer", page.resolve().as_uri()]
        done = subprocess.run([program, *options, *target], capture_output=True, timeout=PATIENCE)
    if done.returncode or not pdf.is_file():
        _log.warning("no PDF: %s ended with status %d", program, done.returncode)


def setup(app: Any) -> dict[str, bool]:
    """Register the directive, the setting ``dfc_editions``, and the builds behind that of the site."""
    app.add_config_value("dfc_editions", True, "html", bool)
    app.add_directive("editions", Editions)
    app.connect("build-finished", _make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
