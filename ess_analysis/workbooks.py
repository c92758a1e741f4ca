"""Workbooks written for people: sheets with French headers that stay in sight, number formats, neutral text.

No text of the data is ever run by a spreadsheet, and the same content gives the same bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from ess_analysis import french, schema
from ess_analysis.schema import DAY, EURO, WHOLE, Column

LONGEST_SHEET = 200_000  # rows; a longer table stays in its CSV file and the workbook says so

# --- Text that no spreadsheet runs ---------------------------------------------------------------

_RUNS = r"'*[=+\-@\t\r\n＝＋－＠]"  # what a spreadsheet takes for a formula, already neutral or not


def neutral(texts: pd.Series) -> pd.Series:
    """The texts, with an apostrophe before what a spreadsheet would run as a formula."""
    return texts.where(~texts.str.match(_RUNS, na=False), "'" + texts)


def as_written(texts: pd.Series) -> pd.Series:
    """The texts without the apostrophe that `neutral` put before them."""
    return texts.where(~texts.str.match("'" + _RUNS, na=False), texts.str[1:])


# --- Sheets --------------------------------------------------------------------------------------

_NUMBER_FORMATS = {EURO: "#,##0.00", WHOLE: "0", DAY: "dd/mm/yyyy"}
HEADER = {"font": Font(bold=True, color="FFFFFF"), "fill": PatternFill("solid", fgColor="1F4E79")}
STRONG = {"font": Font(bold=True)}
WRAPPED = Alignment(wrap_text=True, vertical="top")
_SAVED = datetime(2000, 1, 1)  # the same data give the same bytes
WORDS: dict[str, Mapping[str, str]] = {
    "stage": schema.STAGE_LABELS,
    "severity": schema.SEVERITY_LABELS,
    "record_kind": schema.RECORD_KIND_LABELS,
    "kind": {**schema.KIND_LABELS, **schema.RECORD_KIND_LABELS},
}


def new_workbook(title: str) -> Any:
    """An empty workbook to fill row by row, its formulas worked out when it is opened."""
    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "ess_analysis"
    book.properties.title = title
    book.calculation.fullCalcOnLoad = True
    return book


def text_sheet(book: Any, title: str, lines: Iterable[str]) -> None:
    """A sheet of sentences, one under the other."""
    page = book.create_sheet(title)
    page.column_dimensions["A"].width = 110
    for text in lines:
        page.append([cell(page, text, wrap=True)])


def saved(book: Any) -> bytes:
    """The bytes of the workbook, the same for the same content."""
    made = io.BytesIO()
    book.save(made)
    return _same_bytes(made)


def table_sheet(book: Any, table: schema.Table, frame: pd.DataFrame) -> None:
    """A sheet with the rows of the table: French headers and words, number formats, a filter.

    The texts of the frame must be `neutral` already: a cell that begins with « = » is a formula.
    """
    sheet = book.create_sheet(table.label[:31])
    columns = {column.name: frame[column.name] for column in table.columns}
    for name in [name for name in columns if name in WORDS]:
        columns[name] = columns[name].map(lambda word, said=WORDS[name]: said.get(word, word))
    laid_out(sheet, [(column.label, _width(column.label, columns[column.name])) for column in table.columns])
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{len(frame) + 1}"
    kinds = [_format(column) for column in table.columns]
    for row in zip(*columns.values(), strict=True):
        sheet.append([cell(sheet, value, form) for value, form in zip(row, kinds, strict=True)])


def money_format(currency: str | None = None) -> str:
    """The number format of amounts in the currency given, or in force: « 1 234,50 £ »."""
    return '#,##0.00\\ "' + french.sign(currency).replace('"', "") + '"'


def _format(column: Column) -> str:
    return money_format() if column.unit == "€" else _NUMBER_FORMATS.get(column.dtype, "")


def laid_out(sheet: Any, columns: Iterable[tuple[str, float]]) -> None:
    """A sheet with its widths and a header that stays in sight."""
    headers = []
    for place, (label, width) in enumerate(columns, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
        headers.append(cell(sheet, label, style=HEADER))
    sheet.freeze_panes = "A2"
    sheet.append(headers)


def _width(label: str, values: pd.Series) -> float:
    longest = values.head(500).astype("str").str.len().max() if len(values) else 0
    return float(min(max(len(label) + 3, longest + 2 if longest == longest else 0, 10), 60))


def cell(
    sheet: Any, value: Any, form: str = "", *, wrap: bool = False, style: Mapping[str, Any] | None = None
) -> Any:
    """A cell holding the value (a missing one is blank, control characters are left out), as it looks."""
    if pd.isna(value):
        value = None
    elif isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    elif hasattr(value, "item"):
        value = value.item()
    elif isinstance(value, pd.Timestamp):
        value = value.to_pydatetime()
    made = WriteOnlyCell(sheet, value)
    if form:
        made.number_format = form
    if wrap:
        made.alignment = WRAPPED
    for name, look in (style or {}).items():
        setattr(made, name, look)
    return made


def _same_bytes(made: io.BytesIO) -> bytes:
    """The workbook with no trace of the hour at which it was written."""
    rewritten = io.BytesIO()
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "docProps/core.xml":
                hour = _SAVED.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                content = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>" + hour, content)
            new.writestr(
                zipfile.ZipInfo(entry.filename, _SAVED.timetuple()[:6]), content, zipfile.ZIP_DEFLATED
            )
    return rewritten.getvalue()
