"""How a message names what it speaks of: cells, rows, columns, records."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import text_of

SHOWN = 5  # cells or labels named in one message
LABEL = 50  # a longer text is a sentence, not the name of a column

# The columns of a record that hold sentences, and what a reader calls them.
TEXTS = {"title": "intitulé", "description": "description", "partners": "partenaires"}


def cells_told(rows: pd.DataFrame) -> str:
    """The first cells of the rows: « G5, G7 et 12 autres »."""
    cells = rows["cell"].dropna().drop_duplicates().tolist()
    rest = len(rows["cell"].dropna().unique()) - SHOWN
    return ", ".join(cells[:SHOWN]) + (f" et {others_told(rest)}" if rest > 0 else "")


def rows_told(records: pd.DataFrame) -> str:
    """The first rows of the records, whose cell is that of their title: « lignes 11, 16 »."""
    rows = records["cell"].dropna().str.extract(r"(\d+)")[0].dropna().drop_duplicates().tolist()
    rest = len(rows) - SHOWN
    more = f" et {others_told(rest)}" if rest > 0 else ""
    return f"{'lignes' if len(rows) > 1 else 'ligne'} {', '.join(rows[:SHOWN])}{more}"


def others_told(rest: int) -> str:
    """« 3 autres »."""
    return f"{rest} {french.plural(rest, 'autre')}"


def sheet_name(row: Any) -> str:
    """What a reader calls the table of a row: its sheet, or its file."""
    return text_of(row.sheet) or text_of(row.source).rsplit("/", 1)[-1] or text_of(row.table_id)


def side_name(total: Any) -> str:
    """What a reader calls the column that a stated total closes."""
    covers = text_of(total.covers)
    header = covers if len(covers) <= LABEL else ""
    return header or text_of(total.funder) or text_of(total.operator) or "total annoncé"


def record_name(row: Any) -> str:
    """What a reader calls a record: its title, cut short, or its cell."""
    title = text_of(row.title)
    return f"« {title if len(title) <= 70 else title[:69].rstrip() + '…'} »" if title else text_of(row.cell)


def words_of(record: Any) -> str:
    """The words of a record: its title, its description, its partners."""
    return " · ".join(text_of(x) for x in (record.title, record.description, record.partners))


def words_around(text: str, found: re.Match[str]) -> str:
    """The words just before what was found, and itself."""
    return text[max(0, found.start() - 15) : found.end()].lstrip()
