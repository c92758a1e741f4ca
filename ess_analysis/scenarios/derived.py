"""The values of the scenarios that the tidy tables give: recomputed each time, never typed.

T1 is the 2011-2014 action table of the note, A1 its annex 1 (projects awarded), A2 its annex 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ess_analysis import french
from ess_analysis.traces import Trace, amount_trace, count_of

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
    """Where each value read from amounts comes from, by name: the cells, and how they are put together."""
    actions, awarded, delegated = (_money(tables, table) for table in ("T1", "A1", "A2"))
    call = actions[actions["title"].str.startswith("Appel à projets", na=False)]
    diagnoses = actions[actions["title"].str.startswith("Actions de diagnostic", na=False)]
    detailed = awarded["funding_id"].isin(delegated["part_of"].dropna())
    is_transfer = awarded["record_id"].isin(awarded.loc[detailed, "record_id"])
    transfer, outside = awarded[is_transfer], awarded[~is_transfer]
    return {
        "envelope": amount_trace(list(call["funding_id"]), tables),
        "lille_transfer": _per(transfer, transfer.drop_duplicates("year"), "année", tables),
        "engineering_2012_2013": _per(diagnoses, diagnoses.drop_duplicates("year"), "année", tables),
        "mean_grant_outside_lille": _per(outside, outside, "projet", tables),
    }


def _per(money: pd.DataFrame, counted: pd.DataFrame, noun: str, tables: Tables) -> Trace:
    """The trace of a sum divided by a number of lines."""
    whole = amount_trace(list(money["funding_id"]), tables)
    number = count_of(amount_trace(list(counted["funding_id"]), tables)["cells"], noun)
    words = f"{french.euros(whole['value'])} divisés par {number['words']}"
    value = whole["value"] / number["value"]
    return {"op": "share", "unit": "EUR", "value": value, "words": words, "of": [whole, number]}
