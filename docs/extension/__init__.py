"""What Athanor's pages need of Sphinx: the reference written from the code, and formulas without scripts."""

from typing import Any

from sphinx.application import Sphinx

from docs.extension import formulas, generated


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what these pages use to Sphinx."""
    app.add_html_math_renderer("mathml", (formulas.inline, None), (formulas.block, None))
    app.connect("source-read", generated.fill)
    app.connect("env-get-outdated", generated.outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
