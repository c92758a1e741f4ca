"""Checks of keys: identifiers, whole lines and numbers that are repeated, or do not follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import (
    CENT,
    LONG_TABLE,
    each,
    exact_sum,
    first_of,
    groups_of,
    place_of,
    text_of,
)
from ess_analysis.checks.naming import SHOWN, cells_told, record_name
from ess_analysis.checks.recipes import count_of
from ess_analysis.checks.view import Found, View


def repeated_keys(view: View) -> Iterator[Found]:
    """Identifiers read more than once."""
    for what, frame, key in (
        ("Le montant", view.tables.funding, "funding_id"),
        ("La fiche", view.records, "record_id"),
        ("Le total", view.totals, "total_id"),
    ):
        again = frame[frame[key].notna() & frame.duplicated(key, keep=False)]
        for _, rows in groups_of(again, ["source", "sheet"]):
            names = french.listing(rows[key].unique()[:SHOWN])
            yield Found(
                f"{what} {names} est lu plusieurs fois : {cells_told(rows)}.", *place_of(first_of(rows))
            )


_DESCRIBED = ["source", "sheet", "funder", "recipient", "operator", "title", "programme", "axis"]
_DESCRIBED += ["year", "stage", "kind", "period_start", "period_end", "amount_eur"]


def repeated_lines(view: View) -> Iterator[Found]:
    """Amounts that nothing tells apart: the same line written twice."""
    lines = view.tables.funding
    lines = lines[lines["amount_eur"].notna() & lines["title"].notna()]
    lines = lines[lines.duplicated(["amount_eur", "title"], keep=False)]
    again = lines[lines.duplicated(_DESCRIBED, keep="first")]
    said = view.tables.findings
    read = said[said["code"] == "READ-DUPLICATES"].set_index(["source", "sheet"])["gap"].to_dict()
    for place, rows in groups_of(again, ["source", "sheet"]):
        worth = read.get(place)
        if worth is not None and exact_sum(rows["amount_eur"]) < worth + CENT:
            continue  # the reader told these
        alike = " par le bénéficiaire, l'intitulé, l'année et le montant" if worth is not None else ""
        more = ", y compris celles répétées cellule pour cellule" if worth is not None else ""
        yield Found(
            f"{view.counted(rows, 'ligne identique', 'lignes identiques', feminine=True)} à une ligne "
            f"précédente{alike} ({cells_told(rows)}), pour {view.money(rows)}{more}.",
            *place_of(first_of(rows)),
        )


def number_order(view: View) -> Iterator[Found]:
    """Records whose number does not follow the one above, within their axis."""
    for table_id, records in groups_of(view.records, "table_id"):
        if len(records) <= LONG_TABLE:
            for record, expected in number_breaks(records):
                axis = f" de l'axe « {record.axis} »" if text_of(record.axis) else ""
                yield Found(
                    f"{view.name(table_id)} : {record_name(record)} porte le n° {record.number}{axis}, "
                    f"le n° {expected} était attendu : une ligne manque, est en trop ou a changé d'axe.",
                    *place_of(record),
                    stated=text_of(record.number),
                    computed=str(expected),
                )


def number_breaks(records: pd.DataFrame) -> list[tuple[Any, int]]:
    """The records whose number does not follow the one above, within their axis, with the number expected."""
    numbers = pd.to_numeric(records["number"], errors="coerce")
    if numbers.isna().any():
        return []
    axis = records["axis"].fillna("")
    start = numbers.iloc[0] if len(numbers) else 0
    expected = (numbers.groupby(axis).shift() + 1).fillna(1 if axis.nunique() > 1 or start == 1 else start)
    wrong = records[numbers != expected]
    return list(zip(each(wrong), expected[wrong.index].astype(int), strict=True))


def restarting_numbers(view: View) -> Iterator[Found]:
    """Tables whose numbers start again at each axis: the key is the axis and the number."""
    for table_id, records in groups_of(view.records, "table_id"):
        numbers = records["number"].dropna()
        if len(numbers) and numbers.duplicated().any() and not records.duplicated(["axis", "number"]).any():
            counts = [view.cite(str(len(same)), count_of, same) for _, same in groups_of(records, "axis")]
            yield Found(
                f"{view.name(table_id)} : les numéros repartent du n° {numbers.iloc[0]} à chaque axe "
                f"({' + '.join(counts)} = {view.cite(str(len(records)), count_of, records)}) ; "
                "la clé est l'axe et le numéro.",
                *place_of(first_of(records)),
            )
