"""Checks of lines against those that detail them, of awards against their envelope, of stages side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.checks.lines import CENT, LONG_TABLE, each, exact_sum, first_of, groups_of, place_of
from ess_analysis.checks.naming import record_name
from ess_analysis.checks.recipes import share_of, sum_of, total_of
from ess_analysis.checks.view import Found, View


def detailed_amounts(view: View) -> Iterator[Found]:
    """Lines detailed by other lines: the part detailed, and what does not agree."""
    details = view.funding[view.funding["part_of"].notna()]
    parents = view.funding[view.funding["funding_id"].isin(details["part_of"])].drop_duplicates("funding_id")
    for parent in each(parents[(parents["stage"] != "allocated") & parents["amount_eur"].gt(0)]):
        # an envelope (allocated) is not the sum of its awards: it has its own check
        lines = details[details["part_of"] == parent.funding_id]
        table_id, amount = lines["table_id"].iloc[0], french.money(parent.amount_eur)
        computed = exact_sum(lines["amount_eur"])
        gap = round(computed - parent.amount_eur, 2)
        one = view.funding.loc[[parent.Index]]
        what = f"{record_name(parent)} ({view.money(one)})"
        said: Any = {"stated": amount, "computed": french.money(computed), "gap": gap}
        if abs(gap) < CENT:
            message = f"{what} : détaillé en totalité dans {view.name(table_id)}."
            yield Found(message, *place_of(parent), **said, severity="info")
        else:
            share = view.share(sum_of(lines), sum_of(one), computed / parent.amount_eur)
            over = "dépasse le montant" if gap > 0 else f"n'en justifie que {share}"
            message = f"{what} : le détail donné par {view.name(table_id)} ({view.money(lines)}) {over}."
            yield Found(message, *place_of(parent), **said)
        years = sorted(int(year) for year in lines["year"].dropna().unique())
        if not pd.isna(parent.year) and any(year != parent.year for year in years):
            told = french.listing(years)
            message = f"{what} : montant de {parent.year}, détaillé par des lignes de {told}."
            yield Found(message, *place_of(parent))
        announced = view.columns[
            (view.columns["table_id"] == table_id) & (view.columns["measure"] == "funding")
        ]
        announced = announced[announced["funder"] == lines["funder"].iloc[0]]
        for total in each(announced[(announced["amount_eur"] - parent.amount_eur).abs() >= CENT]):
            yield Found(
                f"{what} : le total annoncé de son détail est {view.stated(total)}.",
                *place_of(total),
                stated=french.money(total.amount_eur),
                computed=amount,
                gap=round(parent.amount_eur - total.amount_eur, 2),
            )


def awards_and_envelope(view: View) -> Iterator[Found]:
    """What was awarded against the envelope, under each reading of the envelope."""
    envelopes = view.funding[(view.funding["stage"] == "allocated") & view.funding["amount_eur"].gt(0)]
    for envelope in each(envelopes):
        awards = view.funding[(view.funding["stage"] == "awarded") & (view.funding["kind"] == envelope.kind)]
        awards = awards[awards["part_of"] == envelope.funding_id]
        if awards.empty:
            continue
        awarded, amount = exact_sum(awards["amount_eur"]), envelope.amount_eur
        dated = awards.groupby("year")["amount_eur"].sum()
        undated = exact_sum(awards.loc[awards["year"].isna(), "amount_eur"])
        largest = (dated.max() if len(dated) else 0) + undated
        one = view.funding.loc[[envelope.Index]]
        spent = _period(awards) or (
            (int(dated.index.min()), int(dated.index.max())) if len(dated) else (0, 0)
        )
        readings = {"l'enveloppe vaut pour toute la période": 1}
        for first, last in dict.fromkeys(filter(None, (spent, _period(one)))):
            readings[f"elle est annuelle ({first}-{last})" if first else "elle est annuelle"] = (
                last - first + 1
            )
        told = french.listing(
            view.cite(
                french.percent(awarded / (amount * times), 1),
                share_of,
                sum_of(awards),
                total_of([sum_of(one)] * times),
            )
            + f" si {words}"
            for words, times in readings.items()
        )
        best = awards[awards["year"].isna() | (awards["year"] == dated.idxmax() if len(dated) else False)]
        least = "dépasse" if largest - amount >= CENT else "ne dépasse pas"
        yield Found(
            f"{record_name(envelope)} : {view.money(awards)} accordés pour une enveloppe de "
            f"{view.money(one)}, soit {told}. Au plus {view.money(best)} une même année, "
            f"ce qui {least} une enveloppe annuelle.",
            *place_of(envelope),
            stated=french.money(amount),
            computed=french.money(awarded),
            gap=round(awarded - amount, 2),
            severity="alert" if awarded - amount >= CENT else "info",
        )


def _period(lines: pd.DataFrame) -> tuple[int, int] | None:
    """The first and last year that the lines cover, when their source says it."""
    start, end = lines["period_start"].min(), lines["period_end"].max()
    return None if pd.isna(start) or pd.isna(end) else (int(start.year), int(end.year))


def stages_side_by_side(view: View) -> Iterator[Found]:
    """Programmes whose money is told at several stages."""
    lines = view.funding.dropna(subset=["amount_eur", "programme", "stage"])
    for programme, own in groups_of(lines, "programme"):
        sums = {stage: exact_sum(same["amount_eur"]) for stage, same in groups_of(own, "stage")}
        if len(sums) > 1:
            told = french.listing(
                f"{view.money(own[own['stage'] == stage])} en {schema.STAGE_LABELS.get(stage, stage)}"
                for stage in sums
            )
            yield Found(
                f"{programme} : {told}. Ces montants sont de nature différente et ne s'ajoutent pas.",
                *place_of(first_of(own)),
            )


def without_total(view: View) -> Iterator[Found]:
    """Tables without a stated total whose sum would need a convention."""
    stated = set(view.totals["table_id"])
    inside = set(view.funding["part_of"].dropna())
    for table_id, lines in view.by_table.items():
        blank, detailed = lines["amount_eur"].isna(), lines["funding_id"].isin(inside)
        if table_id in stated or not (blank.any() or detailed.any()) or len(lines) > LONG_TABLE:
            continue
        whole = exact_sum(lines["amount_eur"])
        instead = view.funding[view.funding["part_of"].isin(lines["funding_id"])]
        kept = pd.concat([lines[~detailed], instead])
        other = (
            f", {view.money(kept)} si le détail remplace les lignes détaillées ailleurs"
            if detailed.any()
            else ""
        )
        silent = view.counted(lines[blank], "ligne sans montant", "lignes sans montant", feminine=True)
        yield Found(
            f"{view.name(table_id)} : aucun total annoncé. Les montants lus font {view.money(lines)}{other}"
            f"{f' ; {silent}' if blank.any() else ''}.",
            *place_of(first_of(lines)),
            computed=french.money(whole),
        )
