"""Links from reports into the specification."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.metadata import PackageNotFoundError, metadata

from refcodec.tables import clause_titles

__all__ = ["PAGES", "clause_html", "documentation"]

PAGES = {
    "1": "01-scope",
    "2": "02-references",
    "3": "03-terms",
    "4": "04-conventions",
    "5": "05-overview",
    "6": "06-syntax",
    "7": "07-semantics",
    "8": "08-decoding",
    "9": "09-constraints",
    "A": "A-profiles-levels",
    "B": "B-conformance",
    "C": "C-extensions",
    "D": "D-errors",
    "E": "E-metadata",
    "F": "F-media-type",
    "G": "G-security",
    "H": "H-history",
    "I": "I-errata",
    "J": "J-examples",
}
"""Page of the documentation for each clause of the first level."""


@cache
def documentation() -> str:
    """Address of the published documentation, from the project's metadata; '' if it has none."""
    try:
        urls = metadata("refcodec").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    addresses: dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return addresses.get("Documentation", "")


def clause_html(number: str, site: str) -> str:
    """A clause as HTML: its number, linked if there is a site, with its title as a tip.

    site : address of the documentation, absolute or relative to the page; '' for none.
    """
    title = escape(clause_titles().get(number, ""), quote=True)
    tip = f' title="{title}"' if title else ""
    page = PAGES.get(number.partition(".")[0])
    if not site or page is None:
        return f"<span{tip}>{escape(number)}</span>"
    address = f"{site.rstrip('/')}/spec/{page}.html#clause-{number}"
    return f'<a href="{escape(address, quote=True)}"{tip}>{escape(number)}</a>'
