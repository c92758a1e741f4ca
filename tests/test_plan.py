"""The plan: which reports there are, and what makes one due; nothing heavy, nothing guessed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ess_analysis.errors import DataError
from ess_analysis.reports import plan
from tests.small_project import ROOT, write_notebook

VALUES = {"years": [2012, 2013], "territories": ["Lille", "Saint-André", "Saint André"], "funders": ["MEL"]}


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_notebook(folder / "yearly.ipynb", "year", parameters="data = 'd'\nyear = 2013")
    write_notebook(folder / "place.ipynb", "territory", parameters="data = 'd'\nterritory = ''\nyear = 0")
    write_notebook(folder / "span.ipynb", "0", parameters="first_year = 0\nlast_year = 0")
    (folder / "reports.toml").write_text(
        """
        [[report]]
        name = "yearly"
        over = { year = "years" }
        [[report]]
        name = "place"
        over = { territory = "territories" }
        parameters = { year = 2013 }
        [[report]]
        name = "span"
        parameters = { first_year = "first year", last_year = "last year" }
        """
    )
    return folder


def files(notebooks: Path, **asked: object) -> list[str]:
    return [report.file for report in plan.reports(plan.families(notebooks), VALUES, **asked)]  # type: ignore[arg-type]


def test_one_report_per_value_and_the_ends_of_the_data(notebooks: Path) -> None:
    found = plan.reports(plan.families(notebooks), VALUES)
    assert [report.file for report in found] == [
        "yearly-2012.html", "yearly-2013.html",
        "place-lille.html", "place-saint-andre.html", "place-saint-andre-2.html", "span.html",
    ]  # fmt: skip
    assert found[-1].parameters == {"first_year": 2012, "last_year": 2013}
    assert found[2].parameters == {"territory": "Lille", "year": 2013}


def test_two_names_that_look_alike_never_share_a_file(notebooks: Path) -> None:
    found = files(notebooks)
    assert len(set(found)) == len(found)


def test_a_setting_narrows_to_the_notebooks_that_take_it(notebooks: Path) -> None:
    assert files(notebooks, settings={"territory": "Lille"}) == ["place-lille.html"]
    assert files(notebooks, settings={"year": 2013}, names=["yearly"]) == ["yearly-2013.html"]
    assert files(notebooks, years=[2012]) == ["yearly-2012.html"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"names": ["no"]}, "rapports disponibles : yearly, place, span"),
        ({"years": [1999]}, "années des données : 2012, 2013"),
        ({"settings": {"territory": "Paris"}}, "valeurs des données : Lille, Saint-André, Saint André"),
        ({"settings": {"colour": 1}}, "paramètres des notebooks : data, first_year"),
        ({"names": ["span"], "settings": {"year": 1}}, "paramètres du notebook : first_year, last_year"),
        ({"only": ["x*"]}, "fichiers : yearly-2012.html"),
    ],
)
def test_what_does_not_exist_is_refused_naming_what_exists(
    asked: dict[str, object], told: str, notebooks: Path
) -> None:
    with pytest.raises(DataError) as refused:
        files(notebooks, **asked)
    assert told in str(refused.value)


def test_a_year_asked_of_data_without_one_says_where_to_write_it(notebooks: Path) -> None:
    with pytest.raises(DataError, match=r"pas d.année.*fiche source"):
        plan.reports(plan.families(notebooks), {**VALUES, "years": []}, years=[2010])


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        ("[[report]", "illisible"),
        ('[[report]]\nnotebook = "a.ipynb"', "Entrée incorrecte"),
        ('[[report]]\nname = "a"\ncolour = 1', "colour"),
        ('[[report]]\nname = "a"\nover = { x = "moons" }', "years, territories, funders"),
    ],
)
def test_a_wrong_list_of_reports_is_told(listing: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "reports.toml").write_text(listing)
    with pytest.raises(DataError, match=told):
        plan.families(tmp_path)


def test_an_absent_list_and_an_unreadable_notebook_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Liste des rapports absente"):
        plan.families(tmp_path)
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(DataError, match="Notebook illisible"):
        plan.parameters_of(tmp_path / "a.ipynb")


def test_values_never_escape_the_folder_of_reports(notebooks: Path) -> None:
    hostile = {**VALUES, "territories": ["../../etc/passwd", "/abs", "a\x00b", ".ess", "CON", ""]}
    for report in plan.reports(plan.families(notebooks), hostile, names=["place"]):
        assert Path(report.file).name == report.file
        assert not report.file.startswith(".")


def test_a_file_given_as_a_parameter_counts_by_its_content_and_is_told_by_its_name(
    notebooks: Path, tmp_path: Path
) -> None:
    frozen = tmp_path / "gelé.toml"
    frozen.write_text("a = 1")
    listed = plan.families(notebooks)
    [report] = plan.reports(listed, VALUES, names=["span"], settings={"first_year": str(frozen)})
    assert report.file == "span-first-year-gele.html"
    before = plan._written(report.parameters)
    frozen.write_text("a = 2")
    assert plan._written(report.parameters) != before
    assert str(tmp_path) not in before


# --- Digests --------------------------------------------------------------------------------------


def test_a_big_file_is_hashed_again_only_when_it_was_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.csv"
    big.write_bytes(b"1" * (plan.DataFiles.SMALL + 1))
    os.utime(big, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(plan.DataFiles, "FRESH", -(10**18))  # as if it had been written long ago
    first = plan.DataFiles(tmp_path)
    hashed: list[Path] = []
    digest = plan.digest_now
    monkeypatch.setattr(plan, "digest_now", lambda path: hashed.append(path) or digest(path))
    again = plan.DataFiles(tmp_path, {"stats": first.stats})
    assert again.digests == first.digests
    assert hashed == []
    big.write_bytes(b"2" * (plan.DataFiles.SMALL + 1))
    assert plan.DataFiles(tmp_path, {"stats": first.stats}).digests != first.digests
    assert hashed == [big]


@pytest.mark.parametrize("hours", [-48, 0, 48])
def test_a_big_file_just_written_is_not_trusted_to_its_clock(hours: int, tmp_path: Path) -> None:
    big = tmp_path / "big.csv"
    big.write_bytes(b"1" * (plan.DataFiles.SMALL + 1))
    stamp = big.stat().st_mtime + 3600 * hours
    os.utime(big, (stamp, stamp))
    first = plan.DataFiles(tmp_path)
    with big.open("r+b") as file:
        file.write(b"2")
    os.utime(big, (stamp, stamp))  # same size, same date: only the content tells
    assert plan.DataFiles(tmp_path, {"stats": first.stats}).digests != first.digests


def test_hidden_and_lock_files_are_not_data(tmp_path: Path) -> None:
    for name in ("a.csv", ".hidden", "~$a.xlsx"):
        (tmp_path / name).write_text("1")
    assert list(plan.DataFiles(tmp_path).digests) == ["a.csv"]


def test_a_manifest_that_cannot_be_read_only_means_rendering_again(notebooks: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    now = plan.Now(plan.DataFiles(tmp_path / "data"))
    [report] = plan.reports(plan.families(notebooks), VALUES, names=["span"])
    out = tmp_path / "out"
    (out / plan.STATE).mkdir(parents=True)
    (out / report.file).write_text("page")
    for text in ("", "{", "[]", '{"reports": {"span.html": 3}}', '{"reports": {"span.html": {}}}'):
        (out / plan.STATE / "manifest.json").write_text(text)
        assert plan.due(report, plan.read_manifest(out), now, out) in ("jamais rendu", "état inconnu")


def test_the_digest_of_the_library_is_that_of_its_files_and_no_other(tmp_path: Path) -> None:
    from ess_analysis import errors

    package = Path(errors.__file__).parent
    told = plan.library_digest()
    assert told == plan.library_digest()
    copy = tmp_path / "elsewhere"
    for path in package.rglob("*"):
        if path.suffix in {".py", ".j2", ".css", ".js", ".toml"}:
            target = copy / path.relative_to(package)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert plan.digest_of((p for p in copy.rglob("*") if p.is_file()), copy) == told


def test_the_embedded_list_is_read_whole() -> None:
    found = plan.families(ROOT / "notebooks")
    assert [family.name for family in found][:2] == ["rapport_annuel", "bilan"]
    assert all(family.notebook.is_file() for family in found)
