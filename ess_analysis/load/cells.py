"""Cells as text, columns read once per distinct value, addresses as positions."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.grids import Grid


def text_of(value: object) -> str | None:
    """A cell's value as text, NFC, without spaces around; None for a blank."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool):
        value = "VRAI" if value else "FAUX"
    elif isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return french.nfc(str(value)).strip() or None


def mapped(values: pd.Series, reading: Callable[[Any], object], dtype: str = "object") -> pd.Series:
    """`reading` of each value, called once per distinct value; missing where the value is missing."""
    if values.dtype == "object":
        values = values.map(lambda value: text_of(value) if isinstance(value, bool) else value)
    codes, distinct = pd.factorize(values)
    read: list[Any] = [*map(reading, distinct), None]
    said = pd.Series(read, dtype=dtype).array  # code -1 (missing) takes the last one
    return pd.Series(said.take(codes), index=values.index)


def texts_of(values: pd.Series) -> pd.Series:
    """The values as text (see `text_of`), missing where blank."""
    return mapped(values, text_of, "str")


def position(cell: str) -> tuple[int, int]:
    """Row and column of an address, from 0: G5 is (4, 6)."""
    letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return int(row) - 1, number - 1


def text_at(grid: Grid, cell: str) -> str:
    """The text of a cell by its address, empty outside the grid."""
    row, column = position(cell)
    inside = row < grid.values.shape[0] and column < grid.values.shape[1]
    return (text_of(grid.values.iat[row, column]) if inside else None) or ""
