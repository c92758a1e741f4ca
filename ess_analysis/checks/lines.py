"""Rows of the tables: in turn, in groups, chosen, summed exactly to the cent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ess_analysis import french, schema

CENT = 0.005  # two amounts closer than this are the same
LONG_TABLE = 20_000  # beyond, texts are no longer compared word by word


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows in turn, as named tuples."""
    return iter(frame.itertuples())


def first_of(frame: pd.DataFrame) -> Any:
    """The first row, as a named tuple."""
    return next(each(frame))


def groups_of(frame: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The groups in the order they first appear, rows without key included."""
    return iter(frame.groupby(by, sort=False, dropna=False))


def text_of(value: object) -> str:
    """The value as text, empty when missing."""
    return "" if value is None or value is pd.NA or value != value else str(value)


def place_of(row: Any) -> tuple[str, str, str]:
    """Where a row was read: source, sheet, cell."""
    return text_of(row.source), text_of(row.sheet), text_of(row.cell)


def small(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, or nothing when it is too long for its texts to be compared."""
    return frame if len(frame) <= LONG_TABLE else frame.iloc[:0]


def only(lines: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The lines whose columns hold the values wanted; a missing value wants nothing."""
    for column, value in wanted.items():
        if not pd.isna(value) and column in lines:
            lines = lines[lines[column] == value]
    return lines


def exact_sum(amounts: pd.Series) -> float:
    """The sum exact to the cent; missing amounts do not count."""
    return round(math.fsum(amounts.dropna()), 2)


def mixture(lines: pd.DataFrame) -> str:
    """The French names of the stages and kinds when the lines have several, or nothing."""
    several = []
    for column, labels in (("stage", schema.STAGE_LABELS), ("kind", schema.KIND_LABELS)):
        if column in lines:
            found = lines.loc[lines["amount_eur"].notna(), column].dropna().unique()
            several += [labels.get(value, value) for value in found] if len(found) > 1 else []
    return french.listing(several)


def in_column_of(total: Any, records: pd.DataFrame) -> pd.DataFrame:
    """The records placed at their own total: the row of the record, the column of the stated total."""
    column = re.match(r"[A-Z]*", text_of(total.cell))
    same = records["sheet"].fillna("").eq(text_of(total.sheet)) & records["source"].eq(total.source)
    cells = records["cell"].str.replace(r"^[A-Z]+", column[0] if column else "", regex=True)
    return records.assign(cell=records["cell"].where(~same, cells))
