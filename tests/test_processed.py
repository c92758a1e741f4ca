"""`ess build`: the tidy tables with their description, the workbook for people, the last good build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import frictionless
import numpy as np
import openpyxl
import pandas as pd
import pytest

from ess_analysis import cli, processed, schema
from ess_analysis.checks import check
from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.processed import BUILT, PACKAGE, WORKBOOK, BlockedError, build, read_build
from ess_analysis.template import write_template
from ess_analysis.workbooks import as_written, neutral
from tests.conftest import ROOT

RAW = ROOT / "data" / "raw"
NOTE = "mel_2011-2014/note_mel_communes.xlsx"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of the embedded data."""
    out = tmp_path_factory.mktemp("built") / "processed"
    build(RAW, out)
    return out


@pytest.fixture(scope="module")
def book(built: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(built / WORKBOOK)


def copied(tmp_path: Path, changed: dict[str, Any] | None = None) -> Path:
    """The embedded data, with cells of annex 2 changed and the source sheet sealed again."""
    from ess_analysis.sources import sha256

    data = tmp_path / "raw"
    shutil.copytree(RAW, data)
    if changed:
        workbook = openpyxl.load_workbook(data / NOTE)
        for cell, value in changed.items():
            workbook["Annexe 2"][cell].value = value
            if isinstance(value, str):
                workbook["Annexe 2"][cell].data_type = "s"
        workbook.save(data / NOTE)
        sheet = data / f"{NOTE}.toml"
        text = re.sub(r'sha256 = "\w+"', f'sha256 = "{sha256(data / NOTE)}"', sheet.read_text("utf-8"))
        sheet.write_text(text, encoding="utf-8")
    return data


def adding_stages(tmp_path: Path) -> Path:
    """Data whose document adds what is awarded to what is paid: a blocking finding."""
    workbook, sheet = write_template(tmp_path / "raw" / "a" / "a.xlsx", year=2015, data=RAW)
    book = openpyxl.load_workbook(workbook)
    page = book["Financements 2015"]
    columns = {cell.value: cell.column for cell in page[1]}
    rows = ({"Intitulé": "Une", "Étape": "accordé", "Montant": 10}, {"Intitulé": "Deux", "Étape": "versé",
            "Montant": 5}, {"Intitulé": "TOTAL", "Montant": 15})  # fmt: skip
    for number, row in enumerate(rows, start=2):
        for header, value in row.items():
            page.cell(number, columns[header]).value = value
    book.save(workbook)
    sheet.write_text(sheet.read_text("utf-8") + '\n[[table.total]]\nrow = "TOTAL"\n', encoding="utf-8")
    return tmp_path / "raw"


# --- CSV and datapackage.json --------------------------------------------------------------------


def test_the_package_validates_with_frictionless(built: Path) -> None:
    report = frictionless.validate(str(built / PACKAGE))
    assert report.flatten(["title", "message"]) == []
    assert {task.name for task in report.tasks} == set(BUILT)


def test_a_csv_changed_by_a_letter_no_longer_validates(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "copy")
    file = tmp_path / "copy" / "funding.csv"
    file.write_text(file.read_text("utf-8").replace("awarded", "awardez", 1), encoding="utf-8")
    assert not frictionless.validate(str(tmp_path / "copy" / PACKAGE)).valid


def test_the_build_reads_back_as_the_tables_it_was_made_from(built: Path) -> None:
    tables, again = load(RAW), read_build(built)
    for name in schema.TABLES:
        expected = check(tables) if name == "findings" else getattr(tables, name)
        pd.testing.assert_frame_equal(getattr(again, name), expected.reset_index(drop=True), check_like=False)
    assert again.readings == json.loads(json.dumps(tables.readings))


def test_the_amounts_are_the_same_to_the_cent(built: Path) -> None:
    written = pd.read_csv(built / "funding.csv")["amount_eur"]
    assert round(written.sum() * 100) == round(load(RAW).funding["amount_eur"].sum() * 100)
    assert written.isna().sum() == load(RAW).funding["amount_eur"].isna().sum() > 0


def test_every_column_is_described_in_french_with_its_unit(built: Path) -> None:
    resources = json.loads((built / PACKAGE).read_text("utf-8"))["resources"]
    for resource in resources:
        fields = resource["schema"]["fields"]
        header = (built / resource["path"]).read_text("utf-8").split("\n")[0].replace('"', "").split(",")
        assert [field["name"] for field in fields] == header
        assert all(field["title"] and field["description"] for field in fields)
    funding = next(resource for resource in resources if resource["name"] == "funding")
    amount = next(field for field in funding["schema"]["fields"] if field["name"] == "amount_eur")
    assert amount["type"] == "number" and "Unité : €" in amount["description"]


def test_a_file_changed_since_is_not_read_as_a_build(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "copy")
    with (tmp_path / "copy" / "places.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(DataError, match="modifié"):
        read_build(tmp_path / "copy")
    with pytest.raises(DataError, match="n'a pas été écrit"):
        read_build(tmp_path)


# --- The workbook --------------------------------------------------------------------------------


def test_the_workbook_has_a_sheet_per_table_with_french_headers_in_sight(book: openpyxl.Workbook) -> None:
    labels = [table.label for table in BUILT.values()]
    assert book.sheetnames == ["Lisez-moi", "Totaux", "Annoncé et détaillé", *labels]
    for table in BUILT.values():
        sheet = book[table.label]
        assert [cell.value for cell in sheet[1]] == [column.label for column in table.columns]
        assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref
        assert sheet["A1"].font.bold


def test_the_rows_of_a_sheet_are_those_of_its_table(book: openpyxl.Workbook, built: Path) -> None:
    for name, table in BUILT.items():
        rows = pd.read_csv(built / f"{name}.csv", dtype=str)
        assert book[table.label].max_row == len(rows) + 1


def test_amounts_are_numbers_shown_in_euros_and_codes_are_text(book: openpyxl.Workbook) -> None:
    funding = book["Financements"]
    column = next(cell.column_letter for cell in funding[1] if cell.value == "Montant")
    cells = [cell for cell in funding[column][1:] if cell.value is not None]
    assert cells and all(cell.data_type == "n" and "€" in cell.number_format for cell in cells)
    codes = next(cell.column_letter for cell in book["Lieux"][1] if cell.value == "Code INSEE")
    assert {cell.data_type for cell in book["Lieux"][codes][1:] if cell.value} == {"s"}
    years = next(cell.column_letter for cell in funding[1] if cell.value == "Année")
    assert {cell.number_format for cell in funding[years][1:] if cell.value} == {"0"}


def test_the_workbook_says_where_the_data_come_from_and_what_the_checks_found(
    book: openpyxl.Workbook,
) -> None:
    sources = [[cell.value for cell in row] for row in book["Sources"].iter_rows(min_row=2)]
    assert {row[0] for row in sources} >= {NOTE, "reference/mel_communes.csv"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row[1]) for row in sources)
    findings = check(load(RAW))
    assert [cell.value for cell in book["Constats"]["C"][1:]] == findings["message"].tolist()
    assert {cell.value for cell in book["Constats"]["B"][1:]} <= set(schema.SEVERITY_LABELS.values())


# A spreadsheet in small: enough to work out the formulas of the sheets of totals.


def values_of(book: openpyxl.Workbook, reference: str) -> np.ndarray:
    name, cells = re.fullmatch(r"'(.+)'!(.+)", reference).groups()  # type: ignore[union-attr]
    return np.array([cell[0].value for cell in book[name][cells.replace("$", "")]], dtype=object)


def as_text(value: Any) -> str:
    return "" if value is None else str(value)


def worked_out(book: openpyxl.Workbook, sheet: Any, formula: str) -> float:
    inside = re.fullmatch(r"=SUMPRODUCT\((.+)\)", formula).group(1)  # type: ignore[union-attr]
    wanted = re.findall(r"EXACT\(('[^']+'![$A-Z0-9:]+),(?:IF\((\w+)=\"([^\"]*)\",\"\",\w+\)|(\w+))\)", inside)
    prefixes = re.findall(r"EXACT\(LEFT\(('[^']+'![$A-Z0-9:]+),LEN\((\w+)\)\+1\),\w+&\"(.)\"\)", inside)
    kept: Any = True
    for cells, with_if, missing, plain in wanted:
        value = as_text(sheet[with_if or plain].value)
        value = "" if with_if and value == missing else value
        kept = kept & np.array([as_text(one) == value for one in values_of(book, cells)])
    for cells, cell, mark in prefixes:
        start = as_text(sheet[cell].value) + mark
        kept = kept & np.array([as_text(one).startswith(start) for one in values_of(book, cells)])
    assert len(wanted) + len(prefixes) == inside.count("EXACT(") > 0
    amounts = values_of(book, re.findall(r"('[^']+'![$A-Z0-9:]+)\)?$", inside)[0])
    numbers = np.array([isinstance(one, (int, float)) for one in amounts])
    if "ISNUMBER" in inside:
        return float((kept & numbers).sum())
    return float(sum(amount for amount, one in zip(amounts, kept & numbers, strict=True) if one))


def test_the_totals_are_live_formulas_that_give_the_sums_of_each_stage(book: openpyxl.Workbook) -> None:
    sheet = book["Totaux"]
    assert [cell.value for cell in sheet[1]][:4] == ["Étape", "Forme", "Financeur", "Année"]
    rows = [row for row in sheet.iter_rows(min_row=2) if row[2].value == "tous"]
    found = {row[0].value: worked_out(book, sheet, row[4].value) for row in rows}
    lines = load(RAW).funding.dropna(subset=["amount_eur"])
    expected = lines.groupby("stage")["amount_eur"].sum()
    assert found == {schema.STAGE_LABELS[str(stage)]: amount for stage, amount in expected.items()}
    counted = {row[0].value: worked_out(book, sheet, row[5].value) for row in rows}
    assert sum(counted.values()) == len(lines)


def test_the_lines_by_funder_and_year_add_up_to_the_stage(book: openpyxl.Workbook) -> None:
    sheet = book["Totaux"]
    wholes: dict[str, float] = {}
    parts: dict[str, float] = {}
    for row in sheet.iter_rows(min_row=2):
        into = wholes if row[2].value == "tous" else parts
        into[row[0].value] = into.get(row[0].value, 0) + worked_out(book, sheet, row[4].value)
    assert wholes == parts


def test_each_stated_total_is_held_against_its_lines(book: openpyxl.Workbook) -> None:
    sheet = book["Annoncé et détaillé"]
    gaps = {}
    for row in sheet.iter_rows(min_row=2):
        assert row[6].value == f"=E{row[0].row}-F{row[0].row}"
        gaps[row[0].value] = row[4].value - worked_out(book, sheet, row[5].value)
    assert gaps["Lille Métropole"] == 13173 and gaps["Ville de Lille"] == 16173
    assert gaps["dont réalisation ville de Lille"] == 8000 and gaps["TOTAL"] == 29346
    assert gaps["⇒ 4 projets soutenus pour un montant global de 171 663 €."] == 0


def test_thousands_of_funders_do_not_make_a_workbook_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processed, "MOST_TOTALS", 3)
    build(RAW, tmp_path / "out")
    sheet = openpyxl.load_workbook(tmp_path / "out" / WORKBOOK)["Totaux"]
    assert {row[2].value for row in sheet.iter_rows(min_row=2)} == {"tous"}


