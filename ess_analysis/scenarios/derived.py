"""The values of the scenarios that the tidy tables give: recomputed each time, never typed.

T1 is the 2011-2014 action table of the note, A1 its annex 1 (projects awarded), A2 its annex 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ess_analysis import french
from ess_analysis.traces import Trace, amount_trace, cells_of, count_of

if TYPE_CHECKING:
    from ess_analysis.load import Tables

NOTE = "mel_2011-2014"  # the folder of the note
NAMES = (
    "envelope",
    "lille_transfer",
    "engineering_2012_2013",
    "mean_grant_outside_lille",
    "diagnosis_cost",
    "emerging_projects",
    "communes_per_project",
    "communes_reached",
    "bilateral_communes",
    "technician_meetings",
    "territories_diagnosed",
    "communes_of_the_mel",
)


def values(tables: Tables, data: Path) -> dict[str, float]:
    """Each derived value by name; NaN where the tables no longer give it."""
    actions, awarded, delegated = (_money(tables, table) for table in ("T1", "A1", "A2"))
    call = actions[actions["title"].str.startswith("Appel à projets", na=False)]
    diagnoses = actions[actions["title"].str.startswith("Actions de diagnostic", na=False)]
    detailed = awarded["funding_id"].isin(delegated["part_of"].dropna())  # annex 2 details Lille's transfer
    is_transfer = awarded["record_id"].isin(awarded.loc[detailed, "record_id"])
    transfer, outside = awarded[is_transfer], awarded[~is_transfer]
    places = tables.places[tables.places["insee_code"].notna()]
    named = places[places["record_id"].isin(awarded["record_id"])]
    named_outside = places[places["record_id"].isin(outside["record_id"])]
    stated = tables.indicators[tables.indicators["record_id"].isin(actions["record_id"])]
    diagnosed = float(stated.loc[stated["unit"] == "territoires", "low"].sum())
    mobilised = stated[stated["unit"] == "communes"]
    members = pd.read_csv(data / "reference" / "mel_communes.csv", dtype="str")["member_in_2013"]
    return {
        "envelope": float(call["amount_eur"].sum()),
        "lille_transfer": _ratio(transfer["amount_eur"].sum(), transfer["year"].nunique()),
        "engineering_2012_2013": _ratio(diagnoses["amount_eur"].sum(), diagnoses["year"].nunique()),
        "mean_grant_outside_lille": float(outside["amount_eur"].mean()),
        "diagnosis_cost": _ratio(diagnoses["amount_eur"].sum(), diagnosed),
        "emerging_projects": _ratio(outside["record_id"].nunique(), _years(outside)),
        "communes_per_project": _ratio(len(named_outside), named_outside["record_id"].nunique()),
        "communes_reached": float(named["insee_code"].nunique()),
        "bilateral_communes": float((mobilised["low"] + mobilised["high"]).mean() / 2),
        "technician_meetings": float(stated.loc[stated["unit"] == "réunions par an", "low"].max()),
        "territories_diagnosed": diagnosed,
        "communes_of_the_mel": float((members == "yes").sum()),
    }


def _money(tables: Tables, table: str) -> pd.DataFrame:
    """The funding rows of one table of the note."""
    of_note = tables.records["source"].str.startswith(NOTE) & (tables.records["table_id"] == table)
    return tables.funding[tables.funding["record_id"].isin(tables.records.loc[of_note, "record_id"])]


def _ratio(amount: float, count: float) -> float:
    """amount / count; NaN when there is nothing to share it between."""
    return float(amount) / float(count) if count else float("nan")


def _years(funding: pd.DataFrame) -> int:
    """How many years the period of these lines covers."""
    if funding.empty or funding["period_start"].isna().all():
        return 0
    return int(funding["period_end"].max().year - funding["period_start"].min().year + 1)


def traces(tables: Tables) -> dict[str, Trace]:
    """Where each derived value comes from, by name: the cells, and how they are put together."""
    actions, awarded, delegated = (_money(tables, table) for table in ("T1", "A1", "A2"))
    call = actions[actions["title"].str.startswith("Appel à projets", na=False)]
    diagnoses = actions[actions["title"].str.startswith("Actions de diagnostic", na=False)]
    detailed = awarded["funding_id"].isin(delegated["part_of"].dropna())
    is_transfer = awarded["record_id"].isin(awarded.loc[detailed, "record_id"])
    transfer, outside = awarded[is_transfer], awarded[~is_transfer]
    places = tables.places[tables.places["insee_code"].notna()]
    named = places[places["record_id"].isin(awarded["record_id"])].drop_duplicates("insee_code")
    named_outside = places[places["record_id"].isin(outside["record_id"])]
    stated = tables.indicators[tables.indicators["record_id"].isin(actions["record_id"])]
    territories = stated[stated["unit"] == "territoires"]
    mobilised = stated[stated["unit"] == "communes"]
    meetings = stated[stated["unit"] == "réunions par an"]
    projects = outside.drop_duplicates("record_id")
    found: dict[str, Trace | None] = {
        "envelope": amount_trace(list(call["funding_id"]), tables),
        "lille_transfer": _per(transfer, transfer.drop_duplicates("year"), "année", tables),
        "engineering_2012_2013": _per(diagnoses, diagnoses.drop_duplicates("year"), "année", tables),
        "mean_grant_outside_lille": _per(outside, outside, "projet", tables),
        "diagnosis_cost": _divided(
            amount_trace(list(diagnoses["funding_id"]), tables), _stated(territories, "low", tables)
        ),
        "emerging_projects": _divided(
            _counted(projects, "projet", tables),
            _counted(transfer.drop_duplicates("year"), "année", tables),
        )
        if transfer["year"].nunique() == _years(outside)
        else None,
        "communes_per_project": _divided(
            _counted(named_outside, "commune nommée", tables), _counted(projects, "projet", tables)
        ),
        "communes_reached": _counted(named, "commune", tables),
        "bilateral_communes": _divided(
            _added(_stated(mobilised, "low", tables), _stated(mobilised, "high", tables)),
            {"op": "setting", "unit": "", "value": 2.0, "words": "milieu des deux bornes"},
        ),
        "technician_meetings": _stated(meetings.nlargest(1, "low"), "low", tables),
        "territories_diagnosed": _stated(territories, "low", tables),
    }
    return {name: trace for name, trace in found.items() if trace}


def _counted(rows: pd.DataFrame, noun: str, tables: Tables) -> Trace | None:
    """The number of rows, one cell each."""
    return count_of(cells_of(rows, tables), noun) if len(rows) else None


def _stated(rows: pd.DataFrame, bound: str, tables: Tables) -> Trace | None:
    """The sum of quantities that the document states in words, each in its cell."""
    traces: list[Trace] = [
        {
            "op": "stated",
            "unit": "count",
            "value": value,
            "words": f"{french.number(value)} en {cell[2]}",
            "cells": [cell],
        }
        for value, cell in zip(rows[bound], cells_of(rows, tables), strict=True)
    ]
    return _added(*traces)


def _added(*traces: Trace | None) -> Trace | None:
    parts = [trace for trace in traces if trace]
    if len(parts) < 2:
        return parts[0] if parts else None
    words = " plus ".join(str(part["words"]) for part in parts)
    return {"op": "sum", "unit": "", "value": sum(p["value"] for p in parts), "words": words, "of": parts}


def _divided(one: Trace | None, other: Trace | None) -> Trace | None:
    if not one or not other or not other["value"]:
        return None
    words = f"{one['words']}, divisé par : {other['words']}"
    return {
        "op": "share",
        "unit": "",
        "value": one["value"] / other["value"],
        "words": words,
        "of": [one, other],
    }


def _per(money: pd.DataFrame, counted: pd.DataFrame, noun: str, tables: Tables) -> Trace | None:
    """A sum divided by a number of lines."""
    if money.empty or counted.empty:
        return None
    return _divided(amount_trace(list(money["funding_id"]), tables), _counted(counted, noun, tables))
