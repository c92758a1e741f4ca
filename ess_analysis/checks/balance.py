"""Checks of balance: lines, rows, totals and counts against what the document states."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import CENT, each, exact_sum, first_of, groups_of, in_column_of, place_of
from ess_analysis.checks.naming import record_name
from ess_analysis.checks.recipes import difference_of, stated_in, sum_of, total_of
from ess_analysis.checks.view import Found, View, column_name


def column_totals(view: View) -> Iterator[Found]:
    """The total announced for each column, against what its lines make."""
    for total in each(view.columns):
        if total.mixed:
            continue
        what, place, lines = column_name(view, total), place_of(total), view.covered(total)
        amounts = lines[lines["amount_eur"].notna()]
        said = {
            "stated": french.money(total.amount_eur),
            "computed": french.money(total.computed),
            "gap": total.gap,
        }
        read = view.counted(amounts, "montant lu", "montants lus")
        read += f" {'font' if len(amounts) > 1 else 'fait'} {view.money(lines)}"
        if abs(total.gap) < CENT:
            message = f"{what} : {read}, exactement le total annoncé."
            yield Found(message, *place, **said, severity="info")
            continue
        gap = difference_of(stated_in(total), sum_of(lines))
        part = (
            f" ({view.share(gap, stated_in(total), abs(total.gap / total.amount_eur))})"
            if total.amount_eur
            else ""
        )
        verdict = "il manque" if total.gap < 0 else "il y a en trop"
        yield Found(
            f"{what} : {read}, le total annoncé est {view.stated(total)} : "
            f"{verdict} {view.cite(french.money(abs(total.gap)), difference_of, *gap['of'])}{part}.",
            *place,
            **said,
        )


def mixed_totals(view: View) -> Iterator[Found]:
    """Announced totals that cover amounts which cannot be added."""
    for total in each(view.columns[view.columns["mixed"] != ""]):
        yield Found(
            f"{column_name(view, total)} : le total annoncé couvre des montants de nature différente "
            f"({total.mixed}), qui ne s'ajoutent pas.",
            *place_of(total),
            stated=french.money(total.amount_eur),
        )


def totals_against_each_other(view: View) -> Iterator[Found]:
    """The announced totals of funders, or of operators, that do not make the whole announced beside them."""
    for (table_id, _year, _stage), totals in groups_of(view.columns, ["table_id", "year", "stage"]):
        sides = {
            "des financeurs": totals[(totals["measure"] == "funding") & totals["funder"].notna()],
            "de réalisation": totals[(totals["measure"] == "delivery") & totals["operator"].notna()],
        }
        whole = totals[
            (totals["measure"] == "row_total") | ((totals["measure"] == "funding") & totals["funder"].isna())
        ]
        if len(whole) != 1:
            continue
        total = first_of(whole)
        for side, parts in sides.items():
            if len(parts) < 2:
                continue
            computed = exact_sum(parts["amount_eur"])
            gap = round(computed - total.amount_eur, 2)
            if abs(gap) < CENT:
                continue
            addition = " + ".join(
                view.cite(french.number(part.amount_eur), stated_in, part) for part in each(parts)
            )
            whole_of = total_of([stated_in(part) for part in each(parts)])
            sides_of = (whole_of, stated_in(total)) if gap > 0 else (stated_in(total), whole_of)
            off = view.cite(french.money(abs(gap)), difference_of, *sides_of)
            yield Found(
                f"{view.name(table_id)} : les totaux {side} ne font pas le TOTAL : {addition} = "
                f"{view.cite(french.money(computed), total_of, whole_of['of'])}, et non "
                f"{view.stated(total)} (écart de {off}).",
                *place_of(total),
                stated=french.money(total.amount_eur),
                computed=french.money(computed),
                gap=gap,
            )


def rows_balance(view: View) -> Iterator[Found]:
    """Records whose funders, delivery and written total do not agree, with the cell to suspect."""
    for row in each(view.rows[view.rows["spread"] >= CENT]):
        sides = {"financeurs": row.funders, "réalisation": row.delivered, "total écrit": row.total}
        known = {side: amount for side, amount in sides.items() if not math.isnan(amount)}
        lines = _sides(view, row)
        told = ", ".join(f"{side} {view.money(lines[side])}" for side in known)
        apart = _odd_one(known)
        suspect = _suspect_cell(view, row, apart, known)
        if suspect:
            clue = f" ; l'écart est aussi celui de sa colonne : la cellule {suspect} est à vérifier."
        else:
            clue = f" ; c'est « {apart} » qui s'écarte des deux autres." if apart else "."
        source, sheet, cell = place_of(row)
        yield Found(
            f"{record_name(row)} : la ligne n'est pas équilibrée ({told}){clue}",
            source,
            sheet,
            suspect or cell,
            stated=french.money(row.total) if "total écrit" in known else "",
            computed=french.money(row.funders) if "financeurs" in known else "",
            gap=row.spread,
        )


def _sides(view: View, row: Any) -> dict[str, pd.DataFrame]:
    """The amounts of a record by the side that says them."""
    record = view.records[view.records["record_id"] == row.Index].iloc[:1]
    total = record.rename(columns={"row_total_eur": "amount_eur"})
    column = view.totals[(view.totals["table_id"] == row.table_id) & (view.totals["measure"] == "row_total")]
    return {
        "financeurs": view.funding[view.funding["record_id"] == row.Index],
        "réalisation": view.delivery[view.delivery["record_id"] == row.Index],
        "total écrit": in_column_of(first_of(column), total) if len(column) else total,
    }


def _odd_one(sides: dict[str, float]) -> str:
    """The one side of three that two others contradict, or nothing."""
    odd = [
        side
        for side, amount in sides.items()
        if len(sides) == 3
        and sum(abs(amount - other) < CENT for other in sides.values()) == 1
        and len({round(other, 2) for other in sides.values()}) == 2
    ]
    return odd[0] if len(odd) == 1 else ""


def _suspect_cell(view: View, row: Any, apart: str, sides: dict[str, float]) -> str:
    """The one cell of the row whose column misses its total by what the row misses its balance by."""
    if apart not in ("financeurs", "réalisation"):
        return ""
    lines, key = (view.funding, "funder") if apart == "financeurs" else (view.delivery, "operator")
    by = sides[apart] - next(amount for side, amount in sides.items() if side != apart)
    columns = view.columns[
        (view.columns["table_id"] == row.table_id) & ((view.columns["gap"] - by).abs() < CENT)
    ]
    mine = lines[(lines["record_id"] == row.Index) & lines[key].isin(columns[key].dropna())]
    return mine["cell"].iloc[0] if len(mine) == 1 else ""


def stated_counts(view: View) -> Iterator[Found]:
    """The number of records that a document announces, against those read."""
    counted = view.totals[view.totals["count"].notna()]
    if counted.empty:
        return
    sizes = view.records.drop_duplicates("record_id").groupby("table_id").size()
    for total in each(counted):
        if total.table_id not in sizes:
            continue
        read, said = int(sizes[total.table_id]), int(total.count)
        name = view.name(total.table_id)
        lines = view.by_table.get(total.table_id, view.funding.iloc[:0])
        lines = lines[lines["amount_eur"].notna()]
        records = view.records[view.records["table_id"] == total.table_id].drop_duplicates("record_id")
        several = f" ; elles portent {view.counted(lines, 'montant')}" if len(lines) > read else ""
        words = french.counted(said, "fiche annoncée", "fiches annoncées", feminine=True)
        announced = view.cite(words, stated_in, total)
        yield Found(
            f"{name} : {announced}, {view.counted(records, 'lue', feminine=True)}{several}.",
            *place_of(total),
            stated=str(said),
            computed=str(read),
            gap=read - said,
            severity="info" if read == said else "",
        )


def repeated_statements(view: View) -> Iterator[Found]:
    """The same total announced in two places with two values."""
    keys = ["table_id", "measure", "funder", "operator", "year", "stage"]
    for value in ("amount_eur", "count"):
        known = view.totals[view.totals[value].notna()]
        for _, same in groups_of(known, keys):
            if same[value].nunique() > 1:
                told = french.listing(
                    view.cite(
                        french.money(total.amount_eur) if value == "amount_eur" else str(total.count_stated),
                        stated_in,
                        total,
                    )
                    + f" ({total.cell})"
                    for total in each(same.assign(count_stated=same["count"]))
                )
                first = first_of(same)
                yield Found(
                    f"{column_name(view, first)} : le même total est annoncé plusieurs fois : {told}.",
                    *place_of(first),
                )
