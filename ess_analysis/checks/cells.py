"""Checks of cells: blank, zero or negative amounts, amounts shared between territories, funders as partners."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import LONG_TABLE, each, first_of, groups_of, place_of, small, text_of
from ess_analysis.checks.naming import TEXTS, cells_told, record_name, rows_told
from ess_analysis.checks.recipes import count_of
from ess_analysis.checks.spelling import folded_text
from ess_analysis.checks.view import Found, View


def blank_cells(view: View) -> Iterator[Found]:
    """Cells of amounts and texts left blank, table by table; a blank is not a zero."""
    said = view.tables.findings
    worded = _addresses(said[said["code"] == "READ-NO-AMOUNT"])  # « Moyens humains » is not a blank
    for table_id in view.records["table_id"].dropna().unique():
        records = view.records[view.records["table_id"] == table_id]
        counts: list[tuple[str, pd.DataFrame]] = []
        for lines, key, what in (
            (view.funding, "funder", "{}"),
            (view.delivery, "operator", "réalisation {}"),
        ):
            own = lines[(lines["table_id"] == table_id) & lines["amount_eur"].isna()]
            own = own[~_addresses(own).isin(worded)]
            counts += [(what.format(text_of(who) or "montant"), part) for who, part in groups_of(own, key)]
        for column, label in TEXTS.items():
            blank = records[records[column].fillna("").str.strip() == ""]
            if 0 < len(blank) < len(records):
                counts.append((label, blank))
        if not counts:
            continue
        whole = pd.concat([part for _, part in counts])
        told = french.listing(
            f"{label} {view.cite(str(len(part)), count_of, part)} "
            f"({rows_told(part) if label in TEXTS.values() else cells_told(part)})"
            for label, part in counts
        )
        yield Found(
            f"{view.name(table_id)} : {view.counted(whole, 'cellule')} sans valeur : {told}. "
            "Une cellule vide n'est pas un zéro.",
            *place_of(first_of(counts[0][1])),
            computed=str(len(whole)),
        )


def zero_amounts(view: View) -> Iterator[Found]:
    """Amounts that are exactly zero, sheet by sheet."""
    lines = pd.concat([view.tables.funding, view.tables.delivery])
    yield from _told_by_sheet(
        lines[lines["amount_eur"] == 0],
        lambda rows: (
            f"{view.counted(rows, 'montant égal', 'montants égaux')} à zéro ({cells_told(rows)}) : "
            "un vrai zéro, ou une cellule qui devait rester vide ?"
        ),
    )


def negative_amounts(view: View) -> Iterator[Found]:
    """Amounts below zero, sheet by sheet."""
    lines = pd.concat([view.tables.funding, view.tables.delivery])
    yield from _told_by_sheet(
        lines[lines["amount_eur"] < 0],
        lambda rows: (
            f"{view.counted(rows, 'montant négatif', 'montants négatifs')} ({cells_told(rows)}), pour "
            f"{view.money(rows)}."
        ),
    )


def _told_by_sheet(rows: pd.DataFrame, message: Callable[[pd.DataFrame], str]) -> Iterator[Found]:
    """One finding per sheet for rows that fail the same way, placed at the first."""
    for _, same in groups_of(rows, ["source", "sheet"]):
        yield Found(french.sentence_case(message(same)), *place_of(first_of(same)))


def _addresses(rows: pd.DataFrame) -> pd.Series:
    return rows["source"] + "|" + rows["sheet"].fillna("") + "|" + rows["cell"].fillna("")


def shared_amounts(view: View) -> Iterator[Found]:
    """One amount for several territories: its sharing is a convention."""
    named = view.places.dropna(subset=["record_id", "territory"])
    territories = named.groupby("record_id", sort=False)["territory"].agg(lambda t: list(dict.fromkeys(t)))
    several = territories[territories.map(len) > 1]
    amounts = view.funding[view.funding["record_id"].isin(several.index) & view.funding["amount_eur"].notna()]
    if len(amounts) > LONG_TABLE:
        return
    for record_id, lines in groups_of(amounts, "record_id"):
        first = first_of(lines)
        places = named[named["record_id"] == record_id].drop_duplicates("territory")
        yield Found(
            f"{record_name(first)} : {view.money(lines)} pour {view.counted(places, 'territoire')} "
            f"({french.listing(several[record_id])}) ; leur partage est une convention.",
            *place_of(first),
            computed=str(len(several[record_id])),
        )


def funders_among_partners(view: View) -> Iterator[Found]:
    """A funder of the action named among its partners, under any of its names."""
    records = small(view.records).drop_duplicates("record_id").set_index("record_id")
    partners = {key: f" {folded_text(text)} " for key, text in records["partners"].dropna().items()}
    lines = view.funding[view.funding["record_id"].isin(partners) & view.funding["amount_eur"].notna()]
    for line in each(lines[lines["funder"].notna()]):
        names = {line.funder} | view.aliases.get(line.funder, set())
        named = [name for name in sorted(names) if f" {folded_text(name)} " in partners[line.record_id]]
        if named:
            yield Found(
                f"{record_name(line)} : « {named[0]} » est à la fois financeur et partenaire.",
                *place_of(line),
            )
