"""What a workbook says beside its values: currencies and units of number formats, errors, hidden and struck rows."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill

import ess_analysis as ess
from ess_analysis import grids, sheet_facts
from ess_analysis.errors import DataError
from ess_analysis.load import Tables
from ess_analysis.open_data import currencies

HEAD = ["Bénéficiaire", "Objet", "Montant voté"]
ROWS: list[list[Any]] = [
    ["Anis", "Forum", 10000],
    ["Le Relais", "Réemploi", 5933.5],
    ["APES", "Réseau", 4730],
]
SUM = 20663.5


@pytest.fixture(params=["small", "big"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both readers of .xlsx: that of small workbooks, that of big ones."""
    if request.param == "big":
        monkeypatch.setattr(grids, "SMALL", 0)
    return str(request.param)


def xlsx(tmp_path: Path, rows: list[list[Any]], change: Callable[[Any], object] | None = None,
         patch: Callable[[str], str] | None = None) -> Path:  # fmt: skip
    """A workbook of one sheet; `change` alters the sheet, `patch` its XML."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    if change:
        change(sheet)
    made = io.BytesIO()
    book.save(made)
    path = tmp_path / "aides.xlsx"
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.namelist():
            xml = old.read(part)
            if patch and part == "xl/worksheets/sheet1.xml":
                xml = patch(xml.decode()).encode()
            new.writestr(part, xml)
    return path


def formatted(number_format: str, column: int = 3) -> Callable[[Any], None]:
    def change(sheet: Any) -> None:
        for row in range(2, 2 + len(ROWS)):
            sheet.cell(row, column).number_format = number_format

    return change


def xls(tmp_path: Path, rows: list[list[Any]], style: str = "General", change: Callable[[Any], object] | None = None) -> Path:  # fmt: skip
    book = xlwt.Workbook()
    sheet = book.add_sheet("Année 2020")
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(
                    at, column, value, xlwt.easyxf(num_format_str=style if column == 2 else "General")
                )
    if change:
        change(sheet)
    book.save(str(tmp_path / "aides.xls"))
    return tmp_path / "aides.xls"


def ods(tmp_path: Path, rows: list[list[Any]], attributes: str = "", styles: str = "",
        row: Callable[[int], str] = lambda _: "", columns: str = "") -> Path:  # fmt: skip
    """An OpenDocument workbook; `attributes` are those of its numbers, a text that begins with < is a whole cell."""

    def cell(value: Any) -> str:
        if isinstance(value, str) and value.startswith("<"):
            return value
        if isinstance(value, str):
            return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
        kind = "currency" if "office:currency" in attributes else "float"
        return f'<table:table-cell office:value-type="{kind}" office:value="{value}" {attributes}><text:p/></table:table-cell>'

    names = {"office": "office", "table": "table", "text": "text", "style": "style", "number": "datastyle"}
    spaces = " ".join(
        f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for key, name in names.items()
    )
    lines = "".join(
        f"<table:table-row {row(at)}>{''.join(map(cell, values))}</table:table-row>"
        for at, values in enumerate(rows)
    )
    path = tmp_path / "aides.ods"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        made.writestr("META-INF/manifest.xml", "<manifest/>")
        made.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces}>'
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
            f'<table:table table:name="F">{columns}{lines}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def total(tables: Tables) -> float:
    return round(float(tables.funding["amount_eur"].sum()), 2)


def told(tables: Tables, code: str) -> list[str]:
    return tables.findings.loc[tables.findings["code"].eq(code), "message"].tolist()


def refused(path: Path, *said: str) -> None:
    with pytest.raises(DataError) as error:
        ess.read(path)
    assert "Vu :" in str(error.value) and "À faire :" in str(error.value)
    for words in said:
        assert words in str(error.value)


# --- Currencies and units of number formats -----------------------------------------------------------


@pytest.mark.parametrize(
    "number_format",
    [
        "[$€-40C]#,##0",
        "#,##0.00\\ [$€-x-euro2]",
        "#,##0.00\\ [$EUR]",
        "[$-40C]#,##0.00",
        "[$€]#,##0",
        '#,##0\\ "€"',
    ],
)
def test_formats_of_euros_are_euros(tmp_path: Path, size: str, number_format: str) -> None:
    tables = ess.read(xlsx(tmp_path, [HEAD, *ROWS], formatted(number_format)))
    assert tables.sources[0].currency == "EUR" and total(tables) == SUM
    assert told(tables, "READ-CURRENCY") == []


@pytest.mark.parametrize(
    ("number_format", "currency"),
    [("[$£-809]#,##0.00", "GBP"), ("[$$-409]#,##0", "USD"), ("#,##0\\ [$CHF]", "CHF"), ("#,##0[$SEK]", "SEK"),
     ('#,##0.00\\ "F"', "FRF"), ('#,##0" FCFP"', "XPF"), ("[$$-409]#,##0.00_)", "USD")],
)  # fmt: skip
def test_formats_of_other_currencies_are_told(
    tmp_path: Path, size: str, number_format: str, currency: str
) -> None:
    tables = ess.read(xlsx(tmp_path, [HEAD, *ROWS], formatted(number_format)))
    assert tables.sources[0].currency == currency and total(tables) == SUM
    assert told(tables, "READ-CURRENCY") == [f"Montants en {currency}, non convertis."]


def test_pounds_under_an_english_header_are_pounds(tmp_path: Path, size: str) -> None:
    rows = [["Recipient", "Purpose", "Amount Awarded"], *ROWS]
    tables = ess.read(xlsx(tmp_path, rows, formatted("[$£-809]#,##0")))
    assert tables.sources[0].currency == "GBP" and total(tables) == SUM


def test_a_dollar_of_no_country_is_asked(tmp_path: Path, size: str) -> None:
    with pytest.raises(DataError, match=r"la monnaie.*\$"):
        ess.read(xlsx(tmp_path, [HEAD, *ROWS], formatted('_("$"* #,##0.00_)')))


@pytest.mark.parametrize("sign", ["$-C0C", "kr-41D", "R$-416"])
def test_a_sign_that_is_no_known_currency_is_asked(tmp_path: Path, size: str, sign: str) -> None:
    path = xlsx(tmp_path, [HEAD, *ROWS], formatted(f"[${sign}]#,##0"))
    refused(path, f"la monnaie : le format des montants montre « {sign.partition('-')[0]} »")


def test_euros_and_pounds_in_one_column_are_asked(tmp_path: Path, size: str) -> None:
    def change(sheet: Any) -> None:
        formatted("[$€-40C]#,##0")(sheet)
        sheet.cell(3, 3).number_format = "[$£-809]#,##0"

    refused(xlsx(tmp_path, [HEAD, *ROWS], change), "la monnaie : EUR, GBP dans le même fichier")


def test_only_the_formats_of_the_amounts_count(tmp_path: Path, size: str) -> None:
    def change(sheet: Any) -> None:
        for row in range(2, 5):
            sheet.cell(row, 4, 44000 + row).number_format = "[$-40C]d mmmm yyyy"
            sheet.cell(row, 5, 12).number_format = "[$£-809]#,##0"
        sheet.cell(9, 3).number_format = '#,##0 "k€"'  # an empty cell

    tables = ess.read(xlsx(tmp_path, [[*HEAD, "Date de décision", "Adhérents"], *ROWS], change))
    assert tables.sources[0].currency == "EUR" and total(tables) == SUM


def test_a_format_in_thousands_is_asked_unless_it_divides(tmp_path: Path, size: str) -> None:
    refused(
        xlsx(tmp_path, [HEAD, *ROWS], formatted('0.0" k€"')), '« 0.0" k€" » est écrit hors de leur en-tête'
    )
    refused(xlsx(tmp_path, [HEAD, *ROWS], formatted("0.0\\ \\k\\€")), "est écrit hors de leur en-tête")
    assert total(ess.read(xlsx(tmp_path, [HEAD, *ROWS], formatted('0.0," k€"')))) == SUM


def test_what_a_format_shows() -> None:
    assert currencies.shown('_-* #,##0.00\\ [$€-40C]_-;[Red]-* "k"\\€') == "€ ; - k€"
    assert currencies.shown("[$-40C]d mmmm yyyy") == "d mmmm yyyy"


@pytest.mark.parametrize(
    ("style", "currency"), [("#,##0\\ [$CHF]", "CHF"), ("[$€-40C]#,##0", "EUR"), ("General", "EUR")]
)
def test_currencies_of_xls(tmp_path: Path, style: str, currency: str) -> None:
    tables = ess.read(xls(tmp_path, [HEAD, *ROWS], style))
    assert tables.sources[0].currency == currency and total(tables) == SUM


def test_thousands_of_xls_and_ods_are_asked(tmp_path: Path) -> None:
    refused(xls(tmp_path, [HEAD, *ROWS], '0.0" k€"'), '« 0.0" k€" » est écrit hors de leur en-tête')
    styles = (
        '<number:number-style style:name="N1"><number:number number:decimal-places="1"/><number:text> k€</number:text>'
        '</number:number-style><style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>'
        '<style:style style:name="ce2" style:family="table-cell" style:parent-style-name="ce1"/>'
    )
    unit = '« 0" k€" » est écrit hors de leur en-tête'
    refused(ods(tmp_path, [HEAD, *ROWS], 'table:style-name="ce2"', styles), unit)
    columns = '<table:table-column table:number-columns-repeated="3" table:default-cell-style-name="ce1"/>'
    refused(ods(tmp_path, [HEAD, *ROWS], "", styles, columns=columns), unit)
    divided = styles.replace('places="1"', 'places="1" number:display-factor="1000"')
    assert total(ess.read(ods(tmp_path, [HEAD, *ROWS], 'table:style-name="ce1"', divided))) == SUM


@pytest.mark.parametrize("currency", ["CHF", "EUR"])
def test_currencies_of_ods(tmp_path: Path, currency: str) -> None:
    tables = ess.read(ods(tmp_path, [HEAD, *ROWS], f'office:currency="{currency}"'))
    assert tables.sources[0].currency == currency and total(tables) == SUM
    styles = (
        f'<number:currency-style style:name="P0"><number:currency-symbol number:country="FR">{currency}'
        '</number:currency-symbol></number:currency-style><number:currency-style style:name="N1"><number:text>-'
        '</number:text><style:map style:condition="value()&gt;=0" style:apply-style-name="P0"/></number:currency-style>'
        '<style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>'
    )
    tables = ess.read(ods(tmp_path, [HEAD, *ROWS], 'table:style-name="ce1"', styles))
    assert tables.sources[0].currency == currency and total(tables) == SUM


# --- Errors, hidden rows, formulas of .xls and .ods -----------------------------------------------------

ERROR = (
    '<table:table-cell table:formula="of:=#REF!" office:value-type="string" office:string-value="">'
    "<text:p>#REF!</text:p></table:table-cell>"
)


def test_an_error_among_amounts_is_told(tmp_path: Path) -> None:
    rows = [HEAD, *ROWS, ["Cigales", "Épargne", 1500], ["Coopé", "Four", 2000], ["BG", "Bus"]]
    for path in (
        xls(tmp_path, rows, change=lambda sheet: sheet.row(6).set_cell_error(2, 0x17)),
        ods(tmp_path, [*rows[:-1], [*rows[-1], ERROR]]),
    ):
        tables = ess.read(path)
        assert told(tables, "READ-AMOUNT") == ["« #REF! » : montant illisible."]
        assert total(tables) == SUM + 3500


def test_hidden_rows_and_columns_are_told(tmp_path: Path) -> None:
    def hide(sheet: Any) -> None:
        sheet.row(2).hidden = True
        sheet.col(1).hidden = True

    columns = '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>'
    hidden = ods(
        tmp_path,
        [HEAD, *ROWS],
        row=lambda at: 'table:visibility="filter"' if at == 2 else "",
        columns=columns,
    )
    for path in (xls(tmp_path, [HEAD, *ROWS], change=hide), hidden):
        grid = grids.read_grids(path)[0]
        assert grid.hidden_rows == {2} and grid.hidden_columns == {1}
        tables = ess.read(path)
        assert "Ligne 3 masquée dans le classeur ; elle est lue." in told(tables, "READ-HIDDEN")
        assert total(tables) == SUM


def test_formulas_without_a_value_are_known(tmp_path: Path) -> None:
    def change(sheet: Any) -> None:
        sheet.write(4, 2, xlwt.Formula("B2*0.3"))
        sheet.write(5, 2, xlwt.Formula('IF(B2>0;"";1)'))
        sheet.write(6, 2, xlwt.Formula("SUM(C2:C4)"))

    path = xls(tmp_path, [HEAD, *ROWS, ["BG", "Bus"]], change=change)
    assert grids.read_grids(path)[0].formulas == {(4, 2): "=…", (6, 2): "=SUM(C2:C4)"}
    refused(path, "Formule sans valeur calculée", "C5")
    bare = '<table:table-cell table:formula="of:=[.B5]*0.3"/>'
    path = ods(tmp_path, [HEAD, *ROWS, ["BG", "Bus", bare]])
    assert grids.read_grids(path)[0].formulas == {(4, 2): "=B5*0.3"}
    refused(path, "Formule sans valeur calculée", "C5", "=B5*0.3")


def test_the_stream_of_a_tiny_xls_is_found(tmp_path: Path) -> None:
    """A compound file keeps what is under 4096 bytes in sectors of 64."""
    stream, end, free = b"stream " * 20, 0xFFFFFFFE, 0xFFFFFFFF
    table = struct.pack("<128I", 0xFFFFFFFD, end, end, end, *[free] * 124)
    small = struct.pack("<128I", 1, 2, end, *[free] * 125)

    def entry(name: str, start: int, length: int) -> bytes:
        title = name.encode("utf-16-le")
        return struct.pack("<64sH50xIII", title, len(title) + 2, start, length, 0)

    directory = (entry("Root Entry", 3, 192) + entry("Workbook", 0, len(stream))).ljust(512, b"\0")
    head = b"\xd0\xcf\x11\xe0".ljust(30, b"\0") + struct.pack(
        "<HH10xII4xIIIIII", 9, 6, 1, 1, 4096, 2, 1, end, 0, 0
    )
    content = head.ljust(512, b"\xff") + table + directory + small + stream.ljust(512, b"\0")
    assert sheet_facts._xls_stream(content) == stream


# --- .xlsx ---------------------------------------------------------------------------------------------


def test_rows_struck_through_are_known(tmp_path: Path, size: str) -> None:
    def strike(sheet: Any) -> None:
        sheet["A3"].font = Font(strike=True)
        sheet["A4"].font = Font(strike=False)
        sheet["A9"].font = Font(strike=True)  # an empty cell

    path = xlsx(tmp_path, [HEAD, *ROWS], strike)
    assert grids.read_grids(path)[0].struck_rows == {2}


@pytest.mark.parametrize("row", [600_000, 1_048_576])
def test_a_coloured_empty_cell_far_away_is_nothing(tmp_path: Path, size: str, row: int) -> None:
    def colour(sheet: Any) -> None:
        sheet.cell(row, 40).fill = PatternFill("solid", fgColor="FFFF00")

    path = xlsx(tmp_path, [HEAD, *ROWS], colour)
    assert grids.read_grids(path)[0].values.shape == (4, 3)
    assert total(ess.read(path)) == SUM


def test_a_value_far_away_is_refused(tmp_path: Path, size: str) -> None:
    path = xlsx(tmp_path, [HEAD, *ROWS], lambda sheet: sheet.cell(1_048_576, 3, 1))
    refused(path, "Feuille démesurée", "1048576 lignes, 3 colonnes, 13 cellules remplies")


def test_a_formula_whose_value_is_an_empty_text_has_a_value(tmp_path: Path, size: str) -> None:
    rows = [HEAD, *ROWS, ["BG", "Bus", '=IF(C2>1,"",C2)']]
    path = xlsx(tmp_path, rows, patch=lambda xml: xml.replace('r="C5"', 'r="C5" t="str"'))
    assert total(ess.read(path)) == SUM
    refused(xlsx(tmp_path, rows), "Formule sans valeur calculée", "C5", '=IF(C2>1,"",C2)')


@pytest.mark.parametrize(
    "patch",
    [
        lambda xml: xml.replace(' r="C3"', "", 1).replace(' t="n"', ""),  # a cell without its address
        lambda xml: xml.replace("<c r=", '<c cm="1" r='),
        lambda xml: (
            xml.replace("<", "<x:")
            .replace("<x:/", "</x:")
            .replace("<x:?", "<?")
            .replace("xmlns=", "xmlns:x=")
        ),
    ],
    ids=["no address", "other order", "prefix"],
)
def test_facts_are_read_however_the_xml_is_written(
    tmp_path: Path, size: str, patch: Callable[[str], str]
) -> None:
    def change(sheet: Any) -> None:
        formatted("[$CHF]#,##0")(sheet)
        sheet.row_dimensions[3].hidden = True

    grid = grids.read_grids(xlsx(tmp_path, [HEAD, *ROWS], change, patch))[0]
    assert grid.hidden_rows == {2} and grid.formats == {2: {"[$CHF]#,##0"}}


# --- What is said of a workbook that cannot be read ------------------------------------------------------


def test_a_cut_workbook_is_refused_in_french(tmp_path: Path) -> None:
    for made in (xlsx(tmp_path, [HEAD, *ROWS]), xls(tmp_path, [HEAD, *ROWS])):
        content = made.read_bytes()
        made.write_bytes(content[: len(content) // 2])
        refused(made, "Classeur illisible", "un contenu abîmé, ou coupé en route", "téléchargez-le à nouveau")


def test_a_csv_in_one_column_is_named(tmp_path: Path, size: str) -> None:
    lines = [["Aides de 2020"], *([";".join(map(str, row))] for row in [HEAD, *ROWS])]
    refused(
        xlsx(tmp_path, lines),
        "un texte CSV, dans une seule colonne",
        "Bénéficiaire;Objet;Montant voté",
        "Données > Convertir",
    )


def commented(folder: Path, cell: str, words: str) -> Path:
    """A workbook whose cell bears a comment."""
    book = openpyxl.Workbook()
    for row in (["Association", "Montant voté 2022"], ["Anis", 100], ["Judo", 200]):
        book.active.append(row)
    book.active[cell].comment = Comment(words, "agent")
    book.save(folder / "aides.xlsx")
    return folder / "aides.xlsx"


@pytest.mark.parametrize(
    ("cell", "words"), [("B3", "Annulé, ne pas compter"), ("B1", "montants en k€"), ("A2", "prêt d'honneur")]
)
def test_a_comment_that_changes_an_amount_is_asked(cell: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"commentaire de {cell}"):
        ess.read(commented(tmp_path, cell, words))


def test_another_comment_is_told(tmp_path: Path) -> None:
    tables = ess.read(commented(tmp_path, "B3", "voir le dossier 12"))
    assert tables.funding["amount_eur"].sum() == 300 and "READ-COMMENT" in set(tables.findings["code"])


def test_a_percentage_is_no_amount(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Association", "Montant voté 2022"], ["Anis", 100], ["Judo", 0.5]):
        book.active.append(row)
    book.active["B3"].number_format = "0%"
    book.save(tmp_path / "aides.xlsx")
    with pytest.raises(DataError, match="pourcentage"):
        ess.read(tmp_path / "aides.xlsx")


def test_a_formula_without_a_value_in_a_short_line_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Association", "Montant voté 2022"], ["Anis", 100], ["Judo", "=B2*10"], ["Zoé", 300]):
        book.active.append(row)
    book.save(tmp_path / "aides.xlsx")
    with pytest.raises(DataError, match="Formule sans valeur"):
        ess.read(tmp_path / "aides.xlsx")


def test_sheets_of_a_year_and_a_word_are_not_read_together(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name in ("2022", "2023 prévisionnel"):
        sheet = book.create_sheet(name)
        for row in (["Association", "Montant versé"], ["Anis", 100], ["Judo", 200 + len(name)]):
            sheet.append(row)
    book.remove(book.worksheets[0])
    book.save(tmp_path / "aides.xlsx")
    with pytest.raises(DataError, match="ne disent pas la même chose"):
        ess.read(tmp_path / "aides.xlsx")
