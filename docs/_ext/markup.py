"""The markup of the specification: clauses, requirements, semantics paragraphs, informative boxes.

:clause:`8.4.1`        a link to a clause, found by the number in its heading
:req:`8.4.1-2`         the identifier of a requirement, where it is stated; it leads to its vectors and tests
:rref:`8.4.1-2`        a link to it
.. element:: a.b       what element b of structure a means
.. informative::       a box of informative text
.. listing:: file f    the source of function f; its caption leads to the whole file
.. syntax-text::       a syntax table without a declaration behind it
"""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.directives.code import LiteralInclude
from sphinx.domains import Domain, ObjType
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

HEADING = re.compile(
    r"(?:Annex (?P<annex>[A-Z]) \((?:in|nor)[a-z]+\)|(?P<number>[A-Z]?[\d.]*\d)) (?P<title>.+)"
)
"""A numbered heading: ``8.4.1 Title`` or ``Annex A (normative) Title``."""


OPTIONAL = ("source", "tested", "vector")
"""Kinds of targets that the edition on one page lacks: their names are no links there."""


def source_page(path: str, function: str) -> tuple[str, str]:
    """The page that shows a source file, and the anchor of a function on it."""
    return f"_sources_of/{path.removesuffix('.py')}", function


def reference(kind: str, target: str, *children: nodes.Node) -> pending_xref:
    """A link to be resolved when all pages have been read."""
    return pending_xref(
        "", *children, refdomain="dfc", reftype=kind, reftarget=target, refexplicit=True
    )


def clause_text(number: str) -> str:
    """The reference to a clause in running text."""
    if number.isalpha():
        return f"Annex {number}"
    return f"Clause {number}" if number.isdigit() else number


class SpecificationDomain(Domain):
    """Pages and anchors of clauses, requirements and elements."""

    name = "dfc"
    label = "Deep Feature Coding"
    initial_data: ClassVar[dict[str, dict[Any, Any]]] = {"targets": {}}
    data_version = 1
    object_types: ClassVar[dict[str, ObjType]] = {
        "element": ObjType("syntax element"),
        "structure": ObjType("syntax structure"),
        "req": ObjType("requirement"),
        "vector": ObjType("conformance vector"),
        "listing": ObjType("listing"),
    }
    """What a search finds by its name."""

    def note(self, kind: str, target: str, docname: str, anchor: str) -> None:
        """Record the position of a name; a second one is an error."""
        known = self.data["targets"].get((kind, target))
        if known is not None and known != (docname, anchor):
            raise ValueError(f"{kind} {target} stands in {known[0]} and in {docname}")
        self.data["targets"][kind, target] = (docname, anchor)

    def clear_doc(self, docname: str) -> None:
        targets = self.data["targets"]
        for key in [key for key, place in targets.items() if place[0] == docname]:
            del targets[key]

    def resolve_xref(
        self,
        env: Any,
        fromdocname: str,
        builder: Any,
        typ: str,
        target: str,
        node: pending_xref,
        contnode: nodes.Element,
    ) -> nodes.reference | None:
        place = self.data["targets"].get((typ, target))
        if typ == "source" and builder.name == "html":  # a page that `sources` makes
            place = place or source_page(*target.split())
        if place is None and typ in OPTIONAL:
            return None  # the text alone
        if place is None:
            raise ValueError(f"{fromdocname} refers to {typ} {target}, which does not exist")
        docname, anchor = place
        return make_refnode(builder, fromdocname, docname, anchor, contnode)

    def resolve_any_xref(self, *args: Any) -> list[Any]:
        return []

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        for (kind, target), (docname, anchor) in self.data["targets"].items():
            if kind in self.object_types:
                shown = f"R{target}" if kind == "req" else target.split()[-1]
                yield target.split()[-1], shown, kind, docname, anchor, 1


def note(env: BuildEnvironment, kind: str, target: str, anchor: str) -> None:
    """Record the position of something on the page that is being read."""
    domain = env.get_domain("dfc")
    assert isinstance(domain, SpecificationDomain)
    domain.note(kind, target, env.docname, anchor)


