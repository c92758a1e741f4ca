"""From a number back to its cells: what it was computed from, and how, in words.

A trace is a small JSON tree: `op`, `unit`, `value`, `words` (French), and `of` (traces) or `cells`, each
[file, sheet, cell, text as written, part] where part is 0, or n for the n-th amount of a cell.

- sum: the amounts of `cells` and of `of`, added;
- difference: the first of `of` minus the second;
- share: the first of `of` divided by the second;
- apportion: the first of `of` times `weights[0] / weights[1]`, to the cent;
- count: the number of amounts in `cells`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.breakdowns import KEYS, breakdown
from ess_analysis.errors import DataError
from ess_analysis.grids import read_grids
from ess_analysis.load import Tables

Trace = Mapping[str, Any]
SHOWN = 40  # cells told one by one; beyond, ranges only


def traced(result: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """A breakdown made with trace=True, with the columns `trace` and `share_trace` (None where no amount)."""
    rows = [
        _row_trace(amount, ids, total, tables)
        for amount, ids, total in zip(
            result["amount_eur"], result["funding_ids"], result["total_id"], strict=True
        )
    ]
    whole = total_trace(rows)
    shares = [share_of(row, whole) if row else None for row in rows]
    return result.assign(trace=rows, share_trace=shares)


def total_trace(traces: Iterable[Trace | None]) -> Trace:
    """The trace of the sum of several traced amounts; cells are listed once each."""
    parts = [trace for trace in traces if trace]
    value = round(sum(part["value"] for part in parts), 2)
    return {"op": "sum", "unit": "EUR", "value": value, "words": f"somme de {_n(parts)}", "of": parts}


def share_of(part: Trace, whole: Trace) -> Trace:
    """The trace of a share: one traced amount in another."""
    value = part["value"] / whole["value"] if whole["value"] else float("nan")
    words = f"{french.euros(part['value'])} sur {french.euros(whole['value'])}"
    return {"op": "share", "unit": "%", "value": value, "words": words, "of": [part, whole]}


def difference_of(one: Trace, other: Trace) -> Trace:
    """The trace of a difference between two traced amounts."""
    value = round(one["value"] - other["value"], 2)
    words = f"{french.euros(one['value'])} moins {french.euros(other['value'])}"
    return {"op": "difference", "unit": "EUR", "value": value, "words": words, "of": [one, other]}


def count_of(cells: Sequence[Sequence[object]], noun: str) -> Trace:
    """The trace of a number of things, one cell each."""
    words = f"{french.counted(len(cells), noun)}, {ranges([str(cell[2]) for cell in cells])}"
    return {
        "op": "count",
        "unit": "count",
        "value": len(cells),
        "words": words,
        "cells": [list(cell) for cell in cells],
    }


def amount_trace(funding_ids: Sequence[str], tables: Tables) -> Trace:
    """The trace of the sum of these funding lines."""
    by_id = tables.funding.set_index("funding_id")
    rows = by_id.loc[list(dict.fromkeys(funding_ids))]
    cells = [_cell(tables, row, str(name)) for name, row in rows.iterrows()]
    filled = rows["amount_eur"].notna()
    blank = int((~filled).sum())
    return {
        "op": "sum",
        "unit": "EUR",
        "value": round(float(rows["amount_eur"].sum()), 2),
        "words": _sum_words([str(c[2]) for c in cells], blank),
        "cells": [cell for cell, kept in zip(cells, filled, strict=True) if kept],
    }


def delivery_trace(lines: pd.DataFrame, tables: Tables) -> Trace:
    """The trace of the sum of these delivery lines."""
    filled = lines[lines["amount_eur"].notna()]
    cells = [_cell(tables, row, "") for row in filled.to_dict(orient="records")]
    return {
        "op": "sum",
        "unit": "EUR",
        "value": round(float(filled["amount_eur"].sum()), 2),
        "words": _sum_words([str(row) for row in lines["cell"]], len(lines) - len(filled)),
        "cells": cells,
    }


def stated_trace(total_id: str, tables: Tables) -> Trace:
    """The trace of a total that the document announces."""
    row = tables.stated_totals.set_index("total_id").loc[total_id]
    value = row["amount_eur"] if pd.notna(row["amount_eur"]) else row["count"]
    return {
        "op": "sum" if pd.notna(row["amount_eur"]) else "stated",
        "unit": "EUR" if pd.notna(row["amount_eur"]) else "count",
        "value": float(value),
        "words": f"écrit en {row['cell']}",
        "cells": [_cell(tables, row, total_id)],
    }


def _row_trace(amount: float, ids: Sequence[str], total_id: str | None, tables: Tables) -> Trace | None:
    if pd.isna(amount):
        return None
    parts: list[Trace] = []
    if ids:
        parts.append(amount_trace(ids, tables))
    if isinstance(total_id, str):
        parts.append(
            difference_of(stated_trace(total_id, tables), amount_trace(covered_by(total_id, tables), tables))
        )
    whole = parts[0] if len(parts) == 1 else total_trace(parts)
    if abs(whole["value"] - amount) > 0.005:  # an amount shared between places
        words = f"part de {french.euros(amount)} dans {french.euros(whole['value'])}, {whole['words']}"
        weights = [round(amount, 2), whole["value"]]
        return {
            "op": "apportion",
            "unit": "EUR",
            "value": amount,
            "words": words,
            "weights": weights,
            "of": [whole],
        }
    return whole


def covered_by(total_id: str, tables: Tables) -> list[str]:
    """The funding lines that a stated total covers."""
    total = tables.stated_totals.set_index("total_id").loc[total_id]
    table_of = tables.funding["record_id"].map(tables.records.set_index("record_id")["table_id"])
    rows = tables.funding[table_of.eq(total["table_id"])]
    for key in ("funder", "year"):
        if pd.notna(total[key]):
            rows = rows[rows[key].eq(total[key]).fillna(False)]
    return rows["funding_id"].tolist()


def _cell(tables: Tables, row: Mapping[str, Any], identifier: str) -> list[object]:
    part = int(identifier.split("#")[1]) if re.search(r"#\d+$", identifier) else 0
    written = _written(tables.data, str(row["source"])).get((str(row["sheet"]), str(row["cell"])), "")
    return [row["source"], row["sheet"], row["cell"], written, part]


@cache
def _written(data: Path, source: str) -> dict[tuple[str, str], str]:
    """The text of every filled cell of a raw file, as written."""
    return {
        (grid.sheet, grid.address(row, column)): str(value)
        for grid in read_grids(data / source)
        for (row, column), value in grid.values.stack().items()
        if value is not None and value == value
    }


def _n(parts: Sequence[Trace]) -> str:
    return french.counted(len(parts), "montant")


def _sum_words(cells: Sequence[str], blank: int) -> str:
    if len(cells) == 1:
        return f"cellule {cells[0]}"
    empty = f", {'une vide' if blank == 1 else f'{blank} vides'}" if blank else ""
    return f"somme de {french.counted(len(cells) - blank, 'cellule')}, {ranges(cells)}{empty}"


def ranges(cells: Sequence[str]) -> str:
    """The cells as ranges: F5, F6, F7, H2 gives « F5:F7, H2 »."""
    parsed = [re.fullmatch(r"([A-Z]+)(\d+)", cell) for cell in dict.fromkeys(cells)]
    places = sorted((len(m[1]), m[1], int(m[2])) for m in parsed if m)
    runs: list[list[tuple[str, int]]] = []
    for _, column, row in places:
        if runs and runs[-1][-1] == (column, row - 1):
            runs[-1].append((column, row))
        else:
            runs.append([(column, row)])
    names = [
        f"{a}{b}" if len(run) == 1 else f"{a}{b}:{run[-1][0]}{run[-1][1]}" for run in runs for a, b in run[:1]
    ]
    return ", ".join(names)


# --- In the terminal -----------------------------------------------------------------------------


def explain(query: str, tables: Tables) -> str:
    """Where a number comes from, told in French: « 2013/Ville de Lille/Promotion et communication ».

    Each word between slashes is a value of any column (year, funder, axis, territory, recipient, stage…).
    A number that mixes stages is told once for each stage.
    """
    only = dict(_meaning(word.strip(), tables) for word in query.split("/") if word.strip())
    if not only:
        raise DataError("Aucun chiffre demandé.", todo='par exemple : ess explain "2013/Ville de Lille".')
    by = list(dict.fromkeys([*only, "stage", "kind"]))
    gaps = set(only) <= {"year", "funder", "programme", "stage", "kind"}
    result = breakdown(tables, by, trace=True, gaps=gaps, **only)
    if result.empty:
        raise DataError(
            "Aucun montant pour cette demande.", seen=[query], todo="essayez ess breakdown --by …"
        )
    told = []
    for row in traced(result, tables).to_dict(orient="records"):
        labels = [str(row[key]) for key in only] + [schema.STAGE_LABELS.get(row["stage"], row["stage"])]
        told.append(f"{' · '.join(labels)} : {french.euros(row['amount_eur'])}")
        told += _told(row["trace"], "  ") if row["trace"] else ["  aucun montant écrit"]
    return "\n".join(told)


def _meaning(word: str, tables: Tables) -> tuple[str, Any]:
    """The column and the value that a word of a query stands for."""
    if word in schema.STAGES or word in schema.STAGE_LABELS.values():
        return "stage", next(key for key, label in schema.STAGE_LABELS.items() if word in (key, label))
    values = {
        "year": set(tables.funding["year"].dropna().astype("str")),
        **{key: set(tables.funding[key].dropna()) for key in KEYS if key in tables.funding and key != "year"},
        **{key: set(tables.places[key].dropna()) for key in ("territory", "commune")},
        **{key: set(tables.records[key].dropna()) for key in ("strand", "legal_status")},
    }
    for key, known in values.items():
        found = [
            value
            for value in known
            if french.strip_accents(str(value)).lower() == french.strip_accents(word).lower()
        ]
        if found:
            return key, int(found[0]) if key == "year" else found[0]
    offered = [v for key in ("year", "funder", "axis", "territory") for v in sorted(map(str, values[key]))]
    raise DataError(
        "Mot inconnu dans la demande.", seen=[word], todo=f"par exemple : {', '.join(offered[:20])}."
    )


def _told(trace: Trace, indent: str) -> list[str]:
    lines = [f"{indent}{trace['words']}"]
    for file, sheet, cell, text, _ in trace.get("cells", [])[:SHOWN]:
        lines.append(f"{indent}  {file}, {sheet}, {cell} : « {text} »")
    for part in trace.get("of", []):
        lines += _told(part, indent + "  ")
    return lines
