"""The workbook holds the note's three tables cell for cell: every cell is a cell of the text, and back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest

NOTE = Path(__file__).resolve().parents[1] / "data" / "raw" / "mel_2011-2014"
LINES = (NOTE / "note_mel_communes.txt").read_text(encoding="utf-8").splitlines()

# Sheet → first header line of the table in the text, rows of header in the workbook.
TABLES = {
    "Actions 2011-2014": ("Action\t", 1),
    "Annexe 1": ("Villes impliquées\t", 1),
    "Annexe 2": ("Axe ", 2),
}


def written(start: str) -> list[list[str]]:
    """The cells of a table of the text, row by row, until the first empty line."""
    first = next(index for index, line in enumerate(LINES) if line.startswith(start))
    last = next(index for index in range(first, len(LINES)) if not LINES[index].strip())
    return [line.split("\t") for line in LINES[first:last]]


@pytest.fixture(scope="module")
def book() -> openpyxl.Workbook:
    return openpyxl.load_workbook(NOTE / "note_mel_communes.xlsx")


def cells(sheet: object, width: int, first: int = 3) -> list[list[object]]:
    """The cells of a sheet from its header down, blanks as empty texts, until the first empty row."""
    rows = []
    for row in sheet.iter_rows(min_row=first, max_col=width, values_only=True):  # type: ignore[attr-defined]
        if not any(value is not None for value in row):
            break
        rows.append([value if value is not None else "" for value in row])
    return rows


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_the_one_of_the_note(book: openpyxl.Workbook, name: str) -> None:
    expected = written(TABLES[name][0])
    width = max(len(row) for row in expected)
    expected = [row + [""] * (width - len(row)) for row in expected]
    assert cells(book[name], width) == expected
    assert book[name].max_column == width


def test_the_amounts_of_annex_2_are_all_there(book: openpyxl.Workbook) -> None:
    rows = cells(book["Annexe 2"], 10)[2:]
    assert len(rows) == 13 and sum(len(row) for row in rows) == 130
    assert sum(cell.endswith("€") for row in rows for cell in map(str, row)) == 58


@pytest.mark.parametrize("name", TABLES)
def test_what_stands_outside_the_table_is_a_line_of_the_note(book: openpyxl.Workbook, name: str) -> None:
    sheet, height = book[name], len(written(TABLES[name][0]))
    outside = [
        str(cell.value)
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None and not 3 <= cell.row < 3 + height
    ]
    assert outside and all(text in LINES for text in outside)


def test_a_cell_is_merged_where_the_note_writes_it_once(book: openpyxl.Workbook) -> None:
    axes = [row[0] for row in cells(book["Annexe 2"], 10)[2:]]
    starts = [5 + index for index, axis in enumerate(axes) if axis]
    spans = {f"A{first}:A{after - 1}" for first, after in pairwise(starts)}
    merged = {str(span) for span in book["Annexe 2"].merged_cells.ranges}
    assert {span for span in merged if span.startswith("A") and not span.startswith("A3")} == spans
    assert "F3:J3" in merged  # « Financement prévisionnel », over its five columns
    assert {str(span) for span in book["Actions 2011-2014"].merged_cells.ranges} == {"A7:A8"}


def test_nothing_else_is_in_the_workbook(book: openpyxl.Workbook) -> None:
    assert book.sheetnames == list(TABLES)
    assert all(sheet.sheet_state == "visible" for sheet in book)
    assert not any(cell.data_type == "f" for sheet in book for row in sheet.iter_rows() for cell in row)