# --- Text that a spreadsheet would run -----------------------------------------------------------

HOSTILE = ('=HYPERLINK("http://x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "＝1+1")


@pytest.mark.parametrize("text", [*HOSTILE, "'=1", "\r=1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_and_reads_back(text: str) -> None:
    texts = pd.Series([text, "Régie - quartier", None], dtype="str")
    made = neutral(texts)
    assert made[0] == "'" + text and made[1] == texts[1] and pd.isna(made[2])
    pd.testing.assert_series_equal(as_written(made), texts)


def test_no_cell_of_a_build_is_run_by_a_spreadsheet(tmp_path: Path) -> None:
    places = ("C5", "D5", "E5", "C6", "D6", "E6")
    data = copied(tmp_path, dict(zip(places, HOSTILE, strict=True)))
    out = tmp_path / "out"
    build(data, out)
    workbook = openpyxl.load_workbook(out / WORKBOOK)
    formulas = [
        sheet.title
        for sheet in workbook
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "f"
    ]
    assert set(formulas) == {"Totaux", "Annoncé et détaillé"}
    texts = {str(cell.value) for row in workbook["Fiches"].iter_rows() for cell in row}
    assert "'" + HOSTILE[0] in texts
    for table in out.glob("*.csv"):
        frame = pd.read_csv(table, dtype=str, keep_default_na=False)
        signs = frame.map(lambda text: text[:1] in "=+@\t\r" and text != "").to_numpy()
        assert not signs.any(), table.name
    again = read_build(out).records
    assert set(HOSTILE) <= {text.strip() for text in map(str, again.to_numpy().ravel())} | {
        text for text in HOSTILE if text.strip() != text
    }


# --- One build takes the place of the other ------------------------------------------------------


def test_the_same_data_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    build(RAW, tmp_path / "again")
    for path in built.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_second_build_replaces_the_first_and_keeps_git_s_own_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".gitkeep").touch()
    build(RAW, out)
    (out / "funding.csv").write_text("old", encoding="utf-8")
    build(RAW, out)
    assert (out / "funding.csv").read_text("utf-8").startswith('"funding_id"')
    assert (out / ".gitkeep").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing is left aside


def test_a_blocking_finding_publishes_nothing_and_the_command_ends_in_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    build(RAW, out)
    before = (out / "funding.csv").read_bytes()
    data = adding_stages(tmp_path)
    assert (check(load(data))["severity"] == "blocking").any()
    assert cli.main(["build", "--data", str(data), "--out", str(out)]) == 1
    assert "Rien n'est écrit" in capsys.readouterr().err
    assert (out / "funding.csv").read_bytes() == before
    with pytest.raises(BlockedError):
        build(data, out)


def test_data_that_cannot_be_read_end_in_2_and_a_good_build_in_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["build", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "absent" in capsys.readouterr().err
    assert cli.main(["build", "--data", str(RAW), "--out", str(tmp_path / "out")]) == 0
    written = capsys.readouterr().out.split()
    assert {Path(path).name for path in written} == {*(f"{name}.csv" for name in BUILT), PACKAGE, WORKBOOK}


def test_a_folder_of_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="d'autres fichiers"):
        build(RAW, tmp_path)
    assert (tmp_path / "thesis.docx").read_text("utf-8") == "mine"


def test_a_build_that_fails_while_writing_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    build(RAW, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processed, "_workbook", full)
    with pytest.raises(OSError, match="No space"):
        build(RAW, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


_KILLED = """
import os, signal, sys
from ess_analysis import processed
processed._workbook = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
processed.build(sys.argv[1], sys.argv[2])
"""


def test_a_build_that_is_killed_leaves_the_last_good_one_and_the_next_cleans_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(RAW, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(RAW), str(out)], cwd=ROOT)
    assert killed.returncode == -9
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert len(list(tmp_path.iterdir())) == 2  # what it was writing
    build(RAW, out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_living_build_is_writing_is_left_alone(tmp_path: Path) -> None:
    ours = tmp_path / f".out-{os.getppid()}-abc"
    ours.mkdir()
    build(RAW, tmp_path / "out")
    assert ours.is_dir()


def test_the_tables_are_left_untouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tables = load(RAW)
    before = {name: getattr(tables, name).copy() for name in schema.TABLES}
    monkeypatch.setattr(processed, "load", lambda _: tables)
    build(RAW, tmp_path / "out")
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(tables, name), frame)


def test_tables_without_rows_make_a_build_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dataclasses import replace

    tables = replace(load(RAW), **{name: schema.empty(name) for name in schema.TABLES if name != "findings"})
    monkeypatch.setattr(processed, "load", lambda _: tables)
    monkeypatch.setattr(processed, "check", lambda _: schema.empty("findings"))
    build(RAW, tmp_path / "out")
    assert frictionless.validate(str(tmp_path / "out" / PACKAGE)).valid
    assert read_build(tmp_path / "out").funding.empty
