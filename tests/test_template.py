"""The workbook of next year's collection: written, filled in as a person would, read with no other step."""

from __future__ import annotations

import datetime as dt
import shutil
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ess_analysis import cli, schema
from ess_analysis.about import about
from ess_analysis.breakdowns import breakdown
from ess_analysis.checks import check
from ess_analysis.errors import DataError
from ess_analysis.load import domains, load
from ess_analysis.sources import UNSEALED, sha256
from ess_analysis.template import INSTRUCTIONS, LISTS, write_template
from tests.conftest import ROOT

RAW = ROOT / "data" / "raw"
SHEET = "Financements 2015"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A new data folder that holds the empty workbook of 2015 and its source sheet; the workbook."""
    workbook, _ = write_template(tmp_path / "data" / "collecte_2015" / "collecte.xlsx", year=2015, data=RAW)
    return workbook


def fill(workbook: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """The workbook with these rows typed in, by header, and saved; its data folder."""
    book = openpyxl.load_workbook(workbook)
    sheet = book[next(name for name in book.sheetnames if name.startswith("Financements"))]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for number, row in enumerate(rows, start=2):
        for header, value in row.items():
            cell = sheet.cell(number, columns[header])
            cell.value = value
            cell.data_type = "s" if isinstance(value, str) else cell.data_type
    book.save(workbook)
    return workbook.parents[1]


def lists(workbook: Path) -> dict[str, list[str]]:
    sheet = openpyxl.load_workbook(workbook)[LISTS]
    columns = [[cell.value for cell in column if cell.value is not None] for column in sheet.columns]
    return {words[0]: words[1:] for words in columns}


MONTH = {"Axe": "Promotion et communication", "Intitulé": "Mois de l'ESS", "Bénéficiaire": "Ville de Lille"}
RECYCLING = {"Axe": "Création d'activité", "Intitulé": "Recyclerie", "Bénéficiaire": "Le Tri"}
TWO_YEARS = (
    {**MONTH, "Financeur": "Lille Métropole", "Étape": "accordé", "Montant": 12000, "Commune": "Lille"},
    {**MONTH, "Financeur": "Ville de Lille", "Étape": "accordé", "Montant": 8000.5},
    {**RECYCLING, "Financeur": "MEL", "Étape": "accordé", "Montant": 5000, "Année": 2014,
     "Commune": "Roubaix", "Autres communes": "Tourcoing, Croix", "Territoire": "Territoire est",
     "SIRET du bénéficiaire": "38047555800058", "Date de décision": dt.date(2014, 6, 15),
     "Résultats": "3 réunions"},
    {**RECYCLING, "Intitulé": "Local prêté", "Financeur": "Ville de Lille", "Étape": "accordé",
     "Forme": "nature", "Montant": 900, "Année": 2014},
)  # fmt: skip


# --- The workbook as it is handed out ------------------------------------------------------------


def test_the_lists_are_those_of_the_data_and_the_stages_those_of_the_library(written: Path) -> None:
    found, tables = lists(written), load(RAW)
    assert set(found["Axe"]) == set(tables.funding["axis"].dropna())
    assert set(found["Financeur"]) == {"Lille Métropole", "Ville de Lille"}
    assert set(found["Territoire"]) == set(tables.places["territory"].dropna())
    assert set(found["Dispositif"]) == set(tables.funding["programme"].dropna())
    assert found["Étape"] == list(schema.STAGE_LABELS.values())
    assert found["Forme"] == list(schema.KIND_LABELS.values())
    assert len(found["Commune"]) == 95 and {"Lille", "Roubaix"} < set(found["Commune"])


def test_every_column_has_its_check_and_says_what_it_expects(written: Path) -> None:
    sheet = openpyxl.load_workbook(written)[SHEET]
    checks = {str(check.sqref).split("2:")[0]: check for check in sheet.data_validations.dataValidation}
    assert len(checks) == sheet.max_column
    headers = {cell.value: cell.column_letter for cell in sheet[1]}
    assert all(check.prompt and check.showErrorMessage and check.error for check in checks.values())
    assert checks[headers["Étape"]].type == "list" and checks[headers["Étape"]].errorStyle == "stop"
    assert checks[headers["Axe"]].type == "list" and checks[headers["Axe"]].errorStyle == "warning"
    assert checks[headers["Montant"]].type == "decimal" and checks[headers["Montant"]].formula1 == "0"
    assert checks[headers["Date de décision"]].type == "date"
    longest = max(len(check.prompt) for check in checks.values())
    assert longest <= 255 and max(len(check.error) for check in checks.values()) <= 255  # Excel's limits


def test_each_list_names_the_column_of_its_own_words(written: Path) -> None:
    book = openpyxl.load_workbook(written)
    headers = {cell.column_letter: cell.value for cell in book[SHEET][1]}
    places = {cell.value: cell.column_letter for cell in book[LISTS][1]}
    chosen = {
        headers[str(check.sqref).split("2:")[0]]: check.formula1
        for check in book[SHEET].data_validations.dataValidation
        if check.type == "list"
    }
    assert set(chosen) == set(places)
    for header, formula in chosen.items():
        assert formula.startswith(f"OFFSET({LISTS}!${places[header]}$2,")


def test_the_page_of_instructions_is_first_in_french_and_adds_what_is_typed(written: Path) -> None:
    book = openpyxl.load_workbook(written)
    assert book.sheetnames == [INSTRUCTIONS, SHEET, LISTS]
    page = book[INSTRUCTIONS]
    text = "\n".join(str(cell.value) for cell in page["A"] if cell.value)
    for words in ("2015", "Une ligne par montant", "on ne sait pas", "collecte.xlsx.toml", "ess check"):
        assert words in text
    headers = {cell.value: cell.column_letter for cell in book[SHEET][1]}
    totals = [cell.value for cell in page["B"] if cell.value]
    assert len(totals) == len(schema.STAGES)
    amounts = f"${headers['Montant']}$2"
    assert all(total.startswith("=SUMPRODUCT(") and amounts in total for total in totals)
    assert "accordé" in totals[list(schema.STAGES).index("awarded")]


def test_the_header_stays_in_sight_and_what_a_row_lacks_turns_orange(written: Path) -> None:
    sheet = openpyxl.load_workbook(written)[SHEET]
    assert sheet.freeze_panes == "A2"
    headers = {cell.value: cell.column_letter for cell in sheet[1]}
    marked = {str(one.sqref).split("2:")[0] for one in sheet.conditional_formatting}
    assert marked == {headers[name] for name in ("Intitulé", "Bénéficiaire", "Financeur", "Étape")}


def test_the_same_request_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    time.sleep(1.1)  # a workbook keeps the second at which it was made
    again, sheet = write_template(tmp_path / "again" / "collecte.xlsx", year=2015, data=RAW)
    assert again.read_bytes() == written.read_bytes()
    assert sheet.read_text("utf-8") == written.with_name("collecte.xlsx.toml").read_text("utf-8")


def test_a_word_of_the_data_that_looks_like_a_formula_stays_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    first, _ = write_template(folder / "a" / "a.xlsx", year=2014, data=RAW)
    hostile = {**MONTH, "Axe": '=HYPERLINK("http://x")', "Financeur": "+cmd", "Étape": "versé", "Montant": 1}
    fill(first, [hostile])
    second, _ = write_template(tmp_path / "b.xlsx", year=2015, data=folder)
    cells = [cell for row in openpyxl.load_workbook(second)[LISTS].iter_rows() for cell in row]
    assert '=HYPERLINK("http://x")' in [cell.value for cell in cells]
    assert {cell.data_type for cell in cells} <= {"s", "n"} and "f" not in {c.data_type for c in cells}


def test_data_of_elsewhere_do_not_offer_our_communes(tmp_path: Path) -> None:
    first, _ = write_template(tmp_path / "raw" / "a" / "a.xlsx", year=2014, data=RAW)
    fill(first, [{**MONTH, "Financeur": "Région", "Étape": "versé", "Montant": 1}])
    second, _ = write_template(tmp_path / "b.xlsx", year=2015, data=tmp_path / "raw")
    assert lists(second)["Commune"] == []
    assert lists(second)["Financeur"] == ["Région"]


# --- Filled in and dropped into the data ---------------------------------------------------------


def test_a_first_collection_starts_from_lists_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    file, _ = write_template(tmp_path / "raw" / "collecte_2025.xlsx", year=2025, data=tmp_path / "raw")
    book = openpyxl.load_workbook(file)
    lists = {
        column[0].value: [cell.value for cell in column[1:] if cell.value]
        for column in book["Listes"].columns
    }
    assert lists["Axe"] == lists["Financeur"] == lists["Commune"] == []
    assert lists["Étape"] == list(schema.STAGE_LABELS.values())


def test_a_filled_workbook_loads_with_no_other_step(written: Path) -> None:
    tables = load(fill(written, TWO_YEARS))
    funding = tables.funding
    assert len(funding) == 4 and funding["amount_eur"].sum() == 25900.5
    assert funding["year"].tolist() == [2015, 2015, 2014, 2014]
    assert funding["stage"].eq("awarded").all()
    assert funding["kind"].tolist() == ["cash", "cash", "cash", "in_kind"]
    assert funding["cell"].tolist() == ["K2", "K3", "K4", "K5"]
    assert tables.indicators["low"].tolist() == [3]


def test_the_checks_only_tell_that_the_workbook_is_not_sealed(written: Path) -> None:
    findings = check(load(fill(written, TWO_YEARS)))
    assert findings["code"].tolist() == ["READ-UNSEALED"]
    assert findings["severity"].tolist() == ["info"]
    assert findings["computed"].tolist() == [sha256(written)]


def test_the_names_of_the_earlier_collections_are_understood(written: Path) -> None:
    funding = load(fill(written, TWO_YEARS)).funding
    assert set(funding["funder"]) == {"Lille Métropole", "Ville de Lille"}  # « MEL » was typed


def test_an_action_paid_by_two_funders_is_one_action(written: Path) -> None:
    tables = load(fill(written, TWO_YEARS))
    assert len(tables.records) == 3
    two = tables.funding[tables.funding["title"] == "Mois de l'ESS"]
    assert two["record_id"].nunique() == 1 and len(two) == 2


def test_a_title_left_blank_is_a_further_line_of_the_action_above(written: Path) -> None:
    more = {"Financeur": "Ville de Lille", "Étape": "accordé", "Montant": 10}
    tables = load(fill(written, [TWO_YEARS[0], more]))
    assert len(tables.records) == 1
    assert tables.funding["title"].tolist() == ["Mois de l'ESS"] * 2
    assert tables.funding["recipient"].tolist() == ["Ville de Lille"] * 2


def test_the_same_title_for_another_recipient_is_another_action(written: Path) -> None:
    other = {**TWO_YEARS[0], "Bénéficiaire": "Ville de Loos"}
    assert len(load(fill(written, [TWO_YEARS[0], other])).records) == 2


def test_the_communes_are_read_with_their_codes(written: Path) -> None:
    places = load(fill(written, TWO_YEARS)).places
    assert set(places["commune"].dropna()) == {"Lille", "Roubaix", "Tourcoing", "Croix"}
    assert set(places["territory"].dropna()) == {"Territoire est"}


def test_a_new_axis_or_funder_is_data_like_the_others(written: Path) -> None:
    row = {**MONTH, "Axe": "Logement", "Financeur": "Région", "Étape": "versé", "Montant": 3}
    tables = load(fill(written, [row]))
    assert breakdown(tables, ["axis", "funder"])["amount_eur"].sum() == 3


def test_rows_written_below_the_lists_are_read_too(written: Path) -> None:
    rows = [{**MONTH, "Bénéficiaire": f"B{n}", "Financeur": "MEL", "Étape": "versé", "Montant": 1}
            for n in range(2100)]  # fmt: skip
    assert load(fill(written, rows)).funding["amount_eur"].sum() == 2100


def test_the_years_stand_beside_those_already_collected(written: Path, tmp_path: Path) -> None:
    folder = fill(written, TWO_YEARS)
    shutil.copytree(RAW, tmp_path / "all")
    shutil.copytree(folder / "collecte_2015", tmp_path / "all" / "collecte_2015")
    tables = load(tmp_path / "all")
    assert domains(tables)["years"] == [2011, 2012, 2013, 2014, 2015]
    dated = tables.funding[tables.funding["year"] == 2015]
    assert dated["amount_eur"].sum() == 20000.5


def test_a_workbook_of_two_years_renders_both_years_and_their_comparison(
    written: Path, tmp_path: Path
) -> None:
    from ess_analysis.reports import batch

    out = tmp_path / "reports"
    names = ["rapport_annuel", "bilan"]
    summary = batch.render(fill(written, TWO_YEARS), ROOT / "notebooks", out, quiet=True, names=names)
    assert summary.failed == []
    pages = {path.name: path.read_text("utf-8") for path in out.glob("*.html")}
    assert set(pages) == {"index.html", "bilan.html", "rapport-annuel-2014.html", "rapport-annuel-2015.html"}
    assert "20\u202f000,50\u00a0€" in pages["rapport-annuel-2015.html"]
    assert "5\u202f000\u00a0€" in pages["rapport-annuel-2014.html"]
    comparison = pages["bilan.html"]
    assert "Bilan 2014-2015" in comparison and "Année la plus soutenue" in comparison


# --- Sealed, and what goes wrong -----------------------------------------------------------------


def seal(workbook: Path) -> None:
    sheet = workbook.with_name(workbook.name + ".toml")
    sheet.write_text(sheet.read_text("utf-8").replace(UNSEALED, sha256(workbook)), encoding="utf-8")


def test_once_sealed_a_changed_byte_stops_the_reading(written: Path) -> None:
    folder = fill(written, TWO_YEARS)
    seal(written)
    assert check(load(folder)).empty
    fill(written, [{"Montant": 12001}])
    with pytest.raises(DataError, match="Le fichier a changé"):
        load(folder)


def test_the_report_of_an_unsealed_workbook_shows_the_checksum_of_what_it_read(written: Path) -> None:
    (sheet,) = load(fill(written, TWO_YEARS)).sources
    assert sheet.sha256 == sha256(written) and not sheet.sealed


def test_an_empty_workbook_says_so(written: Path) -> None:
    with pytest.raises(DataError, match="Table vide"):
        load(written.parents[1])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"Montant": "environ 500"}, "environ 500"),
        ({"Montant": -5}, "-5"),
        ({"Étape": "promis"}, "promis"),
        ({"Commune": "Lile-sur-Nulle"}, "Lile-sur-Nulle"),
        ({"Année": "bientôt"}, "bientôt"),
    ],
)
def test_a_wrong_entry_stops_with_its_cell(written: Path, typed: dict[str, Any], said: str) -> None:
    rows = [{**TWO_YEARS[2]}, {**TWO_YEARS[0], **typed}]
    with pytest.raises(DataError) as caught:
        load(fill(written, rows))
    assert any(said in seen for seen in caught.value.seen) and "3" in str(caught.value)
    assert caught.value.todo


def test_a_total_row_added_by_hand_is_not_a_subsidy(written: Path) -> None:
    with pytest.raises(DataError, match="total"):
        load(fill(written, [*TWO_YEARS, {"Intitulé": "TOTAL", "Montant": 25900.5}]))


def test_the_work_of_someone_is_never_overwritten(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(written, TWO_YEARS)
    before = written.read_bytes()
    assert cli.main(["template", str(written), "--year", "2015", "--data", str(RAW)]) == 2
    assert "existe déjà" in capsys.readouterr().err
    assert written.read_bytes() == before


@pytest.mark.parametrize(("name", "year"), [("collecte.csv", 2015), ("collecte.xlsx", 20150)])
def test_a_wrong_name_or_year_is_refused(tmp_path: Path, name: str, year: int) -> None:
    with pytest.raises(DataError):
        write_template(tmp_path / name, year=year, data=RAW)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.xlsx"
    assert cli.main(["template", str(file), "--year", "2016", "--data", str(RAW)]) == 0
    assert capsys.readouterr().out.split() == [str(file), f"{file}.toml"]
    sheet = tomllib.loads((tmp_path / "c.xlsx.toml").read_text("utf-8"))
    assert sheet["file"]["sha256"] == UNSEALED and sheet["table"][0]["year"] == 2016


def test_a_stage_left_blank_is_told_with_its_cell_and_stops_the_reports(written: Path) -> None:
    blank = [{**TWO_YEARS[0], "Étape": None}, *TWO_YEARS[1:]]
    tables = load(fill(written, blank))
    told = tables.findings[tables.findings["code"].eq("READ-STAGE-BLANK")]
    column = next(
        c for c in openpyxl.load_workbook(written).worksheets[1][1] if c.value == "Étape"
    ).column_letter
    assert told["cell"].tolist() == [f"{column}2"] and told["severity"].tolist() == ["blocking"]
    assert schema.MISSING_LABEL in breakdown(tables, by=["stage", "kind"])["stage"].astype("str").tolist()
    with pytest.raises(DataError, match="Étape laissée vide") as stopped:
        about(tables, year=2015)
    assert "K2" in str(stopped.value) and "classeur" in str(stopped.value)
