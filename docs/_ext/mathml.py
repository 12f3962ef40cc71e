"""Formulae as MathML, made by docutils while the site is built: no fonts, scripts or networks."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml, pick_math_environment


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    code = node.astext()
    environment = pick_math_environment(code)
    if environment != "equation*":
        code = f"\\begin{{aligned}}\n{code}\n\\end{{aligned}}"
    translator.body.append('<div class="formula">')
    translator.body.append(latex2mathml.tex2mathml(code, as_block=True))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
