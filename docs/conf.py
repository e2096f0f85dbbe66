"""How Sphinx builds these pages: `sphinx-build -W docs site`."""

from __future__ import annotations

from typing import Final

from exotel_async import __version__

project = "exotel_async"
author = "the exotel_async developers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "cyclopts.sphinx_ext",
]
html_theme = "furo"
html_title = f"exotel_async {release}"
html_static_path = ["_static"]
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions: Final = ["colon_fence"]
myst_heading_anchors = 3

default_role = "py:obj"  # links where there is something to link to
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # a name in a docstring may be that of several things
toc_object_entries_show_parents = "hide"
