"""What is told of the cells read: a finding for each, those that say the same told once."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.load.body import Body

SHOWN_NOTES = 100  # notes of one kind kept for one column; the rest are counted
_TOLD = {
    "READ-PLACE-ELSEWHERE",
    "READ-UNSEALED",
    "READ-NO-AMOUNT",
    "READ-PLACE-SPELLING",
    "READ-PLACE-ASSOCIATED",
}  # no doubt in it


def note(code: str, body: Body, cell: str, message: str, stated: str, severity: str = "") -> dict[str, Any]:
    """One finding of the table being read; an alert, unless nothing in it is doubtful."""
    return {
        "code": code,
        "severity": severity or ("info" if code in _TOLD else "alert"),
        "message": message,
        "source": body.source,
        "sheet": body.grid.sheet,
        "cell": cell,
        "stated": stated,
    }


def noted(body: Body, code: str, column: int, texts: pd.Series, message: str) -> list[dict[str, Any]]:
    """One note per text with its cells, as many as are shown, and one that counts the other cells.

    READ-NO-AMOUNT has one per cell: by them, BLANK-CELL knows that a cell is not blank.
    """
    each = texts.index if code == "READ-NO-AMOUNT" else texts
    notes, told = [], 0
    for rows in islice(texts.groupby(each, sort=False).groups.values(), SHOWN_NOTES):
        text, told = texts.loc[rows[0]], told + len(rows)
        said = message.format(text)
        if len(rows) > 1:
            said = f"{said.removesuffix('.')} ({cells_told(body, column, rows)})."
        notes.append(note(code, body, body.grid.address(rows[0], column), said, text))
    return [*notes, *others_counted(body, code, len(texts), told)]


def cells_told(body: Body, column: int, rows: pd.Index) -> str:
    """« 84 cellules : I44, I218, I282… »."""
    cells = ", ".join(body.grid.address(row, column) for row in rows[:5]) + ("…" if len(rows) > 5 else "")
    return f"{french.counted(len(rows), 'cellule')} : {cells}"


def others_counted(body: Body, code: str, count: int, told: int = SHOWN_NOTES) -> list[dict[str, Any]]:
    """The note that counts the cells not told one by one, if there are any."""
    if count <= told:
        return []
    rest = french.counted(count - told, "autre cellule", "autres cellules")
    return [note(code, body, "", f"Et {rest} de même, table {body.table.id}.", "")]
