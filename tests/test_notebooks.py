"""The notebooks: thin, readable, stored without outputs; each runs for each value of its parameters."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from ess_analysis.load import load

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LAST_QUESTION = "## Que faut-il savoir sur ces chiffres\u00a0?"
MIME = "application/vnd.ess+json"

# What a notebook may not hold: it asks, the library answers.
LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.While,
    ast.If,
    ast.IfExp,
    ast.Try,
    ast.Lambda,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def name(path: Path) -> str:
    return path.stem


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def is_parameters(cell: Any) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_valid_and_stored_without_outputs(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    assert [cell for cell in cells(path, "code") if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_opens_with_its_title_and_reader_then_its_parameters(path: Path) -> None:
    first, second = read(path).cells[:2]
    title, reader = first.source.split("\n\n")
    assert title.startswith("# ") and reader.startswith("Pour ")
    assert is_parameters(second) and "data" in assigned(second.source)
    assert sum(is_parameters(cell) for cell in cells(path, "code")) == 1


def assigned(source: str) -> set[str]:
    return {
        t.id
        for node in ast.parse(source).body
        for t in getattr(node, "targets", [])
        if isinstance(t, ast.Name)
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_cells_are_short_and_hold_no_logic_and_no_number(path: Path) -> None:
    for cell in cells(path, "code"):
        assert len(cell.source.splitlines()) <= 8, cell.source
        tree = ast.parse(cell.source)
        assert [node for node in ast.walk(tree) if isinstance(node, LOGIC)] == [], cell.source
        if not is_parameters(cell):
            numbers = [
                n.value
                for n in ast.walk(tree)
                if isinstance(n, ast.Constant) and not isinstance(n.value, str)
            ]
            assert [n for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool)] == [], (
                cell.source
            )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_number_is_typed_in_the_prose(path: Path) -> None:
    prose = " ".join(cell.source for cell in cells(path, "markdown"))
    assert re.findall(r"\d+(?!\d*-20\d\d)", re.sub(r"\b20\d\d(-20\d\d)?\b", "", prose)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_headings_are_questions_and_the_last_asks_what_the_figures_rest_on(path: Path) -> None:
    headings = [
        line for cell in cells(path, "markdown") for line in cell.source.splitlines() if line.startswith("##")
    ]
    assert [heading for heading in headings if not heading.endswith("?")] == []
    assert headings[-1].replace("\u202f", "\u00a0").replace(" ?", "\u00a0?") == LAST_QUESTION


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_names_nothing_of_one_collection(path: Path) -> None:
    if path.stem == "note_scenarios":
        pytest.skip("written about one note")
    text = " ".join(cell.source for cell in read(path).cells if not is_parameters(cell))
    assert re.findall(r"\b(MEL|Lille|Lomme|Roubaix|APT|Métropole|annexe)\b", text, re.IGNORECASE) == []


# --- Each one runs -----------------------------------------------------------------------------------


def runs() -> list[tuple[str, dict[str, Any]]]:
    tables = load(ROOT / "data" / "raw")
    years = range(2011, 2015)
    return [
        *(("rapport_annuel", {"year": year}) for year in years),
        ("bilan", {"first_year": years[0], "last_year": years[-1]}),
        *(
            ("fiche_territoire", {"territory": t})
            for t in sorted(tables.places["territory"].dropna().unique())
        ),
        *(("fiche_financeur", {"funder": f}) for f in sorted(tables.funding["funder"].dropna().unique())),
        ("qualite_des_donnees", {}),
    ]


def executed(notebook: str, parameters: dict[str, Any], out: Path) -> list[Any]:
    """What the cells of the executed notebook publish for the page."""
    ran = papermill.execute_notebook(
        ROOT / "notebooks" / f"{notebook}.ipynb",
        out / "ran.ipynb",
        parameters={"data": str(ROOT / "data" / "raw"), **parameters},
        progress_bar=False,
        kernel_name="python3",
    )
    return [o["data"][MIME] for c in ran.cells for o in c.get("outputs", []) if MIME in o.get("data", {})]


@pytest.mark.parametrize(("notebook", "parameters"), runs(), ids=lambda value: str(value))
def test_each_notebook_runs_for_each_value(notebook: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    shown = executed(notebook, parameters, tmp_path)
    kinds = [one["kind"] for one in shown]
    assert kinds[:2] == ["cover", "keypoints"] and set(kinds[2:]) == {"group"}
    assert 3 <= len(shown[1]["items"]) <= 5
    assert all(one["items"] for one in shown[2:]), "a question without an answer"
    figures = [item for one in shown[2:] for item in one["items"] if item["kind"] == "figure"]
    for figure in figures:
        caption = "".join(part if isinstance(part, str) else part["number"] for part in figure["caption"])
        assert caption and len(figure["alt"]) <= 80 and figure["alt"] != caption and figure["data"]["rows"]
    if parameters.get("year") in (2011, 2014):
        assert figures == [] or all("accordés" in str(figure["caption"]) for figure in figures)
