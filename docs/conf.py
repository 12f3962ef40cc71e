"""Configuration of the documentation site: the specification, the tutorial, the guides, the API."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import refcodec  # noqa: E402

project = "Deep Feature Coding"
author = "The refcodec maintainers"
copyright = "The refcodec maintainers. Apache License 2.0"
version = release = refcodec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "mathml",
    "markup",
    "generated",
    "drawings",
    "examples",
    "decisions",
    "symbols",
    "sources",
    "vectors",
    "editions",
    "wrapping",
    "requirements",
    "docstrings",
    "markdown",
    "notebook",
]
if find_spec("nbformat"):
    tags.add("notebook")  # noqa: F821
exclude_patterns = ["_build", "_ext"]
if tags.has("print"):  # noqa: F821 - the specification on one page: -t print -b singlehtml
    root_doc = "print"
    exclude_patterns += [
        "index.rst",
        "tutorial.rst",
        "requirements.rst",
        "vectors.rst",
        "changelog.rst",
        "versions.rst",
    ]
    exclude_patterns += ["spec/index.rst", "api", "guides", "results"]
    html_use_index = False
    parts = ("brand", "scroll-start", "navigation", "scroll-end")  # but no search
    html_sidebars = {"**": [f"sidebar/{part}.html" for part in parts]}
else:
    exclude_patterns += ["print.rst"]
templates_path = []
nitpicky = True
nitpick_ignore_regex = [
    (
        "py:class",
        r"(collections|concurrent|contextlib|numpy|os|pathlib|torch)\..+",
    ),  # of other projects
    ("py:class", r"Axis|refcodec\.models\.images\.Source"),  # aliases of types
    ("py:class", r"refcodec\.encoder\.analysis\.Latents"),  # a pair of arrays that a writer takes
    ("py:class", r"refcodec\.syntax\.(codes\.\w+|records\.R)"),  # code points: clause 7 has them
    ("py:class", r"refcodec\.syntax\.structures\.StreamHeader"),  # clause 6.2 has its elements
    ("py:class", r".*[\[|].*"),  # types within a union, which autodoc does not take apart
]
if tags.has("print"):  # noqa: F821 - one page has no pages of sources, vectors and tests
    nitpick_ignore_regex += [("dfc:(source|tested|vector)", ".*")]
smartquotes = False
highlight_language = "python"

html_theme = "furo"
html_title = "Deep Feature Coding"
html_static_path = ["_static"]
html_css_files = ["dfc.css"]
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1a5276",
        "color-brand-content": "#1a5276",
        "color-brand-visited": "#1a5276",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb3d5",
        "color-brand-content": "#7fb3d5",
        "color-brand-visited": "#7fb3d5",
    },
}
html_copy_source = False
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
