"""The tidy tables of a data folder: what they hold, how several are joined, what a report may be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.sources import SourceSheet


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a data folder, with what was said while reading them."""

    funding: pd.DataFrame
    delivery: pd.DataFrame
    places: pd.DataFrame
    indicators: pd.DataFrame
    stated_totals: pd.DataFrame
    records: pd.DataFrame
    findings: pd.DataFrame
    sources: tuple[SourceSheet, ...] = ()
    readings: dict[str, Any] | None = None
    remarks: pd.DataFrame | None = None
    data: Path = Path("data/raw")


def joined(parts: list[Tables]) -> Tables:
    """The tables of several, one after the other."""

    def whole(name: str) -> pd.DataFrame:
        pieces = [piece for part in parts if len(piece := getattr(part, name))]
        return pd.concat(pieces, ignore_index=True) if pieces else schema.empty(name)

    return Tables(
        funding=whole("funding"),
        delivery=whole("delivery"),
        places=whole("places"),
        indicators=whole("indicators"),
        stated_totals=whole("stated_totals"),
        records=whole("records"),
        findings=whole("findings"),
    )


def domains(tables: Tables) -> dict[str, list[Any]]:
    """The years, territories and funders of the data, as a report may be asked for each of them.

    Years are those written and those of the periods covered, dated amounts or not.
    """
    funding = tables.funding
    years = set(funding["year"].dropna().astype("int64"))
    periods = funding[["period_start", "period_end"]].dropna().drop_duplicates()
    for start, end in periods.itertuples(index=False):
        years |= set(range(start.year, end.year + 1))
    return {
        "years": [int(year) for year in sorted(years)],
        "territories": sorted(tables.places["territory"].dropna().unique(), key=french.strip_accents),
        "funders": sorted(funding["funder"].dropna().unique(), key=french.strip_accents),
    }
