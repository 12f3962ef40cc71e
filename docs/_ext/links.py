"""Check that every link inside a built site leads somewhere: ``python docs/_ext/links.py FOLDER ...``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_REFERENCES = {"href", "src", "data"}


class Page(HTMLParser):
    """The anchors of a page, and what it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.references: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag defines and where it leads."""
        if ("rel", "search") in attrs:  # the theme names a search page in one-page builds, too
            return
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name in _REFERENCES:
                self.references.append(value or "")


def broken_links(site: Path) -> Iterator[str]:
    """All references of a page to a file or an anchor that the site does not have."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for reference in page.references:
            parts = urlsplit(reference)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or unquote(parts.fragment) not in anchors | {""}:
                yield f"{path.relative_to(site.resolve())}: {reference}"


def main(folders: list[str]) -> int:
    """Print the broken links of some sites; 1 if there are any."""
    broken = [f"{folder}: {link}" for folder in folders for link in broken_links(Path(folder))]
    print(*broken, sep="\n", end="\n" if broken else "")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
