"""Which sheet of a file holds its table, and which rows are the header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.delimited import Note
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load.amounts import SIGNS, distinct_amounts
from ess_analysis.load.headers import header_columns, header_levels
from ess_analysis.open_data import doubts
from ess_analysis.open_data.headers import Meaning, giver_or_year, meaning, words

HEADER_WITHIN = 60  # rows: a header further down is not looked for
LONGEST_HEADER = 160  # characters: a longer text is no header


@dataclass(frozen=True)
class Table:
    """A table found in a grid: its header rows, its columns, the columns' meanings."""

    grid: Grid
    header: tuple[int, int]
    columns: Mapping[str, int]
    meanings: Mapping[str, Meaning]
    above: int = 0  # the line of another header above this one, over amounts of its own; 0 for none

    @property
    def body(self) -> pd.DataFrame:
        return self.grid.values.iloc[self.header[1] :]

    def role(self, role: str) -> list[str]:
        return [header for header, said in self.meanings.items() if said.role == role]


class SeveralTables(DataError):
    """A file of several tables, none of which is the one."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"Plusieurs feuilles contiennent une table : {path.name}.",
            seen=names,
            todo="déclarez-les dans une fiche source (« ess read FICHIER --draft » la prépare), "
            "ou choisissez-en une avec --sheet.",
        )


def tables_left(grids: list[Grid], sheet: str) -> list[str]:
    """The other sheets in sight that hold a table of amounts, where one was asked for."""
    others = [grid for grid in grids if grid.name != sheet and not grid.hidden]
    found = ((grid, _table_of(grid)) for grid in others)
    return [grid.name for grid, table in found if table and not _is_pivot(table) and _has_amounts(table)]


def the_table(path: Path, grids: list[Grid], sheet: str | None) -> tuple[Table, list[Note]]:
    """The one table of a file, and what is told of its other sheets; DataError where there is none, or two."""
    if sheet is not None:
        named = [grid for grid in grids if sheet == grid.name]
        if not named:
            raise DataError(
                f"Feuille absente : « {sheet} » dans {path.name}.",
                seen=[grid.name or "une table sans nom" for grid in grids],
                todo="choisissez l'une de ces feuilles avec --sheet.",
            )
        grids = named
    found = [table for grid in grids if (table := _table_of(grid)) and not _is_pivot(table)]
    tables = [table for table in found if _has_amounts(table)]
    if found and not tables:
        cells = [
            str(value)
            for table in found
            for header in table.role("amount")
            for value in table.body[table.columns[header]].head(200)
            if not blank(value)
        ]
        if _uncomputed(found):
            raise DataError(
                f"Formules sans valeur calculée : {path.name}, « {found[0].role('amount')[0]} ».",
                seen=list(found[0].grid.formulas.values())[:3],
                todo="ouvrez le classeur dans un tableur et enregistrez-le.",
            )
        raise DataError(
            f"Aucun montant sous l'en-tête : {path.name}."
            if not cells
            else f"Les montants ne se lisent pas : {path.name}, « {found[0].role('amount')[0]} ».",
            seen=cells or [", ".join(table.role("amount")) for table in found],
            todo="vérifiez que le fichier contient des lignes."
            if not cells
            else "déclarez decimal, thousands, currency ou strip dans une fiche source (ess read FICHIER --draft).",
        )
    notes: list[Note] = []
    seen = [table for table in tables if not table.grid.hidden]
    for table in tables:
        if seen and table.grid.hidden:
            notes.append(
                Note("READ-HIDDEN", "alert", f"Feuille masquée « {table.grid.name} » : elle n'est pas lue.")
            )
    tables = seen or tables
    kept: list[Table] = []
    for table in tables:
        twin = next((other for other in kept if _same(other, table)), None)
        if twin is None or doubts.years_of(twin.grid.name) != doubts.years_of(table.grid.name):
            kept.append(table)
        else:
            message = f"La feuille « {table.grid.name} » répète les lignes de « {twin.grid.name} » : lue une seule fois."
            notes.append(Note("READ-SHEET-TWICE", "alert", message))
    if len(kept) > 1:
        raise SeveralTables(path, [table.grid.name for table in kept])
    if not kept and (numbers := _numbers_without_a_name(grids)):
        raise DataError(
            f"Aucune colonne ne dit qu'elle est un montant : {path.name}.",
            seen=[f"« {header} » ?" for header in numbers],
            todo="donnez-lui le rôle « amount » dans une fiche source : « ess read FICHIER --draft » en prépare une.",
        )
    if not kept:
        raise DataError(
            f"Aucune table de financements reconnue : {path.name}.",
            seen=_instead_of_a_header(grids),
            todo="écrivez sa fiche source : « ess read FICHIER --draft » en prépare une.",
        )
    if sheet is None:
        notes += _unread_sheets(grids, [table.grid for table in found], kept[0])
    return kept[0], notes


def _uncomputed(tables: list[Table]) -> bool:
    """Whether cells of amounts are formulas that hold no value."""
    return any(
        (row, table.columns[header]) in table.grid.formulas
        for table in tables
        for header in table.role("amount")
        for row in range(table.header[1], len(table.grid.values))
    )


def _unread_sheets(grids: list[Grid], tables: list[Grid], read: Table) -> Iterator[Note]:
    """Told of the sheets in sight that hold rows of numbers and are not read."""
    for grid in grids:
        if grid.hidden or any(grid is one for one in tables):
            continue
        rows = int(sum(doubts.numbers_in(row) for row in grid.values.itertuples(index=False)))
        if rows > 2:
            text = f"La feuille « {grid.name} » n'est pas lue : {french.counted(rows, 'ligne')} de nombres"
            more = rows > len(read.body)
            yield Note(
                "READ-SHEET-UNREAD",
                "blocking" if more else "alert",
                f"{text}{', plus que la feuille lue' if more else ''}.",
            )


def _numbers_without_a_name(grids: list[Grid]) -> list[str]:
    """The columns of numbers under a header that names a recipient and no amount."""
    for grid in grids:
        for row in range(min(HEADER_WITHIN, len(grid.values) - 1)):
            if any(
                meaning(str(value)).role == "recipient" for value in grid.values.iloc[row] if not blank(value)
            ):
                table = _headed(grid, (row + 1, row + 1))
                cells = {
                    header: table.body[at]
                    for header, at in table.columns.items()
                    if not table.meanings[header].role
                }
                found = [
                    header for header, values in cells.items() if doubts.are_numbers(values[filled(values)])
                ]
                if found:
                    return found
    return []


def _instead_of_a_header(grids: list[Grid]) -> list[str]:
    """What each sheet has instead of a header: one of an amount alone, or the words of its first filled line."""
    said = []
    for grid in grids:
        rows = [
            [str(value) for value in row if not blank(value)]
            for row in grid.values.iloc[:HEADER_WITHIN].itertuples(index=False)
        ]
        rows = [texts for texts in rows if len(texts) > 1]
        for texts in rows:
            money = [text for text in texts if len(text) <= LONGEST_HEADER and meaning(text).role == "amount"]
            if money:
                others = french.listing(f"« {text[:40]} »" for text in texts if text not in money)
                said.append(
                    f"« {money[0][:60]} » serait le montant, mais rien d'autre n'est reconnu : ni bénéficiaire, ni objet… ({others})"
                )
                break
        else:
            said += [" · ".join(rows[0])[:160]] if rows else []
    return said or ["aucune ligne de deux cellules ou plus"]


def _table_of(grid: Grid) -> Table | None:
    """The table of a grid: the first line that names an amount and recognises as many columns as any."""
    best: tuple[tuple[int, bool], Table] | None = None
    first: Table | None = None
    for row in range(min(HEADER_WITHIN, len(grid.values))):
        texts = [str(value) for value in grid.values.iloc[row].tolist() if not blank(value)]
        if len(texts) < min(2, grid.values.shape[1]) or (
            best and not grid.merged and not _recognises(texts, best[0][0])
        ):
            continue
        for top in _levels(grid, row):
            table = _headed(grid, (top + 1, row + 1))
            meant = [at for name, at in table.columns.items() if _means(table.meanings[name])]
            known = len(
                {tuple(header_levels(grid, table.header, at)) for at in meant}
            )  # a merged cell counts once
            score = (known, not _headed_again(table))
            if not table.role("amount") or known < 2:
                continue
            first = first or table
            over = best[1].header if best else (0, 0)  # the levels above this row, taken for a whole header
            upper = top + 1 <= over[0] and over[1] == row
            if best is None or score > best[0] or (upper and score[1] and not best[0][1]):
                best = (score, table)
    if (
        best
        and first
        and first.header[1] < best[1].header[0]
        and _holds_amounts(first, best[1].header[0] - 1)
    ):
        return replace(best[1], above=first.header[1])
    return best[1] if best else None


def _levels(grid: Grid, row: int) -> list[int]:
    """The rows where a header that ends on `row` may begin, the highest first: itself, and merged cells above it."""
    tops = [row]
    while tops[-1] and len(tops) < 4 and _spans(grid, tops[-1] - 1, 1 if len(tops) == 1 else 2):
        tops.append(tops[-1] - 1)
    return tops[::-1]


def _holds_amounts(table: Table, end: int) -> bool:
    """Whether two amounts or more stand under a header, above the row `end`."""
    body = table.grid.values.iloc[table.header[1] : end]
    values = [
        value for header in table.role("amount") for value in body[table.columns[header]] if not blank(value)
    ]
    return int(np.isfinite(distinct_amounts(values, ".").euros[:-1]).sum()) > 1 if values else False


def _recognises(texts: list[str], least: int) -> bool:
    """Whether `least` texts mean something as the header of a column; a line of data is left at its first cells."""
    unknown = len(texts) - least  # as many may mean nothing
    for text in texts:
        unknown -= not (len(text) <= LONGEST_HEADER and _means(meaning(text)))
        if unknown < 0:
            return False
    return True


def _means(said: Meaning) -> bool:
    return bool(said.role or said.field)


def _headed_again(table: Table) -> bool:
    """Whether the line under the header has words where amounts should be: it is the lower level of the header."""
    below = table.body.iloc[:1]
    cells = [value for header in table.role("amount") for value in below[table.columns[header]]]
    texts = [str(value) for value in cells if not blank(value)]
    years = len(texts) > 1 and all(re.fullmatch(r"(?:19|20)\d\d(?:\.0)?", text) for text in texts)
    return (
        (years and len(set(texts)) == len(texts))
        or any(re.search(r"[^\W\d_]{3}", text) and not re.search(r"\d", text) for text in texts)
        or any(meaning(text).role == "amount" for text in texts)
    )


def blank(value: object) -> bool:
    """Whether a cell holds nothing."""
    return value is None or value != value or str(value).strip() == ""


def filled(values: pd.Series) -> pd.Series:
    """Whether each cell holds something."""
    if values.dtype == "str":
        return values.str.strip().ne("") & values.notna()
    return ~values.map(blank).astype("bool")


def _spans(grid: Grid, row: int, least: int) -> bool:
    """Whether cells of the row are merged over several columns, `least` of them: an upper level of a header."""
    return sum(r1 <= row <= r2 and c2 > c1 for r1, c1, r2, c2 in grid.merged) >= least


def _headed(grid: Grid, header: tuple[int, int]) -> Table:
    """The table under a header; a name that says nothing alone is read with the levels above it."""
    columns = header_columns(grid, header)
    meanings = {}
    for name, at in columns.items():
        levels = " ".join(dict.fromkeys(text for text in header_levels(grid, header, at) if text))
        read = [meaning(text) if len(text) <= LONGEST_HEADER else Meaning() for text in (name, levels)]
        alone = header[0] == header[1] or (_means(read[0]) and read[0].role != "amount")
        meanings[name] = read[0] if alone else read[1]
    return Table(grid, header, columns, {**meanings, **_givers_or_years(grid, header, columns, meanings)})


_MONEY_AROUND = re.compile(
    r"\b(?:subventions?|aides?|financements?|montants?|participations?|dotations?|eur|keur|euros?)\b"
)


def _givers_or_years(
    grid: Grid, header: tuple[int, int], columns: Mapping[str, int], meanings: Mapping[str, Meaning]
) -> dict[str, Meaning]:
    """The columns of numbers headed by a giver or by a year, two or more; sure where money is spoken of around them."""
    bare = {
        name for name, said in meanings.items() if not (said.stage or said.year or said.kind or said.field)
    }
    found = {
        name: said
        for name in bare
        if meanings[name].role in ("", "places", "amount") and (said := giver_or_year(name))
    }
    if len(found) < 2:
        return {}
    body = grid.values.iloc[header[1] :]
    cells = {name: body[columns[name]] for name in found}
    cells = {name: values[filled(values)] for name, values in cells.items()}
    plain = [name for name, said in found.items() if doubts.are_sums(cells[name], said.unit)]
    same = {bool(found[name].funder) for name in plain}
    if len(plain) < 2 or len(same) > 1:
        return {}
    found = {
        name: said
        for name, said in found.items()
        if bool(said.funder) in same
        and (doubts.may_be_sums(cells[name]) or doubts.codes_or_sums(cells[name]))
    }
    above = [str(value) for value in grid.values.iloc[: header[0] - 1].to_numpy().ravel() if not blank(value)]
    around = [*above, grid.sheet, grid.member]
    sure = any(_MONEY_AROUND.search(words(text)) for text in [*around, *columns])
    sure = sure and not any(map(doubts.counts, around))
    return {
        name: replace(said, sure=sure and not doubts.codes_or_sums(cells[name]))
        for name, said in found.items()
    }


def _is_pivot(table: Table) -> bool:
    """Whether the table is a spreadsheet's summary of another."""
    if table.role("recipient"):
        return False
    said = " ".join(words(header) for header in table.columns)
    return bool(
        re.search(
            r"\b(somme|nombre|count|sum|moyenne) (de|of) |\betiquettes de lignes\b|\brow labels\b", said
        )
    )


def _has_amounts(table: Table) -> bool:
    """Whether one cell at least, under a header of amounts, reads as an amount."""
    columns = [table.body[table.columns[header]] for header in table.role("amount")]
    values = [value for column in columns for value in pd.unique(column.iloc[:5000]) if not blank(value)]
    return any(
        np.isfinite(distinct_amounts(values, ".", currency=one).euros).any() for one in ("EUR", *SIGNS)
    )


def _same(one: Table, other: Table) -> bool:
    if list(one.columns) != list(other.columns) or len(one.body) != len(other.body):
        return False
    left, right = (
        table.body[list(table.columns.values())]
        .astype("str")
        .apply(lambda row: "\x1f".join(map(str, row)), axis="columns")
        for table in (one, other)
    )
    return sorted(left) == sorted(right)
