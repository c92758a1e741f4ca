"""A file of several tables: sheets of one shape, one for each year, are read together.

Sheets told apart by anything else may tell the same money (voted and paid, by quarter, by axis): they are asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ess_analysis import french
from ess_analysis.delimited import Note
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load import load_grid
from ess_analysis.open_data import doubts
from ess_analysis.open_data.choosing import SeveralTables
from ess_analysis.open_data.headers import words
from ess_analysis.open_data.understanding import Understood, understand
from ess_analysis.totals import summing_up


def understand_all(path: Path, grids: Iterable[Grid], sheet: str | None = None) -> list[Understood]:
    """How each table of a file is read: one, or those of sheets of one shape, which together leave no doubt.

    Raises DataError, with the doubt, where several tables are not of one shape, or tell the same money.
    """
    grids = list(grids)
    try:
        return [understand(path, grids, sheet)]
    except SeveralTables as several:
        each = [understand(path, grids, name) for name in several.names]
        if doubt := _doubt(each):
            raise DataError(several.what_where, seen=[doubt, *several.seen], todo=several.todo) from None
    tables = [replace(one.sheet.tables[0], id=name) for name, one in zip(table_ids(each), each, strict=True)]
    names = french.listing(f"« {table.sheet} »" for table in tables)
    told = Note("READ-SHEETS", "info", f"Feuilles lues ensemble, de mêmes colonnes : {names}.")
    first = replace(each[0], notes=(told, *each[0].notes))
    return [
        replace(one, sheet=replace(one.sheet, tables=(table,)))
        for one, table in zip([first, *each[1:]], tables, strict=True)
    ]


def table_ids(each: list[Understood]) -> list[str]:
    """The id of each table of a file: T, T2, T3."""
    return ["T", *(f"T{number}" for number in range(2, len(each) + 1))]


def recap_of(each: list[Understood]) -> Understood | None:
    """The table whose amounts are the sum of those of all the others."""
    at = summing_up([round(float(_funding(one)["amount_eur"].sum()) * 100) for one in each])
    return None if at is None else each[at]


def _funding(one: Understood) -> pd.DataFrame:
    return load_grid(one.grid, one.sheet.tables[0], one.sheet, "").funding


def _doubt(each: list[Understood]) -> str:
    """Why tables are not read together; nothing where they may be."""
    for one in each:
        if one.missing:
            return f"{one.grid.name} : {one.missing[0]}"
    first = each[0]
    for one in each[1:]:
        if _shape(one) != _shape(first):
            return f"{one.grid.name} : pas les colonnes de {first.grid.name}"
    named = [doubts.years_of(one.grid.name) for one in each]
    if any(len(years) != 1 for years in named) or len(set.union(*named)) < len(each):
        return "leurs noms ne donnent pas à chacune son année : le même argent y est-il compté deux fois ?"
    rests = {" ".join(re.findall("[a-z]+", words(one.grid.name))): one.grid.name for one in each}
    if len(rests) > 1:
        return f"leurs noms ne disent pas la même chose ({french.listing(f'« {name} »' for name in rests.values())})"
    for one, years in zip(each, named, strict=True):
        others = set(_funding(one)["year"].dropna().astype(int)) - years
        if others:
            return f"{one.grid.name} : des montants de {min(others)}"
    if recap := recap_of(each):
        return f"{recap.grid.name} : vaut la somme des autres"
    return ""


def _shape(one: Understood) -> object:
    """What the columns read of a table are, the years that their headers bear apart; its currency and its stage."""
    columns = one.sheet.tables[0].columns
    said = (re.sub(r"\b(?:19|20)\d\d\b", "", words(column.header)).strip() for column in columns)
    roles = ((column.role, column.stage, column.kind, column.unit) for column in columns)
    return frozenset(zip(said, roles, strict=True)), one.sheet.currency, one.sheet.tables[0].stage
