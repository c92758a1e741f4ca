"""Évaluer le soutien public local à l'économie sociale et solidaire.

    import ess_analysis as ess

    tables = ess.load()                                  # data/raw → tidy tables
    ess.check(tables)                                    # findings, each with its cell
    ess.breakdown(tables, ["axis", "funder"], year=2013, stage="planned")

The public names, in the words of the `ess` command; each is imported when first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ess_analysis.errors import DataError

if TYPE_CHECKING:
    from ess_analysis.breakdowns import breakdown, consolidated
    from ess_analysis.checks import check
    from ess_analysis.diff import diff
    from ess_analysis.load import load
    from ess_analysis.open_data import read
    from ess_analysis.plots import plotted
    from ess_analysis.processed import build
    from ess_analysis.traces import explain

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "breakdown",
    "build",
    "check",
    "consolidated",
    "diff",
    "explain",
    "load",
    "plotted",
    "read",
]

_HOME = {
    "breakdown": "breakdowns",
    "build": "processed",
    "check": "checks",
    "consolidated": "breakdowns",
    "diff": "diff",
    "explain": "traces",
    "load": "load",
    "plotted": "plots",
    "read": "open_data",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ess_analysis' has no attribute {name!r}")
    value = getattr(import_module(f"ess_analysis.{_HOME[name]}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """The package: `load` and `diff` stay the functions when the modules of the same names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if (_ipython := sys.modules.get("IPython")) and (_shell := _ipython.get_ipython()):
    # in a kernel: matplotlib figures are told to the reports, with no line to add to a notebook
    from ess_analysis.reports.charts import load_ipython_extension

    load_ipython_extension(_shell)
