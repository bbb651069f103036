"""How Sphinx builds these pages: `make docs`, offline, warnings are errors, notebooks are carried out."""

from importlib.metadata import version as version_of

project = "Athanor"
author = "the Athanor authors"
version = release = version_of("athanor")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "docs.extension",
]
exclude_patterns = ["extension", "benchmark-tables.md"]
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]  # types of other packages, which only their own sites know

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_linkify_fuzzy_links = False
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
html_math_renderer = "mathml"  # drawn by the browser itself: no script from elsewhere

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say units and shapes; types of the classes behind them are no pages here
copybutton_prompt_text = "$ "  # what is copied are the commands: neither prompts nor output
copybutton_only_copy_prompt_lines = True

html_theme = "pydata_sphinx_theme"
html_title = "Athanor"
html_static_path = ["static"]
html_css_files = ["athanor.css"]
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_theme_options = {
    "logo": {"text": "Athanor"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
