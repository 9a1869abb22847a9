"""How the documentation is built: `make docs`. Sphinx, because it takes Markdown (MyST), reads docstrings, finds broken
links by itself, and needs no network.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from options_page import options_page  # noqa: E402 it lies beside this file

project = "yolo_proc"
author = "the authors of yolo_proc"
copyright = "MIT licence"  # noqa: A001 the name that Sphinx knows
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "yolo_proc"
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True

(HERE / "reference" / "options.md").write_text(options_page(), encoding="utf-8")
