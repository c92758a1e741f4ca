"""A table → a display table: caption, headers with their scope, traced French numbers, source note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.display import Column, DisplayTable, Number, Sentence, Text

_NUMBERS = {  # how each kind of number is written
    "amount_eur": french.money,
    "undated_eur": french.money,
    "stated_eur": french.money,
    "gap_eur": french.money,
    "envelope_eur": french.money,
    "share": lambda value: french.percent(value, 1),
    "count": french.number,
    "gap": french.number,
}
_WORDS = {
    "stage": schema.STAGE_LABELS,
    "kind": schema.KIND_LABELS,
    "severity": schema.SEVERITY_LABELS,
    "record_kind": schema.RECORD_KIND_LABELS,
}
_LABELS = {
    **schema.labels([column.name for table in schema.TABLES.values() for column in table.columns]),
    "amount_eur": "Montant",
    "undated_eur": "Non daté",
    "stated_eur": "Annoncé",
    "gap_eur": "Non détaillé",
    "share": "Part",
    "count": "Nombre",
}


def display_table(
    frame: pd.DataFrame,
    caption: Text,
    *,
    note: str = "",
    labels: Mapping[str, str] | None = None,
    total: Mapping[str, object] | None = None,
) -> DisplayTable:
    """The frame as a display table, one row for one, headers in French.

    A column `<name>_trace` (or `trace`, for amount_eur) is not shown: it says where the numbers of `<name>`
    come from. Missing values are « – ». `total` is the last row, by column; the others stay empty there.
    """
    names = [name for name in frame.columns if not _is_trace(name)]
    known = {**_LABELS, **(labels or {})}
    columns = tuple(Column(known.get(name, name), _is_numeric(name, frame)) for name in names)
    lines: list[Any] = frame.to_dict(orient="records")
    rows = [_row(frame, names, row) for row in lines]
    last = () if total is None else _row(frame, names, {**dict.fromkeys(names, ""), **total})
    return DisplayTable(caption, columns, tuple(rows), last, note)


def _row(frame: pd.DataFrame, names: Sequence[str], row: Mapping[str, object]) -> tuple[Text, ...]:
    return tuple(_cell(frame, name, row[name], row.get(_trace_of(name))) for name in names)


def _cell(frame: pd.DataFrame, name: str, value: Any, trace: object) -> Text:
    if isinstance(value, (Number, Sentence)):
        return value
    if _is_numeric(name, frame) and value != "":
        missing = value is None or pd.isna(value)
        text = french.NOTHING if missing else _NUMBERS.get(name, french.number)(float(str(value)))
        return Number(text, trace if isinstance(trace, Mapping) and not missing else None)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and pd.isna(value)):
        return french.NOTHING
    return _WORDS.get(name, {}).get(str(value), str(value))


def _is_trace(name: str) -> bool:
    return name == "trace" or name.endswith("_trace")


def _trace_of(name: str) -> str:
    return "trace" if name == "amount_eur" else f"{name}_trace"


def _is_numeric(name: str, frame: pd.DataFrame) -> bool:
    return name not in ("year", "insee_code") and (
        name in _NUMBERS or (name in frame and pd.api.types.is_numeric_dtype(frame[name]))
    )
