"""What the document itself states: the results of its records, its totals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french, schema
from ess_analysis.errors import DataError
from ess_analysis.load.amounts import one_amount
from ess_analysis.load.body import Body, sentence_cell
from ess_analysis.load.cells import mapped, text_at
from ess_analysis.sources import AMOUNT_ROLES, TotalRead


def indicators_of(body: Body, records: pd.DataFrame) -> pd.DataFrame:
    """The quantities stated: a number, a range (« 6 à 10 communes ») or a rhythm, per year."""
    frames = []
    for _, column in body.role("indicators"):
        texts = body.text(column).dropna()
        read = mapped(texts, french.quantities).explode().dropna()
        rows = [quantity._asdict() for quantity in read]
        frames.append(
            pd.DataFrame(rows, columns=["low", "high", "unit", "text"], index=read.index).assign(
                record_id=records["record_id"].loc[read.index],
                cell=body.cells(column).loc[read.index],
                source=body.source,
                sheet=body.grid.sheet,
            )
        )
    if not frames:
        return schema.empty("indicators")
    return schema.conform(pd.concat(frames).sort_index(kind="stable").reset_index(drop=True), "indicators")


def stated_totals_of(body: Body) -> pd.DataFrame:
    """The totals that the table announces, in its total row or in a sentence."""
    rows = [*_row_of_totals(body)]
    for total in body.table.totals:
        if total.cell:
            rows += _sentence_totals(body, total)
    frame = pd.DataFrame(rows)
    if frame.empty:
        return schema.empty("stated_totals")
    return schema.conform(frame.assign(source=body.source, sheet=body.grid.sheet), "stated_totals")


def _row_of_totals(body: Body) -> Iterator[dict[str, Any]]:
    table = body.table
    if body.total_row is None:
        return
    for read in table.columns:
        if read.role not in AMOUNT_ROLES:
            continue
        column = body.columns[read.header]
        euros, _ = one_amount(body, column, pd.Index([body.total_row]))
        if np.isnan(euros[0]):
            continue
        cell = body.grid.address(body.total_row, column)
        yield {
            "total_id": f"{table.id}!{cell}",
            "cell": cell,
            "covers": read.header,
            "measure": {"amount": "funding"}.get(read.role, read.role),
            "funder": (read.funder or table.funder or None) if read.role == "amount" else None,
            "operator": read.operator or None,
            "year": read.year or table.year,
            "stage": read.stage or table.stage or None,
            "amount_eur": euros[0],
            "table_id": table.id,
        }


def _sentence_totals(body: Body, total: TotalRead) -> list[dict[str, Any]]:
    """The total and the number of records that a sentence announces (« 4 projets … 171 663 € »)."""
    cell = sentence_cell(body.grid, total)
    text = text_at(body.grid, cell)
    amounts = french.amounts(text, body.sheet.decimal)[:1]
    counted = re.search(rf"(\d+)\s+{re.escape(total.counts)}", text) if total.counts else None
    if not amounts and not counted:
        raise DataError(
            f"{body.said('Total annoncé introuvable')}, cellule {total.cell}.",
            seen=[text] if text else ["cellule vide"],
            todo="remettez la phrase à sa place, ou corrigez cell dans [[table.total]] de la fiche source.",
        )
    covers = total.covers or body.table.id
    stage = next((table.stage for table in body.sheet.tables if table.id == covers), "")
    shared = {"cell": cell, "covers": text, "table_id": covers, "stage": stage or None}
    identity = f"{body.table.id}!{cell}"
    rows: list[dict[str, Any]] = [
        {**shared, "total_id": identity, "measure": "funding", "amount_eur": amount.euros}
        for amount in amounts
    ]
    if counted:
        rows.append({**shared, "total_id": f"{identity}#n", "measure": "count", "count": int(counted[1])})
    return rows
