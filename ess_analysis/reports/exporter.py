"""A notebook → one self-contained, accessible French page.

`jupyter nbconvert --to ess_report` and `ess export` use it; the batch calls `export_html` in process.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import Exporter

from ess_analysis.errors import DataError
from ess_analysis.reports import page
from ess_analysis.writing import write_whole


class ReportExporter(Exporter):
    """The nbconvert exporter `ess_report`: the same page as `ess export`."""

    export_from_notebook = "Rapport HTML (ess)"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(  # type: ignore[override]  # nbconvert's own exporters return text too
        self, nb: nbformat.NotebookNode, resources: Any = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page and nbconvert's resources."""
        notebook, resources = super().from_notebook_node(nb, resources, **kwargs)
        name = resources.get("metadata", {}).get("name", "")
        return page.html_page(notebook, name=name), resources


def export_html(
    notebook: nbformat.NotebookNode,
    *,
    out: Path | None = None,
    name: str = "",
    provenance: Mapping[str, str] | None = None,
) -> str:
    """The page of an executed notebook; with `out` it is also written there, whole or not at all.

    `name` stands for the title of a notebook that has none. `provenance` is shown at the end of the page
    (label → value).
    """
    text = page.html_page(notebook, name=name, provenance=provenance)
    if out is not None:
        write_whole(out, text.encode("utf-8"))
    return text


def export_file(notebook: Path, *, out: Path | None = None, pdf: bool = False) -> Path:
    """The path of the page made from a notebook file, as it stands (it is not run); with `pdf`, its PDF too.

    Raises DataError when the file is absent or is not a notebook.
    """
    try:
        node = nbformat.read(notebook, as_version=4)
    except FileNotFoundError as error:
        raise DataError(f"Notebook absent : {notebook}.", todo="vérifiez le chemin.") from error
    except Exception as error:
        raise DataError(
            f"Notebook illisible : {notebook}.",
            seen=[str(error)[:200]],
            todo="ouvrez-le dans JupyterLab et enregistrez-le à nouveau.",
        ) from error
    target = out or notebook.with_suffix(".html")
    export_html(node, out=target, name=notebook.stem)
    if pdf:
        from ess_analysis.reports.pdf import write_pdf

        write_pdf(target, target.with_suffix(".pdf"))
    return target
