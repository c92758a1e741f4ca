"""Files → grids of cells that know their address."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import openpyxl
import pandas as pd
from openpyxl.utils import get_column_letter

from ess_analysis.errors import DataError


@dataclass(frozen=True)
class Grid:
    """The cells of one sheet: `values` counts rows and columns from 0, addresses count from 1 and A."""

    path: Path
    sheet: str
    values: pd.DataFrame
    merged: tuple[tuple[int, int, int, int], ...] = ()  # first row, first column, last row, last column
    formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden: bool = False
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()

    def address(self, row: int, column: int) -> str:
        """The address of a cell: (4, 6) is G5."""
        return f"{get_column_letter(column + 1)}{row + 1}"

    def cell(self, row: int, column: int) -> Any:
        """The value of a cell; None when it is blank."""
        value = self.values.iat[row, column]
        return None if value is None or value is pd.NA or value == "" else value


def read_grids(path: Path) -> tuple[Grid, ...]:
    """The sheets of the workbook `path`, in order."""
    try:
        computed = openpyxl.load_workbook(path, data_only=True)
        written = openpyxl.load_workbook(path)
    except (BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(
            f"Classeur illisible : {path}.",
            seen=[error],
            todo="enregistrez-le au format .xlsx, sans mot de passe.",
        ) from error
    return tuple(_grid(path, computed[name], written[name]) for name in computed.sheetnames)


def _grid(path: Path, computed: Any, written: Any) -> Grid:
    rows = [list(row) for row in computed.iter_rows(values_only=True)]
    formulas = {
        (cell.row - 1, cell.column - 1): cell.value
        for row in written.iter_rows()
        for cell in row
        if cell.data_type == "f"
    }
    merged = tuple(
        (r.min_row - 1, r.min_col - 1, r.max_row - 1, r.max_col - 1) for r in computed.merged_cells.ranges
    )
    return Grid(
        path,
        computed.title,
        pd.DataFrame(rows, dtype=object),
        merged,
        formulas,
        computed.sheet_state != "visible",
        frozenset(row - 1 for row, shape in computed.row_dimensions.items() if shape.hidden),
    )
