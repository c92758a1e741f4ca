"""Imported before papermill: jsonschema without its grammar of internationalised addresses.

nbformat imports jsonschema, which builds that grammar (a second at every start, once JupyterLab is installed)
for formats that no notebook uses. It does without when the module that builds it is not to be had.
"""

from __future__ import annotations

import importlib
import sys

_GRAMMAR = "rfc3987_syntax"

if _GRAMMAR not in sys.modules:
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        importlib.import_module("jsonschema")
    finally:
        del sys.modules[_GRAMMAR]
