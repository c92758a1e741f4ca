"""What people write beside the data: corrections, readings of ambiguous points, remarks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load.cells import position, text_of


@dataclass(frozen=True)
class Correction:
    """One line of `corrections.toml`: where, what was expected there, what is read instead, why."""

    file: str
    sheet: str
    cell: str
    column: str
    expected: str
    new: str | int | float
    reason: str
    # applied: read instead; display: the wrong words stay, what was meant is told; proposed: told
    status: str

    def __post_init__(self) -> None:
        if self.status not in _CORRECTION_WORDS or not re.fullmatch(r"[A-Z]{1,3}[1-9]\d*", self.cell):
            raise ValueError(f"status = {self.status}, cell = {self.cell}")


_CORRECTION_WORDS = {
    "applied": "« {expected} » est lu « {new} » : {reason}",
    "display": "« {expected} » est cité tel quel ; comprendre « {new} » : {reason}",
    "proposed": "« {expected} » : correction proposée, « {new} » ({reason}) ; rien n’est changé.",
}


def corrections_of(folder: Path) -> list[Correction]:
    """The corrections of the folder; DataError on a line that is not complete, or speaks of no file."""
    found = []
    for path in sorted(folder.rglob("corrections.toml")):
        for said in _toml(path).get("correction", []):
            try:
                one = Correction(**{"sheet": "", **said})
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"Correction mal écrite : {path}.",
                    seen=[f"{key} = {value}" for key, value in said.items()],
                    todo="donnez file, sheet, cell, column, expected, new, reason et status "
                    f"({', '.join(_CORRECTION_WORDS)}).",
                ) from error
            if not (folder / one.file).is_file():
                raise DataError(
                    f"Correction d’un fichier absent : {path}.",
                    seen=[one.file],
                    todo="écrivez le chemin depuis le dossier de données, ou retirez la correction.",
                )
            found.append(one)
    return found


def with_corrections(
    grid: Grid, columns: Mapping[str, int], source: str, corrections: list[Correction]
) -> tuple[Grid, list[dict[str, Any]]]:
    """The grid with its corrections made, and what is told of them; a changed source is a DataError."""
    values, notes = grid.values, []
    for one in corrections:
        row, column = position(one.cell)
        if (one.file, one.sheet) != (source, grid.sheet) or column not in columns.values():
            continue
        found = text_of(values.iat[row, column]) if row < len(values) else None
        if columns.get(french.nfc(one.column)) != column or found != french.nfc(one.expected):
            raise DataError(
                f"Correction périmée : {source}, feuille « {grid.sheet} », {one.cell}.",
                seen=[f"attendu « {one.expected} » sous « {one.column} »", f"trouvé {found}"],
                todo="relisez la cellule, puis corrigez ou retirez la correction dans corrections.toml.",
            )
        if one.status == "applied":
            values = values.copy()
            values[column] = values[column].astype("object")
            values.iat[row, column] = one.new
        message = _CORRECTION_WORDS[one.status].format(**vars(one))
        notes.append(
            {
                "code": f"READ-CORRECTION-{one.status.upper()}",
                "severity": "info",
                "message": message,
                "source": source,
                "sheet": grid.sheet,
                "cell": one.cell,
                "stated": one.expected,
                "computed": str(one.new),
            }
        )
    return replace(grid, values=values), notes


def readings_of(folder: Path) -> dict[str, Any]:
    """The readings of ambiguous points found in the folder, by name."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("readings.toml")):
        found |= _toml(path)
    return found


def remarks_of(folder: Path) -> pd.DataFrame:
    """The remarks written beside the data that no check finds by itself: place, remark, treatment.

    Those of `anomalies.csv` whose `controle`, the code of the check that finds them, is empty.
    """
    names = {
        "id": "remark_id",
        "lieu": "place",
        "constat": "remark",
        "calcul": "sum",
        "traitement": "treatment",
    }
    frames = [
        pd.read_csv(path, dtype="str", keep_default_na=False)
        for path in sorted(folder.rglob("anomalies.csv"))
    ]
    if not frames:
        return pd.DataFrame(columns=list(names.values()))
    listed = pd.concat(frames, ignore_index=True).reindex(columns=[*names, "controle"]).fillna("")
    kept = listed[listed["controle"].eq("")].rename(columns=names)
    return kept[list(names.values())].reset_index(drop=True)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"Fichier illisible : {path}.", seen=[error], todo="corrigez la ligne indiquée."
        ) from error
