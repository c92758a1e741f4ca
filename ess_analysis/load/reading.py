"""One raw file, one table of a grid → its tidy tables, as the source sheet says to read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid, read_grids
from ess_analysis.load.annotations import Correction, with_corrections
from ess_analysis.load.body import body_of
from ess_analysis.load.doubts import (
    axis_variant_notes,
    duplicate_notes,
    identifier_notes,
    stage_notes,
    total_notes,
)
from ess_analysis.load.form import seal_notes, shape_notes
from ess_analysis.load.funding import delivery_of, funding_of
from ess_analysis.load.headers import headers_of
from ess_analysis.load.notes import note
from ess_analysis.load.places import place_notes, places_of
from ess_analysis.load.records import records_of
from ess_analysis.load.stated import indicators_of, stated_totals_of
from ess_analysis.load.tidy import Tables, joined
from ess_analysis.sources import SourceSheet, TableRead
from ess_analysis.totals import summing_up


def read_file(sheet: SourceSheet, folder: Path, corrections: list[Correction]) -> Tables:
    """The tidy tables of one raw file of `folder`, as its source sheet says to read it."""
    if not sheet.tables:
        return joined([])
    source = sheet.path.relative_to(folder).as_posix()
    read = read_grids(sheet.path, sheet.encoding, sheet.delimiter)
    grids = {grid.name: grid for grid in read}  # the files of an archive are its sheets
    for one in corrections:
        if one.file == source and one.sheet not in grids:
            raise DataError(
                f"Correction d’une feuille absente : {source}.", seen=[one.sheet], todo="corrigez sheet."
            )
    parts = [
        load_grid(_sheet_of(table, grids, sheet), table, sheet, source, corrections) for table in sheet.tables
    ]
    whole = joined(parts)
    notes = [*_recap_notes(parts, sheet, source)]
    told = (
        pd.concat([whole.findings, schema.conform(pd.DataFrame(notes), "findings")])
        if notes
        else whole.findings
    )
    return replace(whole, findings=told.reset_index(drop=True))


def _recap_notes(parts: list[Tables], sheet: SourceSheet, source: str) -> Iterator[dict[str, Any]]:
    """The table of a file whose amounts are the sum of those of all the others, of the same stage."""
    stages = {stage for part in parts for stage in part.funding["stage"].fillna("")}
    sums = [round(float(part.funding["amount_eur"].sum()) * 100) for part in parts]
    detailed = any(column.part_of for table in sheet.tables for column in table.columns)
    if len(stages) > 1 or detailed or any(table.part_of for table in sheet.tables):
        return
    if (at := summing_up(sums)) is None:
        return
    table, worth = sheet.tables[at], french.money(sums[at] / 100, currency=sheet.currency)
    message = (
        f"La table {table.id} (feuille « {table.sheet} ») vaut la somme des autres, {worth} : si elle les récapitule, "
        f"retirez-la de la fiche source."
    )
    yield {"code": "READ-TABLE-COUNTED", "severity": "blocking", "message": message, "source": source,
           "sheet": table.sheet}  # fmt: skip


def _sheet_of(table: TableRead, grids: dict[str, Grid], sheet: SourceSheet) -> Grid:
    if not table.sheet and len(grids) == 1:
        return next(iter(grids.values()))
    if table.sheet not in grids:
        raise DataError(
            f"Feuille absente : « {table.sheet} » dans {sheet.path}.",
            seen=list(grids) or ["aucune feuille lisible"],
            todo=f"corrigez sheet dans {sheet.toml}, ou remettez la feuille.",
        )
    return grids[table.sheet]


def load_grid(
    grid: Grid, table: TableRead, sheet: SourceSheet, source: str, corrections: Iterable[Correction] = ()
) -> Tables:
    """The tidy tables of one table of a grid, as its source sheet says to read it."""
    grid, corrected = with_corrections(
        grid, headers_of(grid, table, sheet, source), source, list(corrections)
    )
    body = body_of(grid, table, sheet, source)
    records = records_of(body)
    funding, notes = funding_of(body, records)
    delivery, more = delivery_of(body, records)
    told = [note(one.code, body, one.cell, one.message, one.stated, one.severity) for one in grid.notes]
    findings = [
        *seal_notes(body),
        *told,
        *corrected,
        *notes,
        *more,
        *place_notes(body, records),
        *identifier_notes(body),
        *stage_notes(body, funding),
        *duplicate_notes(body, funding),
        *total_notes(body, funding),
        *axis_variant_notes(body),
        *shape_notes(body),
    ]
    return Tables(
        funding=funding,
        delivery=delivery,
        places=places_of(body, records),
        indicators=indicators_of(body, records),
        stated_totals=stated_totals_of(body),
        records=schema.conform(records.drop_duplicates("record_id"), "records"),
        findings=schema.conform(pd.DataFrame(findings), "findings") if findings else schema.empty("findings"),
    )
