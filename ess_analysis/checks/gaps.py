"""Checks of what the gaps of a table say together: a row missing, too many, a usual slip."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.keys import number_breaks
from ess_analysis.checks.lines import CENT, LONG_TABLE, each, first_of, groups_of, place_of, text_of
from ess_analysis.checks.naming import cells_told, side_name
from ess_analysis.checks.recipes import count_of, gap_of
from ess_analysis.checks.view import Found, View, column_name


def gaps_together(view: View) -> Iterator[Found]:
    """When every row balances, what the gaps of a table say together: a row missing, too many, a swap."""
    off = view.rows.loc[view.rows["spread"] >= CENT, "table_id"]
    for table_id, totals in groups_of(view.columns[view.columns["mixed"] == ""], "table_id"):
        rows = view.rows[view.rows["table_id"] == table_id]
        open_gaps = totals[totals["gap"].abs() >= CENT]
        if len(open_gaps) < 2 or not len(rows) or (off == table_id).any():
            continue
        place = place_of(first_of(open_gaps))
        name, told = view.name(table_id), _gap_list(view, open_gaps)
        balanced = view.cite(str(len(rows)), count_of, rows)
        if (open_gaps["gap"] < 0).all() and len(open_gaps) == len(totals):
            yield Found(
                f"{name} : les {balanced} lignes sont équilibrées et les "
                f"{view.cite(str(len(open_gaps)), count_of, open_gaps)} écarts concordent "
                f"({told}) : une ou plusieurs lignes manquent dans le document. {_numbering(view, table_id)}",
                *place,
                gap=float(open_gaps["gap"].min()),
            )
        elif (open_gaps["gap"] > 0).all():
            twins = _rows_equal_to(view, table_id, totals)
            clue = f" La ligne {cells_told(twins)} a exactement ces montants." if len(twins) else ""
            yield Found(
                f"{name} : les {balanced} lignes sont équilibrées et dépassent les totaux ({told}) : "
                f"une ligne est en trop ou comptée deux fois.{clue}",
                *(place_of(first_of(twins)) if len(twins) == 1 else place),
                gap=float(open_gaps["gap"].max()),
            )
        elif len(open_gaps) == 2 and abs(open_gaps["gap"].sum()) < CENT:
            swapped = _swapped(view, open_gaps)
            clue = (
                f" La ligne {cells_told(swapped)} est la seule où l'échange les rétablit."
                if len(swapped)
                else ""
            )
            yield Found(
                f"{name} : les lignes sont équilibrées et les deux écarts se compensent ({told}) : "
                f"des montants ont été échangés entre ces colonnes.{clue}",
                *(place_of(first_of(swapped)) if len(swapped) else place),
                gap=float(open_gaps["gap"].max()),
            )


def _gap_list(view: View, totals: pd.DataFrame) -> str:
    return ", ".join(
        f"{side_name(total)} "
        + view.cite(french.signed(french.money(total.gap)), gap_of, view.covered(total), total)
        for total in each(totals)
    )


def _rows_equal_to(view: View, table_id: str, totals: pd.DataFrame) -> pd.DataFrame:
    """The records of the table whose amounts are exactly the gaps, column by column."""
    wanted = {(total.measure, total.funder, total.operator): total.gap for total in each(totals)}
    lines = _amounts_by_column(view, table_id)
    if lines.empty:
        return view.records.iloc[:0]
    same = [
        all(
            abs(amounts.get(key, 0) - gap) < CENT
            for key, gap in _plain_keys(wanted).items()
            if key in lines.columns or gap
        )
        for amounts in (row.dropna().to_dict() for _, row in lines.iterrows())
    ]
    return view.records[view.records["record_id"].isin(lines.index[same])].drop_duplicates("record_id")


def _swapped(view: View, gaps: pd.DataFrame) -> pd.DataFrame:
    """The one record whose amounts, exchanged between the two columns, would close both gaps."""
    lines = _amounts_by_column(view, gaps["table_id"].iloc[0]).fillna(0)
    (first, one), (second, _other) = _plain_keys(
        {(total.measure, total.funder, total.operator): total.gap for total in each(gaps)}
    ).items()
    if first not in lines or second not in lines:
        return view.records.iloc[:0]
    able = lines.index[(lines[first] - lines[second] - one).abs() < CENT]
    return view.records[view.records["record_id"].isin(able if len(able) == 1 else [])]


def _amounts_by_column(view: View, table_id: str) -> pd.DataFrame:
    """The amounts of a table, one line per record, one column per (measure, who)."""
    parts = []
    for measure, lines, key in (("funding", view.funding, "funder"), ("delivery", view.delivery, "operator")):
        own = lines[lines["table_id"] == table_id]
        parts.append(own.assign(column=[f"{measure}:{who}" for who in own[key].fillna("")]))
    rows = pd.concat([part[["record_id", "column", "amount_eur"]] for part in parts])
    wide = rows.pivot_table(index="record_id", columns="column", values="amount_eur", aggfunc="sum")
    totals = view.records[view.records["table_id"] == table_id].drop_duplicates("record_id")
    return wide.join(totals.set_index("record_id")["row_total_eur"].rename("row_total:"))


def _plain_keys(gaps: dict[tuple, float]) -> dict[str, float]:
    return {
        f"{measure}:{text_of(operator if measure == 'delivery' else funder)}": gap
        for (measure, funder, operator), gap in gaps.items()
    }


def _numbering(view: View, table_id: str) -> str:
    """What the numbers of the actions say about missing rows, in one sentence."""
    records = view.records[view.records["table_id"] == table_id]
    if number_breaks(records):
        return "La numérotation est rompue (voir ce constat)."
    if pd.to_numeric(records["number"], errors="coerce").notna().all() and len(records):
        return "La numérotation n'est pas rompue : elles ne peuvent être qu'en fin d'axe ou sans numéro."
    return "Demandez le tableau source."


def leads(view: View) -> Iterator[Found]:
    """For a column with a gap and no other redundancy: the single amount that a usual slip explains."""
    balanced = set(view.rows["table_id"])
    alone = view.columns[(view.columns["gap"].abs() >= CENT) & ~view.columns["table_id"].isin(balanced)]
    for total in each(alone):
        lines = view.covered(total).dropna(subset="amount_eur")
        if len(lines) > LONG_TABLE:
            continue
        told = [(line, slip) for line in each(lines) if (slip := _slip(line.amount_eur, total.gap))]
        if len(told) != 1:
            continue
        line, slip = told[0]
        yield Found(
            f"{column_name(view, total)} : l'écart de "
            f"{view.cite(french.money(abs(total.gap)), gap_of, view.covered(total), total)} serait celui "
            f"d'un montant {slip} ({line.cell} : {view.money(lines.loc[[line.Index]])}). À vérifier.",
            *place_of(line),
            stated=french.money(line.amount_eur),
            gap=total.gap,
        )


def _slip(amount: float, gap: float) -> str:
    """The usual slip that makes this amount miss its true value by `gap`, or nothing."""
    true = round(amount - gap, 2)
    if abs(true) < CENT:
        return "en trop, ou compté deux fois"
    if abs(true + amount) < CENT:
        return "au signe inversé"
    if any(abs(true - amount * 10.0**power) < CENT for power in (-3, -2, -1, 1, 2, 3)):
        return "à la virgule déplacée"
    before, after = f"{true:.2f}", f"{amount:.2f}"
    moved = [i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other]
    if len(before) == len(after) and len(moved) == 2 and moved[1] == moved[0] + 1:
        swapped = before[moved[0]] == after[moved[1]] and before[moved[1]] == after[moved[0]]
        return "aux chiffres intervertis" if swapped else ""
    return ""
