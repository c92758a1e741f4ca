"""The headers of a table: the column that each one names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load.cells import text_of
from ess_analysis.sources import SourceSheet, TableRead


def headers_of(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> dict[str, int]:
    """Each header and its column; on several header rows the lowest text names the column.

    A name that would occur twice is told by the rows above it (« 2012 / Accordé »).
    A column that holds values under no header is « colonne K ».
    """
    last = table.header[1]
    where = f"{source}, feuille « {grid.sheet} »"
    declared = {french.nfc(read.header) for read in table.columns}
    said = declared | {french.nfc(header) for header in table.ignored}
    found = header_columns(grid, table.header, table.last_row, where, said)
    absent = sorted(declared - set(found))
    unknown = [header for header in found if header not in said]
    if absent or unknown:
        what = "En-tête déclaré mais absent" if absent else "En-tête non déclaré"
        raise DataError(
            f"{what} : {where}, ligne {last}.",
            seen=absent or unknown,
            todo=f"en-têtes lus : {', '.join(found)}. Corrigez le classeur, ou {sheet.toml} "
            "([table.columns], ou [table.ignored] avec la raison).",
        )
    return found


def header_columns(
    grid: Grid,
    header: tuple[int, int],
    last_row: int | None = None,
    where: str = "",
    said: set[str] | None = None,
) -> dict[str, int]:
    """Each header of a grid and its column, as a source sheet names them.

    `said` are the headers that the source sheet speaks of; without it, every column gets a name of its own.
    """
    _, last = header
    names: dict[int, list[str]] = {}
    for column in range(grid.values.shape[1]):
        texts = header_levels(grid, header, column)
        if not any(texts):
            below = grid.values[column].iloc[last:last_row]
            if not (below.notna() & below.ne("")).any():
                continue
            texts = [f"colonne {re.sub(r'[0-9]', '', grid.address(0, column))}"]
        names[column] = [text for text in texts if text]
    lowest = [texts[-1] for texts in names.values()]
    found: dict[str, int] = {}
    for column, texts in names.items():
        levels = " / ".join(dict.fromkeys(texts))
        named = lowest.count(texts[-1]) > 1 and (levels in said if said is not None else len(texts) > 1)
        name = levels if named else texts[-1]
        if name in found:
            numbered = next(f"{name} ({n})" for n in range(2, 1000) if f"{name} ({n})" not in found)
            if said is not None and numbered not in said:
                raise DataError(
                    f"En-tête en double : {where}, {grid.address(last - 1, column)}.",
                    seen=[name],
                    todo=f"renommez l’une des deux colonnes, ou déclarez la seconde sous « {numbered} ».",
                )
            name = numbered
        found[name] = column
    return found


def header_levels(grid: Grid, header: tuple[int, int], column: int) -> list[str]:
    """The words over a column, from the upper header row to the lower; none where the table has no header."""
    first, last = header
    rows = range(first - 1, min(last, len(grid.values))) if last else []
    return [header_text(grid, row, column) for row in rows]


def header_text(grid: Grid, row: int, column: int) -> str:
    """The words of a header cell on one line, those of the merged cell that covers it included."""
    for r1, c1, r2, c2 in grid.merged:
        if r1 <= row <= r2 and c1 <= column <= c2:
            row, column = r1, c1
            break
    return re.sub(r"\s+", " ", text_of(grid.cell(row, column)) or "")


_UNIT = r"[km]?(?:€|£|\$|eur(?:os?)?)|en (?:k?€|k?euros?|milliers.*)|ttc|ht|mois|%"


def in_brackets(row: Iterable[object]) -> str | None:
    """The words in brackets of a header row, units apart: « Association (handicap) »."""
    found = [match[1].strip() for value in row if (match := re.search(r"\(([^()]+)\)", str(value)))]
    return next((one for one in found if not re.fullmatch(_UNIT, one, re.IGNORECASE)), None)