class Clause(SphinxRole):
    """``:clause:``: a link to a clause."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        text = nodes.inline("", clause_text(self.text), classes=["clause"])
        return [reference("clause", self.text, text)], []


class Requirement(SphinxRole):
    """``:req:``: a requirement, with an anchor; it links to its vectors and tests."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        anchor = f"req-{self.text}"
        link = reference("tested", self.text, nodes.inline("", f"R{self.text}"))
        note(self.env, "req", self.text, anchor)
        return [nodes.inline("", "", link, ids=[anchor], classes=["requirement"])], []


class RequirementReference(SphinxRole):
    """``:rref:``: a link to a requirement."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        return [reference("req", self.text, nodes.inline("", f"R{self.text}"))], []


class Element(SphinxDirective):
    """``.. element::``: the meaning of one or several elements, written ``structure.element``."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        term = nodes.term()
        for place, name in enumerate(re.split(r",\s*", self.arguments[0])):
            anchor = "element-" + name.replace(".", "-")
            note(self.env, "element", name, anchor)
            if place:
                term += nodes.Text(", ")
            own = name.partition(".")[2]
            term += nodes.inline("", "", nodes.literal("", own), ids=[anchor])
        definition = nodes.definition("", *self.parse_content_to_nodes())
        item = nodes.definition_list_item("", term, definition)
        return [nodes.definition_list("", item, classes=["element"])]


class Informative(SphinxDirective):
    """``.. informative::``: a box of text without requirements."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        title = nodes.title("", "Informative")
        return [
            nodes.admonition("", title, *self.parse_content_to_nodes(), classes=["informative"])
        ]


class Listing(LiteralInclude):
    """``.. listing:: path function``: the source of a function, with its place as the caption."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        path, function = self.arguments
        self.arguments = [f"/../{path}"]
        caption = f":source:`{path} {function}`"
        self.options.update(pyobject=function, language="python", caption=caption)
        (made,) = super().run()
        assert isinstance(made, nodes.Element)
        anchor = f"listing-{Path(path).with_suffix('').as_posix().replace('/', '-')}-{function}"
        made["ids"].append(anchor)
        note(self.env, "listing", f"{path} {function}", anchor)
        return [made]


class Source(SphinxRole):
    """``:source:``: a function of a source file, ``path function``, linked to the page of that file."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        path, function = self.text.split()
        return [reference("source", self.text, nodes.inline("", f"{path}: {function}"))], []


class SyntaxText(SphinxDirective):
    """``.. syntax-text::``: a syntax table that is not generated from a declaration."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content)
        return [nodes.literal_block(text, text, language="none", classes=["syntax-text"])]


def _note_clauses(app: Any, document: nodes.document) -> None:
    if not app.env.docname.startswith("spec/"):
        return
    for section in document.findall(nodes.section):
        found = HEADING.fullmatch(section[0].astext())
        if found:
            number = found["annex"] or found["number"]
            anchor = f"clause-{number}"
            section["ids"].insert(0, anchor)
            app.env.domains["dfc"].note("clause", number, app.env.docname, anchor)


def _shorten_links(app: Any, document: nodes.document, docname: str) -> None:
    """On a single page, ``#document-page#anchor`` is ``#anchor``."""
    if app.builder.name == "singlehtml":
        for link in document.findall(nodes.reference):
            page, _, anchor = link.get("refuri", "").removeprefix("#").partition("#")
            if page.startswith("document-") and anchor:
                link["refuri"] = f"#{anchor}"


def setup(app: Any) -> dict[str, bool]:
    """Register roles, directives and the domain."""
    app.add_domain(SpecificationDomain)
    app.add_role("clause", Clause())
    app.add_role("req", Requirement())
    app.add_role("rref", RequirementReference())
    app.add_role("source", Source())
    app.add_directive("element", Element)
    app.add_directive("informative", Informative)
    app.add_directive("listing", Listing)
    app.add_directive("syntax-text", SyntaxText)
    app.connect("doctree-read", _note_clauses)
    app.connect("doctree-resolved", _shorten_links)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
