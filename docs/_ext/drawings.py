"""The figures of the specification, drawn as SVG that takes its colours from the page.

Each function of ``DRAWINGS`` returns one picture. Lengths are CSS pixels; the page shrinks what is too wide.
"""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Picture:
    """A canvas of fixed size with boxes, arrows and words on it."""

    def __init__(self, width: int, height: int, label: str) -> None:
        self.width, self.height, self.label = width, height, label
        self.parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, text: str = "", kind: str = "plain"
    ) -> None:
        """A rectangle with centred lines of text; ``kind`` chooses its fill."""
        corner = 0 if kind in ("tile", "tile2", "empty", "pad") else 5
        self.parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{corner}"/>'
        )
        lines = text.split("\n") if text else []
        top = y + height / 2 - (len(lines) - 1) * 8.5
        for i, line in enumerate(lines):
            self.text(x + width / 2, top + i * 17, line, "middle")

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", kind: str = "word"
    ) -> None:
        """A line of text, centred vertically on ``y``."""
        self.parts.append(
            f'<text class="{kind}" x="{x}" y="{y}" dy="0.35em" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through the points with a head at its end."""
        path = " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path class="arrow" d="M{path}" marker-end="url(#head)"/>')

    def line(self, *points: tuple[float, float], kind: str = "line") -> None:
        """A line without a head."""
        path = " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path class="{kind}" d="M{path}"/>')

    def svg(self) -> str:
        """The whole picture."""
        return (
            f'<svg class="drawing" role="img" aria-label="{escape(self.label)}" '
            f'viewBox="0 0 {self.width} {self.height}" style="max-width:{self.width}px" '
            'xmlns="http://www.w3.org/2000/svg">'
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
            + "".join(self.parts)
            + "</svg>"
        )


def data_flow() -> str:
    """From feature to stream, and back."""
    p = Picture(680, 250, "Data flow of encoder and decoder")
    there = ["quantiser", "packing", "payload\ncoder", "syntax"]
    back = ["inverse\nquantiser", "unpacking", "payload\ndecoder", "parsing"]
    between = ["feature", "samples", "frames", "payload", "stream"]
    for y, steps, kind in ((62, there, "plain"), (188, back, "strong")):
        for i, step in enumerate(steps):
            p.box(72 + i * 144, y - 26, 86, 52, step, kind)
        for i, word in enumerate(between):
            left, right = 17 + i * 144, 69 + i * 144
            p.arrow(*(((left, y), (right, y)) if steps is there else ((right, y), (left, y))))
            p.text((left + right) / 2, y - 14, word, "middle", "small")
    p.line((10, 125), (670, 125), kind="dashed")
    p.text(10, 110, "encoder (free)", kind="small")
    p.text(10, 141, "decoder (this document)", kind="small")
    p.text(670, 141, "byte coders leave packing out", "end", "small")
    return p.svg()


def stream() -> str:
    """Stream, unit, coded feature."""
    p = Picture(680, 300, "Structure of a stream, of a unit and of a coded feature")
    row = [
        ("stream\nheader", 62),
        ("metadata", 78),
        ("feature\nparameter set", 106),
        ("coded\nfeature", 78),
        ("hash", 48),
        ("coded\nfeature", 78),
        ("…", 34),
        ("index", 56),
        ("end", 44),
    ]
    places: list[tuple[float, int]] = []
    x = 12.0
    for text, width in row:
        p.box(x, 14, width, 52, text, "strong" if len(places) == 5 else "plain")
        places.append((x, width))
        x += width + 8
    left, width = places[5]
    unit = [
        ("skippable_flag\nunit_type", 120),
        ("unit_size", 90),
        ("unit_payload", 320),
        ("unit_crc", 110),
    ]
    p.line((left, 66), (12, 118), kind="dashed")
    p.line((left + width, 66), (12 + 640, 118), kind="dashed")
    x = 12.0
    for text, width in unit:
        p.box(x, 118, width, 52, text, "strong" if text == "unit_payload" else "plain")
        if text == "unit_payload":
            left, right = x, x + width
        x += width
    p.line((left, 170), (12, 222), kind="dashed")
    p.line((right, 170), (652, 222), kind="dashed")
    x = 12.0
    for text, width in [
        ("fps_id", 70),
        ("access_point_flag", 140),
        ("feature_parameters( )", 190),
        ("sample_hash", 110),
        ("payload", 130),
    ]:
        p.box(x, 222, width, 44, text)
        x += width
    p.text(12, 284, "The CRC-32 covers type, size and payload.", kind="small")
    return p.svg()


def packing() -> str:
    """Six channels, two QPs, frames of 2 x 2 tiles."""
    p = Picture(680, 270, "Packing of six channels on two frames")
    p.text(12, 16, "channels and their QPs", kind="small")
    qps = (30, 30, 27, 30, 27, 30)
    for c, qp in enumerate(qps):
        x, y = 12 + (c % 2) * 74, 34 + (c // 2) * 74
        p.box(x, y, 64, 64, f"{c}\nQP {qp}", "tile" if qp == 30 else "tile2")
    p.arrow((172, 145), (222, 145))
    p.text(197, 128, "order", "middle", "small")
    p.text(236, 16, "frame 0, QP 30", kind="small")
    p.text(456, 16, "frame 1, QP 27", kind="small")
    for f, (channels, kind) in enumerate((((0, 1, 3, 5), "tile"), ((2, 4), "tile2"))):
        left = 236 + f * 220
        p.box(left, 34, 200, 200, "", "pad")
        for t in range(4):
            x, y = left + (t % 2) * 80, 34 + (t // 2) * 80
            p.box(
                x,
                y,
                80,
                80,
                str(channels[t]) if t < len(channels) else "unused",
                kind if t < len(channels) else "empty",
            )
        p.text(left + 180, 114, "padding", "middle", "vertical")
    p.text(
        236,
        252,
        "Order BY_QP: decreasing QP, then channel number. Each frame has one QP.",
        kind="small",
    )
    return p.svg()


def hevc() -> str:
    """The HEVC coder as a decoder sees it."""
    p = Picture(680, 220, "Block diagram of the HEVC coder in a decoder")
    p.box(12, 20, 150, 44, "parameter_sets\n(of the parameter set)")
    p.box(12, 110, 150, 44, "payload\n(F slices)")
    p.box(212, 60, 110, 60, "HEVC\ndecoder", "strong")
    p.box(372, 60, 110, 60, "unpack tiles,\nclip to bits", "strong")
    p.box(532, 60, 130, 60, "compare\nsample hash", "strong")
    p.arrow((162, 42), (187, 42), (187, 80), (210, 80))
    p.arrow((162, 132), (187, 132), (187, 104), (210, 104))
    p.arrow((322, 90), (370, 90))
    p.arrow((482, 90), (530, 90))
    p.text(346, 74, "F frames", "middle", "small")
    p.text(506, 74, "samples", "middle", "small")
    p.arrow((427, 176), (427, 122))
    p.text(427, 188, "QPs and channel order give the layout", "middle", "small")
    p.arrow((597, 120), (597, 160))
    p.text(597, 174, "to restoration", "middle", "small")
    return p.svg()


def restoration() -> str:
    """Samples to elements."""
    p = Picture(680, 230, "Statistics restoration and inverse quantisation")
    p.box(12, 30, 90, 50, "samples q")
    p.box(152, 20, 150, 70, "exact sums\nS = Σq, Q = Σq²", "strong")
    p.box(352, 20, 130, 70, "gain G\nmean M", "strong")
    p.box(352, 140, 130, 60, "position P", "strong")
    p.box(532, 140, 130, 60, "P · 2⁻¹⁶ · step\n+ low", "strong")
    p.arrow((102, 55), (150, 55))
    p.arrow((302, 55), (350, 55))
    p.arrow((417, 90), (417, 138))
    p.arrow((57, 80), (57, 170), (350, 170))
    p.arrow((482, 170), (530, 170))
    p.text(200, 156, "integers only", "middle", "small")
    p.text(597, 124, "binary64", "middle", "small")
    p.text(550, 40, "signalled mean", kind="small")
    p.text(550, 60, "and deviation", kind="small")
    p.arrow((545, 50), (484, 50))
    p.arrow((597, 200), (597, 222))
    return p.svg()


DRAWINGS: dict[str, Callable[[], str]] = {
    drawing.__name__: drawing for drawing in (data_flow, stream, packing, hevc, restoration)
}


class Drawing(SphinxDirective):
    """``.. drawing:: name``: one of the pictures; the content is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(__file__)
        picture = nodes.raw("", DRAWINGS[self.arguments[0]](), format="html")
        caption = nodes.caption("", "", *self.parse_inline(" ".join(self.content))[0])
        return [nodes.figure("", picture, caption, classes=["drawn"])]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
