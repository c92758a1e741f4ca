"""A small project of ordinary notebooks, for the tests of the batch: nothing of the real data is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
READ_A = "total = sum(int(line) for line in open(f'{data}/a.csv'))\nprint('total a', total)"
READ_B = "print('b', open(f'{data}/b.csv').read())"


def write_notebook(path: Path, *cells: str, parameters: str = "data = 'data'") -> Path:
    """A notebook with a title, a cell of parameters and these cells."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    made = [nbformat.v4.new_markdown_cell(f"# {path.stem}"), first, *map(nbformat.v4.new_code_cell, cells)]
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec}), path)
    return path


def write_project(folder: Path, notebooks: Mapping[str, list[str]], over: int = 0) -> Path:
    """A folder with `data/` (a.csv, b.csv) and `notebooks/`; `over`: each notebook over n = 1, 2, …"""
    (folder / "data").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "data" / "a.csv").write_text("1\n2\n3\n")
    (folder / "data" / "b.csv").write_text("7")
    listed = []
    for name, cells in notebooks.items():
        parameters = "data = 'data'" + ("\nn = 1" if over else "")
        write_notebook(folder / "notebooks" / f"{name}.ipynb", *cells, parameters=parameters)
        listed.append(f'[[report]]\nname = "{name}"\n')
        if over:
            listed.append(f"over = {{ n = {list(range(1, over + 1))} }}\n")
    (folder / "notebooks" / "reports.toml").write_text("".join(listed))
    return folder


def places(project: Path) -> dict[str, Any]:
    """The arguments of `batch.render` for this project."""
    return {"data": project / "data", "notebooks": project / "notebooks", "out": project / "out"}


def ess(project: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """`ess report` run in this project from the prompt."""
    return subprocess.run(
        command(*words), cwd=project, capture_output=True, text=True, env=environment(), **options
    )


def command(*words: str, module: str = "report") -> list[str]:
    """The words of the command, with the folders of a small project."""
    folders = ["--data", "data", "--notebooks", "notebooks", "--out", "out"]
    return [sys.executable, "-m", "ess_analysis.cli", module, *folders, *words]


def environment() -> dict[str, str]:
    """The environment in which the command finds the library under test."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def pages(project: Path) -> dict[str, str]:
    """The pages written, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in (project / "out").glob("*.html")}


def wait_until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """The first value that counts as true; fails after that long."""
    import time

    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "rien n'est venu"
        time.sleep(0.02)
    return value
