"""From a notebook file to a page: the command, nbconvert, the figures of a kernel, wrong files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import papermill
import pytest
from lxml import html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ess_analysis.cli import main
from ess_analysis.display import MIME
from ess_analysis.errors import DataError
from ess_analysis.reports import charts
from ess_analysis.reports.exporter import export_file
from ess_analysis.writing import write_whole

BARS = (
    "import matplotlib.pyplot as plt\n"
    "plt.bar(['2011', '2012'], [1000.5, 30000])\n"
    "plt.title('Les montants montent')\nplt.ylabel('Montant (€)')\nplt.show()"
)
SHARED = Path(charts.__file__).with_name("ipython_kernel_config.json")


def written(folder: Path, *cells: Any, name: str = "carnet") -> Path:
    path = folder / f"{name}.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=list(cells), metadata=kernel), path)
    return path


# --- The command and nbconvert ---------------------------------------------------------------------


def test_ess_export_writes_the_page_beside_the_notebook_or_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = written(tmp_path, new_markdown_cell("# Mon titre"))
    assert main(["export", str(notebook)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "carnet.html")
    assert main(["export", str(notebook), "--out", str(tmp_path / "a" / "b.html")]) == 0
    assert (tmp_path / "carnet.html").read_bytes() == (tmp_path / "a" / "b.html").read_bytes()


def test_nbconvert_gives_the_same_page(tmp_path: Path) -> None:
    notebook = written(tmp_path, new_markdown_cell("texte"), name="sans_titre")
    ours = export_file(notebook, out=tmp_path / "ess.html")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "ess_report", str(notebook)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "sans_titre.html").read_text("utf-8") == ours.read_text("utf-8")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"cells": [', b"\xff\xfe\x00", b'{"nbformat": 4, "cells": 3}']
)
def test_a_file_that_is_not_a_notebook_is_refused_in_french_and_nothing_is_written(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.ipynb").write_bytes(content)
    assert main(["export", str(tmp_path / "x.ipynb")]) == 2
    said = capsys.readouterr().err
    assert "Notebook illisible" in said and "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["x.ipynb"]


def test_an_absent_notebook_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Notebook absent"):
        export_file(tmp_path / "absent.ipynb")


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, b"avant")
    with pytest.raises(TypeError):
        write_whole(path, "pas des octets")  # type: ignore[arg-type]
    assert path.read_bytes() == b"avant" and [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_notebook_of_an_older_format_is_read(tmp_path: Path) -> None:
    old = nbformat.v3.new_notebook(
        worksheets=[
            nbformat.v3.new_worksheet(cells=[nbformat.v3.new_text_cell("markdown", source="# Ancien")])
        ]
    )
    (tmp_path / "x.ipynb").write_text(nbformat.v3.writes_json(old), encoding="utf-8")
    assert "<title>Ancien</title>" in export_file(tmp_path / "x.ipynb").read_text("utf-8")


# --- The figures of a kernel -----------------------------------------------------------------------


def figures(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]


def test_every_kernel_of_this_environment_tells_its_figures() -> None:
    installed = Path(sys.prefix) / "etc" / "ipython" / SHARED.name
    if not installed.is_file() and not os.environ.get("CI"):
        pytest.skip("environnement fait sans « make setup » : seuls les notebooks qui importent ess_analysis")
    assert installed.read_bytes() == SHARED.read_bytes()


def run(notebook: Path, engine: str | None) -> nbformat.NotebookNode:
    return papermill.execute_notebook(
        str(notebook), str(notebook.with_suffix(".out.ipynb")), engine_name=engine, progress_bar=False
    )


def test_a_figure_is_drawn_and_described_with_no_line_added_in_both_engines(
    tmp_path: Path,
) -> None:
    notebook = written(tmp_path, new_code_cell("import ess_analysis"), new_code_cell(BARS))
    stock, ours = (run(notebook, engine) for engine in (None, "ess"))
    (found,) = figures(stock)
    assert figures(ours) == [found]
    assert found["caption"] == ["Les montants montent"]
    assert plain(found["alt"]) == "Barres : 2 valeurs, de 1 000,5 (2011) à 30 000,0 (2012)"
    assert [column["label"] for column in found["data"]["columns"]] == ["Catégorie", "Montant (€)"]
    page = html.document_fromstring(export_file(notebook.with_suffix(".out.ipynb")).read_bytes())
    (figure,) = page.xpath("//figure")
    drawing = unquote(figure.find(".//img").get("src"))
    assert drawing.startswith("data:image/svg+xml,<svg")
    assert "<text" in drawing and ">30\u202f000</text>" in drawing and ">Montant (€)</text>" in drawing
    assert figure.xpath(".//a[@download]") and "Lecture." in figure.text_content()


def test_every_kernel_of_the_environment_can_describe_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `etc/ipython` does for all, a user's profile does here: the notebook never names the library."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "ipython" / "profile_default").mkdir(parents=True)
    shutil.copy(SHARED, tmp_path / "ipython" / "profile_default")
    (found,) = figures(run(written(tmp_path, new_code_cell(BARS)), None))
    assert found["caption"] == ["Les montants montent"]


# --- What is said of a figure ----------------------------------------------------------------------


@pytest.fixture
def plt() -> Any:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def rows(told: dict[str, Any]) -> list[list[str]]:
    return [[cell[0] for cell in row] for row in told["data"]["rows"]]


def test_curves_that_share_their_places_make_one_column_each(plt: Any) -> None:
    figure, axes = plt.subplots()
    axes.plot([2011, 2012], [1, 2.5], label="un")
    axes.plot([2011, 2012], [3, 4], label="deux")
    axes.set_xlabel("année")
    told = charts.described(figure)
    assert [column["label"] for column in told["data"]["columns"]] == ["année", "un", "deux"]
    assert rows(told) == [["2011", "1,0", "3,0"], ["2012", "2,5", "4,0"]]
    assert plain(told["alt"]) == "2 courbes : 4 valeurs, de 1,0 (2011) à 4,0 (2012)"


def test_points_pies_intervals_and_panels_are_read(plt: Any) -> None:
    figure, ((one, two), (three, four)) = plt.subplots(2, 2)
    one.scatter([1, 2], [3, 4])
    two.pie([1, 3], labels=["a", "b"])
    three.hist([1, 1, 2], bins=2)
    four.barh(["x", "y"], [5, 6])
    kinds = [panel.series[0].kind for panel in map(charts._panel, figure.axes)]
    assert kinds == ["Nuage de points", "Secteurs", "Barres", "Barres"]
    panels = [charts._panel(axes) for axes in figure.axes]
    assert panels[1].series[0].points == [("a", pytest.approx(0.25)), ("b", pytest.approx(0.75))]
    assert panels[2].series[0].points == [("1,0 à 1,5", 2), ("1,5 à 2,0", 1)]
    assert panels[3].series[0].points == [("x", 5), ("y", 6)]
    assert len(rows(charts.described(figure))) == 8


def test_dates_are_said_as_days(plt: Any) -> None:
    import pandas as pd

    figure, axes = plt.subplots()
    axes.plot(pd.to_datetime(["2013-01-02", "2013-03-04"]), [1, 2])
    assert rows(charts.described(figure)) == [["02/01/2013", "1"], ["04/03/2013", "2"]]


def test_a_figure_of_no_data_says_so(plt: Any) -> None:
    for figure in (plt.figure(), plt.subplots()[0]):
        told = charts.described(figure)
        assert told["alt"] == "Graphique vide : aucune donnée n'y est dessinée" and told["data"] is None
        assert told["reading"] == ["Ce graphique ne contient aucune donnée."]


def test_missing_values_and_one_value_do_not_crash(plt: Any) -> None:
    figure, axes = plt.subplots()
    axes.plot([1, 2], [float("nan"), 5])
    told = charts.described(figure)
    assert rows(told) == [["1", "–"], ["2", "5"]] and told["reading"] == ["La valeur est 5 (2)."]


def test_the_axes_are_numbered_in_french_and_the_figure_is_left_as_it_was(plt: Any) -> None:
    figure, axes = plt.subplots()
    axes.plot([2011, 2013], [0, 25000])
    axes.set_title("Titre")
    before = (axes.yaxis.get_major_formatter(), axes.title.get_visible(), axes.yaxis.isDefault_majfmt)
    svg = charts.described(figure)["svg"]
    assert ">25\u202f000<" in svg and ">2011<" in svg and "Titre" not in svg
    assert before == (axes.yaxis.get_major_formatter(), axes.title.get_visible(), axes.yaxis.isDefault_majfmt)


def test_a_figure_gives_the_same_drawing_twice(plt: Any) -> None:
    def drawn() -> str:
        figure, axes = plt.subplots()
        axes.bar([1, 2], [3, 4])
        return str(charts.described(figure)["svg"])

    assert drawn() == drawn()


def test_a_drawing_too_heavy_stays_an_image_with_its_description(plt: Any) -> None:
    figure, axes = plt.subplots()
    axes.scatter(range(20_000), range(20_000))
    told = charts.described(figure)
    assert told["svg"] == "" and "20 000" in told["alt"].replace("\u202f", " ")
    assert len(told["data"]["rows"]) == charts.MOST_ROWS and "19\u202f000" in told["data"]["note"]
    image = {MIME: told, "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAUCAYAAAC07w7b"}
    cells = [new_code_cell("…", outputs=[new_output("display_data", image)])]
    from ess_analysis.reports.page import html_page

    page = html.document_fromstring(html_page(new_notebook(cells=cells)))
    assert page.find(".//figure//img").get("src").startswith("data:image/png")
    assert page.find(".//figure//img").get("alt").startswith("Nuage de points")


def test_a_figure_that_cannot_be_read_keeps_its_image() -> None:
    assert charts.bundle(object()) == {}
