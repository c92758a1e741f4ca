"""Data in pounds: every page, workbook, trace and sentence says pounds, and never euros."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import openpyxl
import pytest
from lxml import html

from ess_analysis import ahead, french, sentences
from ess_analysis.breakdowns import breakdown
from ess_analysis.cli import main
from ess_analysis.diff import diff, told
from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.processed import WORKBOOK, build
from ess_analysis.reports import batch, drawing, foreign
from ess_analysis.traces import explain, traced
from tests.conftest import ROOT
from tests.test_open_data import finished

GRANTS = """\
Identifier,Title,Recipient Org:Name,Funding Org:Name,Beneficiary Location:Name,Award Date,Amount Awarded,Currency
a1,Bread oven,Acorn,Oak Trust,Leeds,2019-02-01,1500,GBP
a2,Bike shed,Birch,Oak Trust,York,2019-03-04,12500.50,GBP
a3,Choir,Cedar,Elm Fund,York,2019-05-09,800,GBP
a4,Garden,Acorn,Elm Fund,Leeds,2020-02-11,4000,GBP
"""
PLANNED = """\
Association;Financeur;Objet;Année;Montant
Acorn;Oak Trust;Bread oven;2019;2000
Birch;Elm Fund;Bike shed;2019;15000
"""


def in_pounds(folder: Path, grants: str = GRANTS) -> Path:
    """A data folder of grants awarded and amounts planned, each with its source sheet."""
    folder.mkdir()
    for name, content in (("grants.csv", grants), ("plan.csv", PLANNED)):
        (folder / name).write_text(content, encoding="utf-8")
        main(["read", str(folder / name), "--draft", "--summary"])
        finished(folder / f"{name}.toml")
    sheet = folder / "plan.csv.toml"
    text = sheet.read_text(encoding="utf-8").replace("[[table]]", 'currency = "GBP"\n\n[[table]]')
    text = text.replace('# stage = "awarded"', 'stage = "planned"').replace('id = "T"', 'id = "P"')
    sheet.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_pounds(tmp_path_factory.mktemp("pounds") / "raw")


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def test_every_report_says_pounds(pounds: Path) -> None:
    out = pounds.parent / "reports"
    assert batch.render(pounds, ROOT / "notebooks", out, quiet=True).failed == []
    pages = sorted(path for path in out.glob("*.html") if path.name != "index.html")
    assert {"rapport-annuel-2019.html", "bilan.html"} <= {path.name for path in pages}
    for path in pages:
        page = html.fromstring(path.read_text("utf-8"))
        for code in page.xpath("//script|//style"):
            code.drop_tree()
        inside = [unquote(link) for link in page.xpath("//@src|//@href") if link.startswith("data:")]
        shown = plain(" ".join([page.text_content(), *page.xpath("//@alt"), *inside]))
        assert "£" in shown, path.name
        assert not re.search(r"€|\beuros?\b", shown), path.name
    yearly = plain((out / "rapport-annuel-2019.html").read_text("utf-8"))
    assert "14 800,50 £" in yearly and "chaque montant compté une seule fois" in yearly
    drawn = [unquote(image) for image in html.fromstring(yearly).xpath("//img/@src")]
    assert any("£" in image for image in drawn)


def test_workbooks_are_in_pounds(pounds: Path, tmp_path: Path) -> None:
    assert main(["export", str(pounds), "--to", "xlsx", "--out", str(tmp_path / "x.xlsx")]) == 0
    build(pounds, tmp_path / "processed")
    for path in (tmp_path / "x.xlsx", tmp_path / "processed" / WORKBOOK):
        book = openpyxl.load_workbook(path)
        forms = {cell.number_format for sheet in book for row in sheet.iter_rows() for cell in row}
        assert '#,##0.00\\ "£"' in forms and not [form for form in forms if "€" in form]
    package = (tmp_path / "processed" / "datapackage.json").read_text(encoding="utf-8")
    assert "Unité : £." in package and "€" not in package


def test_the_terminal_says_pounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = in_pounds(tmp_path / "raw", GRANTS + GRANTS.splitlines()[-1] + "\n")
    for words in (
        ["check"],
        ["breakdown", "--by", "funder", "--stage", "awarded"],
        ["explain", "2019/Oak Trust"],
    ):
        french.show_in("EUR")
        capsys.readouterr()
        main([*words, "--data", str(folder)])
        shown = capsys.readouterr().out
        assert "£" in shown and "€" not in shown, words


def test_traces_carry_the_currency(pounds: Path) -> None:
    tables = load(pounds)
    rows = traced(breakdown(tables, ["stage"], trace=True, stage="awarded"), tables)
    assert rows["trace"].iloc[0]["unit"] == "GBP"
    assert "£" in explain("2019/Oak Trust", tables)


def test_the_last_folder_read_gives_the_sign(pounds: Path) -> None:
    load(pounds)
    assert french.money(12) == "12\u00a0£" and french.money(12, currency="CHF") == "12\u00a0CHF"
    tables = load(ROOT / "data" / "raw")
    assert french.money(12) == "12\u00a0€"
    ahead.remember(pounds, ahead.marks_of(pounds), (), load(pounds), None)
    french.show_in(tables.sources[0].currency)
    load(pounds)
    ahead.forget()
    assert french.money(12) == "12\u00a0£"


def test_a_sentence_counts_each_amount_once_where_it_would_count_each_euro() -> None:
    assert sentences.counted_once() == "chaque euro compté une seule fois"
    french.show_in("USD")
    assert sentences.counted_once() == "chaque montant compté une seule fois"
    assert "le même montant peut passer par chacune" in str(sentences.stages_not_added())


def test_two_currencies_are_not_compared(pounds: Path, tmp_path: Path) -> None:
    for old, new in ((pounds, ROOT / "data" / "raw"), (ROOT / "data" / "raw", tmp_path / "built")):
        if not new.exists():
            build(pounds, new)
        with pytest.raises(DataError) as refused:
            diff(old, new)
        said = str(refused.value)
        assert "monnaie" in said and f"{old} : " in said and f"{new} : " in said
        assert "GBP" in said and "EUR" in said and "À faire" in said


def test_two_folders_in_pounds_are_compared_in_pounds(pounds: Path, tmp_path: Path) -> None:
    other = in_pounds(tmp_path / "raw", GRANTS.replace(",800,", ",900,"))
    build(pounds, tmp_path / "built")
    said = plain(told(diff(tmp_path / "built", other)))
    assert "800 £ → 900 £ (+100 £)" in said and "€" not in said


def test_a_currency_is_a_code_of_three_letters(tmp_path: Path) -> None:
    folder = in_pounds(tmp_path / "raw")
    sheet = folder / "grants.csv.toml"
    sheet.write_text(sheet.read_text(encoding="utf-8").replace('"GBP"', '"livres"'), encoding="utf-8")
    with pytest.raises(DataError, match="ISO 4217"):
        load(folder)


@pytest.mark.parametrize("unit", ["£", "$", "k£", "CHF"])
def test_amounts_that_others_show_are_numbers_in_any_currency(unit: str) -> None:
    shown = foreign.records_table([{"Amount": f"1 200 {unit}"}, {"Amount": f"-3,50 {unit}"}])
    assert shown is not None and shown["columns"] == [{"label": "Amount", "numeric": True}]
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg"><text>10 000 {unit}</text><text>Aid</text></svg>'
    assert drawing.described(drawn).title == "Aid"
