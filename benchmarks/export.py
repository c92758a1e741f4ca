"""Size and time of a page: ours against nbconvert lab, classic and basic, on the same executed notebook.

    python benchmarks/export.py            # rounds of 5, about a minute
    python benchmarks/export.py --rounds 20

Notebooks are executed once: the yearly report, an ordinary one with 4 matplotlib charts and 5 tables, one
with a table of 5 000 rows. Each exporter then makes a page of each, in process, its slowest start (imports,
template) paid before. Times are the median of the rounds, all exporters in turn in each round.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ess_analysis.reports.page import html_page  # noqa: E402

GOALS = {
    "rapport annuel": "but : 120 Ko, 25 Ko gzip, 80 ms",
    "carnet ordinaire": "but : 80 ms",
    "5 000 lignes": "but : 1 000 ms",
    "vide": "but : 10 Ko",
}
SETUP = """\
import ess_analysis
import pandas as pd
import matplotlib.pyplot as plt
frame = pd.DataFrame({"axe": [f"Axe {n}" for n in range(12)], "montant": [1234.5 * n for n in range(12)],
                      "part": [n / 66 for n in range(12)]})"""
CHARTS = (
    "plt.bar(frame.axe, frame.montant); plt.title('Barres'); plt.show()",
    "plt.plot(frame.montant, frame.part); plt.title('Courbe'); plt.show()",
    "plt.scatter(frame.montant, frame.part); plt.title('Nuage'); plt.show()",
    "plt.hist(frame.montant); plt.title('Histogramme'); plt.show()",
)
LONG = """\
import pandas as pd
pd.set_option("display.max_rows", None)
pd.DataFrame({"projet": [f"Projet {n}" for n in range(5000)], "financeur": "Ville de Lille",
              "annee": 2013, "montant": [10.5 * n for n in range(5000)], "part": 0.25})"""


def executed(name: str, folder: Path) -> nbformat.NotebookNode:
    """One of the notebooks, run."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    if name == "rapport annuel":
        source, settings = ROOT / "notebooks" / "rapport_annuel.ipynb", {"data": str(ROOT / "data" / "raw")}
    else:
        cells: list[Any] = [new_markdown_cell(f"# {name}")]
        if name == "carnet ordinaire":
            cells.append(new_code_cell(SETUP))
            for chart in CHARTS:
                cells += [
                    new_markdown_cell("## Une question ?"),
                    new_code_cell(chart),
                    new_code_cell("frame"),
                ]
            cells.append(new_code_cell("frame.describe()"))
        elif name == "5 000 lignes":
            cells.append(new_code_cell(LONG))
        source, settings = folder / "source.ipynb", {}
        nbformat.write(new_notebook(cells=cells, metadata=kernel), source)
    return papermill.execute_notebook(
        str(source), None, parameters=settings, engine_name="ess", progress_bar=False
    )


def nbconvert(template: str) -> Callable[[nbformat.NotebookNode], str]:
    """nbconvert with one of its templates, code hidden, as a report would be."""
    exporter = HTMLExporter(template_name=template, exclude_input=True)
    return lambda notebook: str(exporter.from_notebook_node(notebook)[0])


def main() -> int:
    """Runs the comparison and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    exporters = {"ess": html_page, **{name: nbconvert(name) for name in ("lab", "classic", "basic")}}
    print(f"{dt.date.today()}, {platform.platform()}, Python {platform.python_version()}")
    print(
        ", ".join(f"{name} {version(name)}" for name in ("nbconvert", "nh3", "lxml", "matplotlib", "pandas"))
    )
    print(f"{'carnet':<18}{'export':<9}{'Ko':>8}{'gzip':>8}{'ms':>9}   taille et temps, ess = 1")
    with tempfile.TemporaryDirectory() as folder:
        for name, goal in GOALS.items():
            notebook = executed(name, Path(folder))
            pages = {key: export(notebook) for key, export in exporters.items()}  # and everything is warm
            taken: dict[str, list[float]] = {key: [] for key in exporters}
            for _ in range(options.rounds):
                for key, export in exporters.items():
                    start = time.perf_counter()
                    export(notebook)
                    taken[key].append((time.perf_counter() - start) * 1000)
            ours = statistics.median(taken["ess"])
            for key, text in pages.items():
                size, packed = len(text.encode()), len(gzip.compress(text.encode(), 9))
                median = statistics.median(taken[key])
                ratio = f"× {size / len(pages['ess'].encode()):.1f}   × {median / ours:.1f}"
                print(
                    f"{name:<18}{key:<9}{size / 1000:>8.1f}{packed / 1000:>8.1f}{median:>9.1f}   "
                    + (goal if key == "ess" else ratio)
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
