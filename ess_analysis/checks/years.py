"""Checks of years: amounts without one, out of their period, or that their years do not tell apart."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import exact_sum, first_of, groups_of, place_of
from ess_analysis.checks.naming import cells_told, record_name
from ess_analysis.checks.recipes import count_of, sum_of
from ess_analysis.checks.view import Found, View


def undated_amounts(view: View) -> Iterator[Found]:
    """Amounts without a year, and their share of each table."""
    for table_id, lines in view.by_table.items():
        known = lines[lines["amount_eur"].notna()]
        undated = known[known["year"].isna()]
        if undated.empty:
            continue
        amount, whole = exact_sum(undated["amount_eur"]), exact_sum(known["amount_eur"])
        part = view.share(sum_of(undated), sum_of(known), amount / whole) if whole else ""
        share = f" ({part} de {view.money(known)})" if whole else ""
        yield Found(
            f"{view.name(table_id)} : {view.counted(undated, 'montant')} sans année sur "
            f"{view.cite(french.number(len(known)), count_of, known)}, "
            f"soit {view.money(undated)}{share} : {cells_told(undated)}.",
            *place_of(first_of(undated)),
            computed=french.money(amount),
        )


def years_out_of_period(view: View) -> Iterator[Found]:
    """Amounts dated out of the period that their table covers."""
    lines = view.funding[view.funding["amount_eur"].notna() & view.funding["period_start"].notna()]
    first, last = lines["period_start"].dt.year, lines["period_end"].dt.year
    out = lines[(lines["year"] < first).fillna(False) | (lines["year"] > last).fillna(False)]
    for (source, sheet, start, end), same in groups_of(
        out, ["source", "sheet", "period_start", "period_end"]
    ):
        years = french.listing(sorted(same["year"].unique()))
        yield Found(
            f"{view.counted(same, 'montant')} hors de la période {start.year}-{end.year} "
            f"({years} : {cells_told(same)}).",
            source,
            sheet,
            same["cell"].iloc[0],
            stated=years,
        )


def silent_years(view: View) -> Iterator[Found]:
    """Years of the period that a file declares, without any dated amount in that file."""
    for source, lines in groups_of(view.funding[view.funding["period_start"].notna()], "source"):
        period = range(lines["period_start"].min().year, lines["period_end"].max().year + 1)
        dated = view.funding[(view.funding["source"] == source) & view.funding["amount_eur"].notna()]
        silent = [year for year in period if year not in set(dated["year"].dropna())]
        if silent:
            yield Found(
                f"Aucun montant daté de {french.listing(silent, 'ou')} (période {period[0]}-{period[-1]}).",
                source,
                computed=french.listing(silent),
            )


def same_year_twice(view: View) -> Iterator[Found]:
    """Several amounts in one cell that their years do not tell apart: a part of another, or a wrong year."""
    lines = view.funding[view.funding["record_id"].notna() & view.funding["record_id"].duplicated(keep=False)]
    lines = lines[lines["amount_eur"].notna()]
    shared = lines[lines.duplicated(["source", "sheet", "cell"], keep=False)]
    for _, same in groups_of(shared, ["source", "sheet", "cell"]):
        if same["year"].isna().any() or same["year"].duplicated().any():
            dates = [f" ({year})" if not pd.isna(year) else "" for year in same["year"]]
            amounts = [same.loc[[index]] for index in same.index]
            told = french.listing(view.money(one) + date for one, date in zip(amounts, dates, strict=True))
            first = first_of(same)
            yield Found(
                f"{record_name(first)} : {view.counted(same, 'montant')} dans une cellule ({told}), que leurs "
                "années ne distinguent pas : l'un fait-il partie de l'autre ?",
                *place_of(first),
                stated=french.listing(
                    french.money(amount) + date
                    for amount, date in zip(same["amount_eur"], dates, strict=True)
                ),
            )
