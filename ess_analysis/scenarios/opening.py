"""Opening the interactive notebook: in JupyterLab, or as a Voilà application."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ess_analysis.errors import DataError

NOTEBOOK = Path("notebooks") / "scenarios.ipynb"
ORDINARY = Path("data") / "raw"


def opened(data: Path, *, app: bool = False) -> int:
    """The exit code of JupyterLab, or of Voilà with `app`, opened on the scenarios notebook.

    Raises DataError when the notebook, the data or the program is missing.
    """
    module = "voila" if app else "jupyterlab"
    if find_spec(module) is None:
        extra = "voila (extra « app »)" if app else "jupyterlab"
        raise DataError(f"{extra} n’est pas installé.", todo='lancez : pip install "ess_analysis[app]".')
    with tempfile.TemporaryDirectory(prefix="ess-explore-") as aside:
        notebook = prepared(notebook_here(), data, Path(aside), hosted=app)
        return subprocess.call([sys.executable, "-m", module, str(notebook)])


def notebook_here() -> Path:
    """The scenarios notebook of this folder or of the nearest one above; DataError when there is none."""
    places = [folder / NOTEBOOK for folder in (Path.cwd(), *Path.cwd().parents)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DataError(f"{NOTEBOOK} est introuvable.", todo="placez-vous dans le dossier du projet.")
    return found


def prepared(notebook: Path, data: Path, aside: Path, *, hosted: bool) -> Path:
    """The notebook itself with the ordinary data; with others, or hosted, a copy of it that names them.

    A hosted copy writes nothing on the machine that hosts it: a frozen scenario is downloaded.
    """
    if not data.is_dir() and data != ORDINARY:
        raise DataError(f"Dossier de données absent : {data}.", todo="indiquez le bon dossier avec --data.")
    settings: dict[str, Any] = {"hosted": True} if hosted else {}
    if data != ORDINARY or hosted:
        settings["data"] = str((data if data.is_dir() else notebook.parents[1] / data).resolve())
    if not settings:
        return notebook
    from papermill.iorw import load_notebook_node, write_ipynb
    from papermill.parameterize import parameterize_notebook

    write_ipynb(
        parameterize_notebook(load_notebook_node(str(notebook)), settings), str(aside / notebook.name)
    )
    return aside / notebook.name
