"""What does not hold in the tables: each check is a code, a severity, a sentence and a function.

A check points, it never repairs. Its function takes a `View` of the tables and gives what fails, each with
its cell; rows that fail in great number are told once, with their count and their first cells. A number
told in a message is cited: `checked` gives, with the findings, what each of their numbers was computed from.
Severities: *blocking*, something published would be wrong; *alert*, a row or a total is doubtful; *info*, a
fact that the reader of the figures must know (a total found exact, an amount shared between territories).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ess_analysis import ahead, french, schema

if TYPE_CHECKING:
    from ess_analysis.load import Tables

CENT = 0.005  # two amounts closer than this are the same
SHOWN = 5  # cells or labels named in one message
LABEL = 50  # a longer text is a sentence, not the name of a column
LONG_TABLE = 20_000  # beyond, texts are no longer compared word by word


_MARK = "\ue000"  # a private character around the cited numbers of a message being made
_MARKED = re.compile(f"{_MARK}(\\d+){_MARK}([^{_MARK}]*){_MARK}")


class Found(NamedTuple):
    """One thing that a check found; `severity` only where it is not the check's own."""

    message: str
    source: str = ""
    sheet: str = ""
    cell: str = ""
    stated: str = ""
    computed: str = ""
    gap: float = math.nan
    severity: str = ""


@dataclass(frozen=True)
class Check:
    """A check: its code, its severity, what it verifies (in French), and what it finds."""

    code: str
    severity: str
    sentence: str
    find: Callable[[View], Iterable[Found]]


Recipe = Mapping[str, Any]  # how a number was computed; `traces.cited` makes a trace of it


@dataclass(frozen=True)
class Cited:
    """A number of a message: its text, and what says how it was computed, asked only when it is shown."""

    text: str
    recipe: Callable[[], Recipe]


@dataclass(frozen=True)
class Checked:
    """The findings, and the numbers of their messages: message → texts and cited numbers in turn."""

    findings: pd.DataFrame
    parts: Mapping[str, tuple[str | Cited, ...]] = field(default_factory=dict)


def check(tables: Tables) -> pd.DataFrame:
    """The findings of reading and of every check, as the *findings* table: blocking first, then by place."""
    return checked(tables).findings


def checked(tables: Tables) -> Checked:
    """The findings (see `check`), with what each number of their messages was computed from."""
    if (known := ahead.checked_of(tables)) is not None:
        return known
    view = View(tables)
    rows, parts = [], {}
    for one in CHECKS:
        for found in one.find(view):
            told = view.parts_of(found.message)
            message = "".join(part if isinstance(part, str) else part.text for part in told)
            parts[message] = told
            rows.append((one.code, found.severity or one.severity, message, *found[1:-1]))
    computed = schema.conform(pd.DataFrame(rows, columns=schema.FINDINGS.names), "findings")
    read = schema.conform(tables.findings, "findings")
    findings = (
        pd.concat([read, computed] if len(read) else [computed], ignore_index=True)
        .drop_duplicates()
        .assign(rank=lambda t: t["severity"].map(schema.SEVERITIES.index).astype("int64"))
        .sort_values(["rank", "source", "sheet", "cell"], key=_in_reading_order, kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )
    return Checked(findings, parts)


def _in_reading_order(column: pd.Series) -> pd.Series:
    """Cells sort by line then column: G9 before A10."""
    if column.name != "cell":
        return column
    parts = column.fillna("").str.extract(r"^([A-Z]*)(\d*)")
    return parts[1].str.rjust(8).str.cat(parts[0].str.rjust(4))


class View:
    """The tables as the checks look at them: each amount knows the table it was written in."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.records = tables.records
        self.totals = tables.stated_totals
        self.places = tables.places
        self._cited: list[Cited] = []

    def cite(self, text: str, recipe: Callable[..., Recipe], *of: Any) -> str:
        """The text of a number, marked in the message so that it keeps how it was computed."""
        self._cited.append(Cited(text, partial(recipe, *of)))
        return f"{_MARK}{len(self._cited) - 1}{_MARK}{text}{_MARK}"

    def parts_of(self, message: str) -> tuple[str | Cited, ...]:
        """The message as texts and cited numbers in turn, the marks gone."""
        parts: list[str | Cited] = []
        at = 0
        for mark in _MARKED.finditer(message):
            number = int(mark[1])
            if number < len(self._cited) and self._cited[number].text == mark[2]:  # else it is only text
                parts += [message[at : mark.start()], self._cited[number]]
                at = mark.end()
        return tuple(part for part in (*parts, message[at:]) if part)

    def money(self, lines: pd.DataFrame) -> str:
        """« 59 827 € »: the sum of the lines, cited."""
        return self.cite(french.money(_exact(lines["amount_eur"])), _sum_of, lines)

    def stated(self, total: Any) -> str:
        """« 73 000 € »: a stated total, cited."""
        return self.cite(french.money(total.amount_eur), _stated_in, total)

    def counted(self, rows: pd.DataFrame, noun: str, plural: str | None = None, **how: bool) -> str:
        """« 3 montants »: the number of rows, cited; « aucun montant » cites nothing."""
        words = french.counted(len(rows), noun, plural, **how)
        return self.cite(words, _count_of, rows) if len(rows) else words

    def share(self, part: Recipe, whole: Recipe, value: float) -> str:
        """« 18,0 % »: a part in a whole, cited."""
        return self.cite(french.percent(value, 1), _share_of, part, whole)

    @cached_property
    def funding(self) -> pd.DataFrame:
        """The funding lines with `table_id`."""
        return self._with_table(self.tables.funding)

    @cached_property
    def delivery(self) -> pd.DataFrame:
        """The delivery lines with `table_id`."""
        return self._with_table(self.tables.delivery)

    def _with_table(self, lines: pd.DataFrame) -> pd.DataFrame:
        """The lines with the table of their record; without record, their sheet stands for the table."""
        known = self.records["table_id"].unique()
        if len(known) == 1 and lines["record_id"].notna().all():
            return lines.assign(table_id=known[0])
        own = lines["source"].str.cat(lines["sheet"].fillna(""), sep="#")
        tables = self.records.drop_duplicates("record_id").set_index("record_id")["table_id"]
        return lines.assign(table_id=lines["record_id"].map(tables).fillna(own) if len(tables) else own)

    @cached_property
    def proofs(self) -> list[tuple[str, str, str, str]]:
        """The lines of the texts kept as proof: file, no sheet, « A12 » for line 12, words."""
        texts = [sheet for sheet in self.tables.sources if sheet.path.suffix == ".txt"]
        return [
            (_inside(sheet.path, self.tables.data), "", f"A{number}", line)
            for sheet in texts
            for number, line in enumerate(sheet.path.read_text(encoding="utf-8").splitlines(), 1)
        ]

    @cached_property
    def aliases(self) -> dict[str, set[str]]:
        """The other names of each funder, as the source sheets give them."""
        found: dict[str, set[str]] = {}
        for sheet in self.tables.sources:
            for written, kept in sheet.names.get("funder", {}).items():
                found.setdefault(kept, set()).add(written)
        return found

    @cached_property
    def by_table(self) -> dict[str, pd.DataFrame]:
        """The funding lines of each table."""
        return dict(_groups(self.funding, "table_id"))

    @cached_property
    def names(self) -> dict[str, str]:
        """What a reader calls each table: its sheet, or its file."""
        places = pd.concat([frame[["table_id", "source", "sheet"]] for frame in (self.records, self.totals)])
        first = places.dropna(subset="table_id").drop_duplicates("table_id")
        shared = first.duplicated(["source", "sheet"], keep=False)
        return {
            row.table_id: _sheet_name(row) + (f" ({row.table_id})" if twice else "")
            for row, twice in zip(_each(first), shared, strict=True)
        }

    def name(self, table_id: str) -> str:
        """What a reader calls the table."""
        return self.names.get(table_id) or table_id.rstrip("#").replace("#", ", ")

    def covered(self, total: Any) -> pd.DataFrame:
        """The lines that a stated total covers: `amount_eur`, their record, their cell, stage and kind."""
        if total.measure == "delivery":
            lines = self.delivery[self.delivery["table_id"] == total.table_id]
            return _only(lines, operator=total.operator)
        if total.measure == "row_total":
            lines = self.records[self.records["table_id"] == total.table_id]
            lines = lines.rename(columns={"row_total_eur": "amount_eur"})
            if lines["amount_eur"].notna().any():
                return _in_column_of(total, lines)
        lines = self.by_table.get(total.table_id, self.funding.iloc[:0])
        return _only(lines, funder=total.funder, operator=total.operator, year=total.year, stage=total.stage)

    @cached_property
    def columns(self) -> pd.DataFrame:
        """The stated amounts with their recomputed sum: `computed`, `gap`, `mixed`."""
        totals = self.totals[self.totals["amount_eur"].notna()]
        lines = [self.covered(total) for total in _each(totals)]
        sums = pd.Series([_exact(one["amount_eur"]) for one in lines], totals.index, dtype="float64")
        return totals.assign(
            computed=sums,
            gap=(sums - totals["amount_eur"]).round(2),
            mixed=pd.Series([_mixture(one) for one in lines], totals.index, dtype="str"),
        )

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One line per record that says its amounts at least twice: `funders`, `delivered`, `total`, gaps.

        A measure that the record's table has, and the record has not, counts as zero: the balance tells.
        Records whose amounts are of several stages or kinds are left out: they do not add up.
        """
        if self.delivery.empty and self.records["row_total_eur"].isna().all():
            return self.records.iloc[:0].assign(funders=0.0, delivered=0.0, total=0.0, spread=0.0)
        records = self.records.drop_duplicates("record_id").set_index("record_id")
        delivered = self.delivery.groupby("record_id")["amount_eur"].sum(min_count=1)
        named = pd.Index(delivered.index).union(records.index[records["row_total_eur"].notna()])
        funding = self.funding[self.funding["record_id"].isin(named)]
        mixed = funding.groupby("record_id")[["stage", "kind"]].nunique().gt(1).any(axis=1)
        rows = records.assign(
            funders=funding.groupby("record_id")["amount_eur"].sum(min_count=1),
            delivered=delivered,
            total=records["row_total_eur"],
        ).drop(index=mixed.index[mixed], errors="ignore")
        measures = ["funders", "delivered", "total"]
        has = rows.groupby("table_id")[measures].transform("count").gt(0)
        rows = rows[(has.sum(axis=1) >= 2) & rows[measures].notna().any(axis=1)]
        rows[measures] = rows[measures].fillna(0).where(has.loc[rows.index])
        return rows.assign(spread=(rows[measures].max(axis=1) - rows[measures].min(axis=1)).round(2))


# --- Amounts against each other -----------------------------------------------------------------


def _column_totals(view: View) -> Iterator[Found]:
    for total in _each(view.columns):
        if total.mixed:
            continue
        what, place, lines = _column(view, total), _place(total), view.covered(total)
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
        gap = _difference_of(_stated_in(total), _sum_of(lines))
        part = (
            f" ({view.share(gap, _stated_in(total), abs(total.gap / total.amount_eur))})"
            if total.amount_eur
            else ""
        )
        verdict = "il manque" if total.gap < 0 else "il y a en trop"
        yield Found(
            f"{what} : {read}, le total annoncé est {view.stated(total)} : "
            f"{verdict} {view.cite(french.money(abs(total.gap)), _difference_of, *gap['of'])}{part}.",
            *place,
            **said,
        )


def _mixed_totals(view: View) -> Iterator[Found]:
    for total in _each(view.columns[view.columns["mixed"] != ""]):
        yield Found(
            f"{_column(view, total)} : le total annoncé couvre des montants de nature différente "
            f"({total.mixed}), qui ne s'ajoutent pas.",
            *_place(total),
            stated=french.money(total.amount_eur),
        )


def _totals_against_each_other(view: View) -> Iterator[Found]:
    for (table_id, _year, _stage), totals in _groups(view.columns, ["table_id", "year", "stage"]):
        sides = {
            "des financeurs": totals[(totals["measure"] == "funding") & totals["funder"].notna()],
            "de réalisation": totals[(totals["measure"] == "delivery") & totals["operator"].notna()],
        }
        whole = totals[
            (totals["measure"] == "row_total") | ((totals["measure"] == "funding") & totals["funder"].isna())
        ]
        if len(whole) != 1:
            continue
        total = _first(whole)
        for side, parts in sides.items():
            if len(parts) < 2:
                continue
            computed = _exact(parts["amount_eur"])
            gap = round(computed - total.amount_eur, 2)
            if abs(gap) < CENT:
                continue
            addition = " + ".join(
                view.cite(french.number(part.amount_eur), _stated_in, part) for part in _each(parts)
            )
            whole_of = _total_of([_stated_in(part) for part in _each(parts)])
            sides_of = (whole_of, _stated_in(total)) if gap > 0 else (_stated_in(total), whole_of)
            off = view.cite(french.money(abs(gap)), _difference_of, *sides_of)
            yield Found(
                f"{view.name(table_id)} : les totaux {side} ne font pas le TOTAL : {addition} = "
                f"{view.cite(french.money(computed), _total_of, whole_of['of'])}, et non "
                f"{view.stated(total)} (écart de {off}).",
                *_place(total),
                stated=french.money(total.amount_eur),
                computed=french.money(computed),
                gap=gap,
            )


def _rows_balance(view: View) -> Iterator[Found]:
    for row in _each(view.rows[view.rows["spread"] >= CENT]):
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
        source, sheet, cell = _place(row)
        yield Found(
            f"{_record(row)} : la ligne n'est pas équilibrée ({told}){clue}",
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
        "total écrit": _in_column_of(_first(column), total) if len(column) else total,
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


def _gaps_together(view: View) -> Iterator[Found]:
    """When every row balances, what the gaps of a table say together: a row missing, too many, a swap."""
    off = view.rows.loc[view.rows["spread"] >= CENT, "table_id"]
    for table_id, totals in _groups(view.columns[view.columns["mixed"] == ""], "table_id"):
        rows = view.rows[view.rows["table_id"] == table_id]
        open_gaps = totals[totals["gap"].abs() >= CENT]
        if len(open_gaps) < 2 or not len(rows) or (off == table_id).any():
            continue
        place = _place(_first(open_gaps))
        name, told = view.name(table_id), _gap_list(view, open_gaps)
        balanced = view.cite(str(len(rows)), _count_of, rows)
        if (open_gaps["gap"] < 0).all() and len(open_gaps) == len(totals):
            yield Found(
                f"{name} : les {balanced} lignes sont équilibrées et les "
                f"{view.cite(str(len(open_gaps)), _count_of, open_gaps)} écarts concordent "
                f"({told}) : une ou plusieurs lignes manquent dans le document. {_numbering(view, table_id)}",
                *place,
                gap=float(open_gaps["gap"].min()),
            )
        elif (open_gaps["gap"] > 0).all():
            twins = _rows_equal_to(view, table_id, totals)
            clue = f" La ligne {_cells(twins)} a exactement ces montants." if len(twins) else ""
            yield Found(
                f"{name} : les {balanced} lignes sont équilibrées et dépassent les totaux ({told}) : "
                f"une ligne est en trop ou comptée deux fois.{clue}",
                *(_place(_first(twins)) if len(twins) == 1 else place),
                gap=float(open_gaps["gap"].max()),
            )
        elif len(open_gaps) == 2 and abs(open_gaps["gap"].sum()) < CENT:
            swapped = _swapped(view, open_gaps)
            clue = (
                f" La ligne {_cells(swapped)} est la seule où l'échange les rétablit." if len(swapped) else ""
            )
            yield Found(
                f"{name} : les lignes sont équilibrées et les deux écarts se compensent ({told}) : "
                f"des montants ont été échangés entre ces colonnes.{clue}",
                *(_place(_first(swapped)) if len(swapped) else place),
                gap=float(open_gaps["gap"].max()),
            )


def _gap_list(view: View, totals: pd.DataFrame) -> str:
    return ", ".join(
        f"{_side(total)} "
        + view.cite(french.signed(french.money(total.gap)), _gap_of, view.covered(total), total)
        for total in _each(totals)
    )


def _rows_equal_to(view: View, table_id: str, totals: pd.DataFrame) -> pd.DataFrame:
    """The records of the table whose amounts are exactly the gaps, column by column."""
    wanted = {(total.measure, total.funder, total.operator): total.gap for total in _each(totals)}
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
        {(total.measure, total.funder, total.operator): total.gap for total in _each(gaps)}
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
        f"{measure}:{_text(operator if measure == 'delivery' else funder)}": gap
        for (measure, funder, operator), gap in gaps.items()
    }


def _numbering(view: View, table_id: str) -> str:
    """What the numbers of the actions say about missing rows, in one sentence."""
    records = view.records[view.records["table_id"] == table_id]
    if _number_breaks(records):
        return "La numérotation est rompue (voir ce constat)."
    if pd.to_numeric(records["number"], errors="coerce").notna().all() and len(records):
        return "La numérotation n'est pas rompue : elles ne peuvent être qu'en fin d'axe ou sans numéro."
    return "Demandez le tableau source."


def _leads(view: View) -> Iterator[Found]:
    """For a column with a gap and no other redundancy: the single amount that a usual slip explains."""
    balanced = set(view.rows["table_id"])
    alone = view.columns[(view.columns["gap"].abs() >= CENT) & ~view.columns["table_id"].isin(balanced)]
    for total in _each(alone):
        lines = view.covered(total).dropna(subset="amount_eur")
        if len(lines) > LONG_TABLE:
            continue
        told = [(line, slip) for line in _each(lines) if (slip := _slip(line.amount_eur, total.gap))]
        if len(told) != 1:
            continue
        line, slip = told[0]
        yield Found(
            f"{_column(view, total)} : l'écart de "
            f"{view.cite(french.money(abs(total.gap)), _gap_of, view.covered(total), total)} serait celui "
            f"d'un montant {slip} ({line.cell} : {view.money(lines.loc[[line.Index]])}). À vérifier.",
            *_place(line),
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


def _stated_counts(view: View) -> Iterator[Found]:
    counted = view.totals[view.totals["count"].notna()]
    if counted.empty:
        return
    sizes = view.records.drop_duplicates("record_id").groupby("table_id").size()
    for total in _each(counted):
        if total.table_id not in sizes:
            continue
        read, said = int(sizes[total.table_id]), int(total.count)
        name = view.name(total.table_id)
        lines = view.by_table.get(total.table_id, view.funding.iloc[:0])
        lines = lines[lines["amount_eur"].notna()]
        records = view.records[view.records["table_id"] == total.table_id].drop_duplicates("record_id")
        several = f" ; elles portent {view.counted(lines, 'montant')}" if len(lines) > read else ""
        words = french.counted(said, "fiche annoncée", "fiches annoncées", feminine=True)
        announced = view.cite(words, _stated_in, total)
        yield Found(
            f"{name} : {announced}, {view.counted(records, 'lue', feminine=True)}{several}.",
            *_place(total),
            stated=str(said),
            computed=str(read),
            gap=read - said,
            severity="info" if read == said else "",
        )


def _repeated_statements(view: View) -> Iterator[Found]:
    """The same total announced in two places with two values."""
    keys = ["table_id", "measure", "funder", "operator", "year", "stage"]
    for value in ("amount_eur", "count"):
        known = view.totals[view.totals[value].notna()]
        for _, same in _groups(known, keys):
            if same[value].nunique() > 1:
                told = french.listing(
                    view.cite(
                        french.money(total.amount_eur) if value == "amount_eur" else str(total.count_stated),
                        _stated_in,
                        total,
                    )
                    + f" ({total.cell})"
                    for total in _each(same.assign(count_stated=same["count"]))
                )
                first = _first(same)
                yield Found(
                    f"{_column(view, first)} : le même total est annoncé plusieurs fois : {told}.",
                    *_place(first),
                )


# --- Lines and what they detail ------------------------------------------------------------------


def _details(view: View) -> Iterator[Found]:
    """Lines detailed by other lines: the part detailed, and what does not agree."""
    details = view.funding[view.funding["part_of"].notna()]
    parents = view.funding[view.funding["funding_id"].isin(details["part_of"])].drop_duplicates("funding_id")
    for parent in _each(parents[(parents["stage"] != "allocated") & parents["amount_eur"].gt(0)]):
        # an envelope (allocated) is not the sum of its awards: it has its own check
        lines = details[details["part_of"] == parent.funding_id]
        table_id, amount = lines["table_id"].iloc[0], french.money(parent.amount_eur)
        computed = _exact(lines["amount_eur"])
        gap = round(computed - parent.amount_eur, 2)
        one = view.funding.loc[[parent.Index]]
        what = f"{_record(parent)} ({view.money(one)})"
        said: Any = {"stated": amount, "computed": french.money(computed), "gap": gap}
        if abs(gap) < CENT:
            message = f"{what} : détaillé en totalité dans {view.name(table_id)}."
            yield Found(message, *_place(parent), **said, severity="info")
        else:
            share = view.share(_sum_of(lines), _sum_of(one), computed / parent.amount_eur)
            over = "dépasse le montant" if gap > 0 else f"n'en justifie que {share}"
            message = f"{what} : le détail donné par {view.name(table_id)} ({view.money(lines)}) {over}."
            yield Found(message, *_place(parent), **said)
        years = sorted(int(year) for year in lines["year"].dropna().unique())
        if not pd.isna(parent.year) and any(year != parent.year for year in years):
            told = french.listing(years)
            message = f"{what} : montant de {parent.year}, détaillé par des lignes de {told}."
            yield Found(message, *_place(parent))
        announced = view.columns[
            (view.columns["table_id"] == table_id) & (view.columns["measure"] == "funding")
        ]
        announced = announced[announced["funder"] == lines["funder"].iloc[0]]
        for total in _each(announced[(announced["amount_eur"] - parent.amount_eur).abs() >= CENT]):
            yield Found(
                f"{what} : le total annoncé de son détail est {view.stated(total)}.",
                *_place(total),
                stated=french.money(total.amount_eur),
                computed=amount,
                gap=round(parent.amount_eur - total.amount_eur, 2),
            )


def _awards_and_envelope(view: View) -> Iterator[Found]:
    """What was awarded against the envelope, under each reading of the envelope."""
    envelopes = view.funding[(view.funding["stage"] == "allocated") & view.funding["amount_eur"].gt(0)]
    for envelope in _each(envelopes):
        awards = view.funding[(view.funding["stage"] == "awarded") & (view.funding["kind"] == envelope.kind)]
        awards = awards[awards["part_of"] == envelope.funding_id]
        if awards.empty:
            continue
        awarded, amount = _exact(awards["amount_eur"]), envelope.amount_eur
        dated = awards.groupby("year")["amount_eur"].sum()
        undated = _exact(awards.loc[awards["year"].isna(), "amount_eur"])
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
                _share_of,
                _sum_of(awards),
                _total_of([_sum_of(one)] * times),
            )
            + f" si {words}"
            for words, times in readings.items()
        )
        best = awards[awards["year"].isna() | (awards["year"] == dated.idxmax() if len(dated) else False)]
        least = "dépasse" if largest - amount >= CENT else "ne dépasse pas"
        yield Found(
            f"{_record(envelope)} : {view.money(awards)} accordés pour une enveloppe de "
            f"{view.money(one)}, soit {told}. Au plus {view.money(best)} une même année, "
            f"ce qui {least} une enveloppe annuelle.",
            *_place(envelope),
            stated=french.money(amount),
            computed=french.money(awarded),
            gap=round(awarded - amount, 2),
            severity="alert" if awarded - amount >= CENT else "info",
        )


def _stages_side_by_side(view: View) -> Iterator[Found]:
    """Programmes whose money is told at several stages."""
    lines = view.funding.dropna(subset=["amount_eur", "programme", "stage"])
    for programme, own in _groups(lines, "programme"):
        sums = {stage: _exact(same["amount_eur"]) for stage, same in _groups(own, "stage")}
        if len(sums) > 1:
            told = french.listing(
                f"{view.money(own[own['stage'] == stage])} en {schema.STAGE_LABELS.get(stage, stage)}"
                for stage in sums
            )
            yield Found(
                f"{programme} : {told}. Ces montants sont de nature différente et ne s'ajoutent pas.",
                *_place(_first(own)),
            )


def _without_total(view: View) -> Iterator[Found]:
    """Tables without a stated total whose sum would need a convention."""
    stated = set(view.totals["table_id"])
    inside = set(view.funding["part_of"].dropna())
    for table_id, lines in view.by_table.items():
        blank, detailed = lines["amount_eur"].isna(), lines["funding_id"].isin(inside)
        if table_id in stated or not (blank.any() or detailed.any()) or len(lines) > LONG_TABLE:
            continue
        whole = _exact(lines["amount_eur"])
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
            *_place(_first(lines)),
            computed=french.money(whole),
        )


# --- Years ---------------------------------------------------------------------------------------


def _undated(view: View) -> Iterator[Found]:
    for table_id, lines in view.by_table.items():
        known = lines[lines["amount_eur"].notna()]
        undated = known[known["year"].isna()]
        if undated.empty:
            continue
        amount, whole = _exact(undated["amount_eur"]), _exact(known["amount_eur"])
        part = view.share(_sum_of(undated), _sum_of(known), amount / whole) if whole else ""
        share = f" ({part} de {view.money(known)})" if whole else ""
        yield Found(
            f"{view.name(table_id)} : {view.counted(undated, 'montant')} sans année sur "
            f"{view.cite(french.number(len(known)), _count_of, known)}, "
            f"soit {view.money(undated)}{share} : {_cells(undated)}.",
            *_place(_first(undated)),
            computed=french.money(amount),
        )


def _years_out_of_period(view: View) -> Iterator[Found]:
    lines = view.funding[view.funding["amount_eur"].notna() & view.funding["period_start"].notna()]
    first, last = lines["period_start"].dt.year, lines["period_end"].dt.year
    out = lines[(lines["year"] < first).fillna(False) | (lines["year"] > last).fillna(False)]
    for (source, sheet, start, end), same in _groups(out, ["source", "sheet", "period_start", "period_end"]):
        years = french.listing(sorted(same["year"].unique()))
        yield Found(
            f"{view.counted(same, 'montant')} hors de la période {start.year}-{end.year} "
            f"({years} : {_cells(same)}).",
            source,
            sheet,
            same["cell"].iloc[0],
            stated=years,
        )


def _silent_years(view: View) -> Iterator[Found]:
    """Years of the period that a file declares, without any dated amount in that file."""
    for source, lines in _groups(view.funding[view.funding["period_start"].notna()], "source"):
        period = range(lines["period_start"].min().year, lines["period_end"].max().year + 1)
        dated = view.funding[(view.funding["source"] == source) & view.funding["amount_eur"].notna()]
        silent = [year for year in period if year not in set(dated["year"].dropna())]
        if silent:
            yield Found(
                f"Aucun montant daté de {french.listing(silent, 'ou')} (période {period[0]}-{period[-1]}).",
                source,
                computed=french.listing(silent),
            )


def _same_year_twice(view: View) -> Iterator[Found]:
    """Several amounts in one cell that their years do not tell apart: a part of another, or a wrong year."""
    lines = view.funding[view.funding["record_id"].notna() & view.funding["record_id"].duplicated(keep=False)]
    lines = lines[lines["amount_eur"].notna()]
    shared = lines[lines.duplicated(["source", "sheet", "cell"], keep=False)]
    for _, same in _groups(shared, ["source", "sheet", "cell"]):
        if same["year"].isna().any() or same["year"].duplicated().any():
            dates = [f" ({year})" if not pd.isna(year) else "" for year in same["year"]]
            amounts = [same.loc[[index]] for index in same.index]
            told = french.listing(view.money(one) + date for one, date in zip(amounts, dates, strict=True))
            first = _first(same)
            yield Found(
                f"{_record(first)} : {view.counted(same, 'montant')} dans une cellule ({told}), que leurs "
                "années ne distinguent pas : l'un fait-il partie de l'autre ?",
                *_place(first),
                stated=french.listing(
                    french.money(amount) + date
                    for amount, date in zip(same["amount_eur"], dates, strict=True)
                ),
            )


# --- Keys, duplicates and references ------------------------------------------------------------


def _repeated_keys(view: View) -> Iterator[Found]:
    for what, frame, key in (
        ("Le montant", view.tables.funding, "funding_id"),
        ("La fiche", view.records, "record_id"),
        ("Le total", view.totals, "total_id"),
    ):
        again = frame[frame[key].notna() & frame.duplicated(key, keep=False)]
        for _, rows in _groups(again, ["source", "sheet"]):
            names = french.listing(rows[key].unique()[:SHOWN])
            yield Found(f"{what} {names} est lu plusieurs fois : {_cells(rows)}.", *_place(_first(rows)))


_DESCRIBED = ["source", "sheet", "funder", "recipient", "operator", "title", "programme", "axis"]
_DESCRIBED += ["year", "stage", "kind", "period_start", "period_end", "amount_eur"]


def _repeated_lines(view: View) -> Iterator[Found]:
    """Amounts that nothing tells apart: the same line written twice."""
    lines = view.tables.funding
    lines = lines[lines["amount_eur"].notna() & lines["title"].notna()]
    lines = lines[lines.duplicated(["amount_eur", "title"], keep=False)]
    again = lines[lines.duplicated(_DESCRIBED, keep="first")]
    said = view.tables.findings
    read = said[said["code"] == "READ-DUPLICATES"].set_index(["source", "sheet"])["gap"].to_dict()
    for place, rows in _groups(again, ["source", "sheet"]):
        worth = read.get(place)
        if worth is not None and _exact(rows["amount_eur"]) < worth + CENT:
            continue  # the reader told these
        alike = " par le bénéficiaire, l'intitulé, l'année et le montant" if worth is not None else ""
        more = ", y compris celles répétées cellule pour cellule" if worth is not None else ""
        yield Found(
            f"{view.counted(rows, 'ligne identique', 'lignes identiques', feminine=True)} à une ligne "
            f"précédente{alike} ({_cells(rows)}), pour {view.money(rows)}{more}.",
            *_place(_first(rows)),
        )


def _number_order(view: View) -> Iterator[Found]:
    for table_id, records in _groups(view.records, "table_id"):
        if len(records) <= LONG_TABLE:
            for record, expected in _number_breaks(records):
                axis = f" de l'axe « {record.axis} »" if _text(record.axis) else ""
                yield Found(
                    f"{view.name(table_id)} : {_record(record)} porte le n° {record.number}{axis}, "
                    f"le n° {expected} était attendu : une ligne manque, est en trop ou a changé d'axe.",
                    *_place(record),
                    stated=_text(record.number),
                    computed=str(expected),
                )


def _number_breaks(records: pd.DataFrame) -> list[tuple[Any, int]]:
    """The records whose number does not follow the one above, within their axis, with the number expected."""
    numbers = pd.to_numeric(records["number"], errors="coerce")
    if numbers.isna().any():
        return []
    axis = records["axis"].fillna("")
    start = numbers.iloc[0] if len(numbers) else 0
    expected = (numbers.groupby(axis).shift() + 1).fillna(1 if axis.nunique() > 1 or start == 1 else start)
    wrong = records[numbers != expected]
    return list(zip(_each(wrong), expected[wrong.index].astype(int), strict=True))


def _restarting_numbers(view: View) -> Iterator[Found]:
    for table_id, records in _groups(view.records, "table_id"):
        numbers = records["number"].dropna()
        if len(numbers) and numbers.duplicated().any() and not records.duplicated(["axis", "number"]).any():
            counts = [view.cite(str(len(same)), _count_of, same) for _, same in _groups(records, "axis")]
            yield Found(
                f"{view.name(table_id)} : les numéros repartent du n° {numbers.iloc[0]} à chaque axe "
                f"({' + '.join(counts)} = {view.cite(str(len(records)), _count_of, records)}) ; "
                "la clé est l'axe et le numéro.",
                *_place(_first(records)),
            )


_ANNEX = re.compile(r"annexe\W{0,4}(\d+)", re.IGNORECASE)
_ANNEX_TITLE = re.compile(r"^\W*annexe\W{0,4}(\d+)", re.IGNORECASE)


def _self_references(view: View) -> Iterator[Found]:
    """« cf annexe 1 » written in annex 1."""
    for record in _each(_small(view.records)):
        own, text = _ANNEX_TITLE.search(view.name(record.table_id)), _words_of(record)
        for named in _ANNEX.finditer(text):
            if own and named[1] == own[1]:
                yield Found(
                    f"{_record(record)} : renvoie à l'annexe {named[1]}, où elle se trouve déjà "
                    f"(« {_around(text, named)} »).",
                    *_place(record),
                    stated=f"annexe {named[1]}",
                )


def _lost_references(view: View) -> Iterator[Found]:
    """« en annexe 3 » where no sheet, no heading of a text kept as proof, is annex 3."""
    quoted = [(record, _words_of(record)) for record in _each(_small(view.records))]
    lines = pd.DataFrame(view.proofs, columns=["source", "sheet", "cell", "text"])
    quoted += [(line, line.text) for line in _each(lines)]
    known = {found[1] for name in view.names.values() if (found := _ANNEX_TITLE.search(name))}
    known |= {found[1] for text in lines["text"] if (found := _ANNEX_TITLE.search(text))}
    told: set[str] = set()
    for place, text in quoted:
        for named in _ANNEX.finditer(text):
            if known and named[1] not in known | told:
                told.add(named[1])
                yield Found(
                    f"L'annexe {named[1]} est annoncée (« {_around(text, named)} »), rien ne porte ce titre.",
                    *_place(place),
                    stated=f"annexe {named[1]}",
                )


_QUOTED = re.compile(r"[\"«“]\s*([^\"«»“”]{5,80}?)\s*[\"»”]")


def _funded_twice(view: View) -> Iterator[Found]:
    """A project named in quotation marks in one record and found, spelt otherwise or not, in one other."""
    lines = view.funding[view.funding["record_id"].notna()]
    funded = lines.groupby("record_id")["amount_eur"].sum(min_count=1)
    records = {
        row.record_id: row
        for row in _each(_small(view.records).drop_duplicates("record_id"))
        if funded.get(row.record_id, 0) > 0
    }
    words = {key: _words_of(row) for key, row in records.items()}
    quoted = [(key, name) for key, text in words.items() for name in _QUOTED.findall(text)]
    if not quoted:
        return
    folded = [
        f" {text} " for text in _folded_all(pd.Series([*words.values(), *(name for _, name in quoted)]))
    ]
    texts = dict(zip(words, folded, strict=False))
    holders: dict[str, list[str]] = {}  # word → the records that hold it
    for key, text in texts.items():
        for word in set(text.split()):
            holders.setdefault(word, []).append(key)
    may_be_one = _may_be_one(view, lines)
    told: set[str | frozenset[str]] = set()
    for (key, name), bare in zip(quoted, folded[len(words) :], strict=True):
        if bare in told or sum(len(word) >= 3 for word in bare.split()) < 2:
            continue
        rarest = min((holders[word] for word in bare.split()), key=len)
        named = [other for other in rarest if bare in texts[other]]
        pair = frozenset(named)
        if (
            len(named) != 2 or pair in told or not may_be_one(*named)
        ):  # met more often, it is no one's own name
            continue
        told |= {bare, pair}
        row, twin = records[key], next(records[other] for other in named if other != key)
        first, second = (lines[lines["record_id"] == one.record_id] for one in (row, twin))
        yield Found(
            f"« {name} » pourrait être le même projet, financé deux fois : {view.money(first)} "
            f"({view.name(row.table_id)}, {row.cell}) et {view.money(second)} "
            f"({view.name(twin.table_id)}, {twin.cell}). À vérifier.",
            *_place(row),
            stated=french.money(funded[key]),
            computed=french.money(funded[twin.record_id]),
        )


def _may_be_one(view: View, lines: pd.DataFrame) -> Callable[[str, str], bool]:
    """Whether two records may be one project: the same recipient or place; else, neither known, other funders.

    A territory alone is no place: it may be a region.
    """
    places = view.places.assign(place=view.places["insee_code"].fillna(view.places["written_as"]))
    places = places[places["insee_code"].notna() | places["written_as"].ne(places["territory"])]

    def sets(frame: pd.DataFrame, column: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        named = frame[["record_id", column]].dropna()
        for key, folded in zip(named["record_id"], _folded_all(named[column]), strict=True):
            found.setdefault(key, set()).add(folded)
        return found

    recipients, communes, funders = sets(lines, "recipient"), sets(places, "place"), sets(lines, "funder")

    def may_be_one(one: str, other: str) -> bool:
        known = [kept for kept in (recipients, communes) if one in kept and other in kept]
        if known:
            return any(kept[one] & kept[other] for kept in known)
        return one in funders and other in funders and funders[one] != funders[other]

    return may_be_one


# --- Cells and labels ------------------------------------------------------------------------------


_TEXTS = {"title": "intitulé", "description": "description", "partners": "partenaires"}


def _blank_cells(view: View) -> Iterator[Found]:
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
            counts += [(what.format(_text(who) or "montant"), part) for who, part in _groups(own, key)]
        for column, label in _TEXTS.items():
            blank = records[records[column].fillna("").str.strip() == ""]
            if 0 < len(blank) < len(records):
                counts.append((label, blank))
        if not counts:
            continue
        whole = pd.concat([part for _, part in counts])
        told = french.listing(
            f"{label} {view.cite(str(len(part)), _count_of, part)} "
            f"({_rows(part) if label in _TEXTS.values() else _cells(part)})"
            for label, part in counts
        )
        yield Found(
            f"{view.name(table_id)} : {view.counted(whole, 'cellule')} sans valeur : {told}. "
            "Une cellule vide n'est pas un zéro.",
            *_place(_first(counts[0][1])),
            computed=str(len(whole)),
        )


def _zero_amounts(view: View) -> Iterator[Found]:
    lines = pd.concat([view.tables.funding, view.tables.delivery])
    yield from _told_by_sheet(
        lines[lines["amount_eur"] == 0],
        lambda rows: (
            f"{view.counted(rows, 'montant égal', 'montants égaux')} à zéro ({_cells(rows)}) : "
            "un vrai zéro, ou une cellule qui devait rester vide ?"
        ),
    )


def _negative_amounts(view: View) -> Iterator[Found]:
    lines = pd.concat([view.tables.funding, view.tables.delivery])
    yield from _told_by_sheet(
        lines[lines["amount_eur"] < 0],
        lambda rows: (
            f"{view.counted(rows, 'montant négatif', 'montants négatifs')} ({_cells(rows)}), pour "
            f"{view.money(rows)}."
        ),
    )


_LABELLED = {
    "records": ("axis", "legal_status", "strand", "programme"),
    "funding": ("funder", "recipient", "operator", "programme"),
    "delivery": ("operator",),
    "places": ("territory",),
}


def _label_variants(view: View) -> Iterator[Found]:
    """Labels of one column that differ by case, accents, spaces or punctuation only."""
    seen: set[tuple[str, ...]] = set()
    for name, columns in _LABELLED.items():
        frame = getattr(view.tables, name)
        for column in columns:
            variants = [group for group in _same_but_written_otherwise(frame[column]) if group not in seen]
            seen.update(variants)
            if not variants:
                continue
            label = next(c.label for c in schema.TABLES[name].columns if c.name == column)
            groups = [french.listing(f"« {one} »" for one in group) for group in variants]
            more = f" (et {_others(len(groups) - SHOWN)})" if len(groups) > SHOWN else ""
            first = _first(frame[frame[column] == variants[0][-1]])
            yield Found(
                f"{label} : le même nom écrit autrement : {' ; '.join(groups[:SHOWN])}{more}.", *_place(first)
            )


def _same_but_written_otherwise(labels: pd.Series) -> list[tuple[str, ...]]:
    known = labels.dropna().drop_duplicates()
    keys = pd.Series(_folded_all(known), known.index)
    again = keys.duplicated(keep=False) & (keys != "")
    return [tuple(group) for _, group in known[again].groupby(keys[again], sort=False)]


_WORD = re.compile(r"[^\W\d_]{8,}")


def _unaccented_words(view: View) -> Iterator[Found]:
    """Long words written here with their accents and there without."""
    spelt: dict[str, set[str]] = {}
    places: dict[str, Any] = {}
    for record in _each(_small(view.records)):
        for word in _WORD.findall(_words_of(record)):
            lower = word.lower()
            spelt.setdefault(french.strip_accents(lower), set()).add(lower)
            places.setdefault(lower, record)
    for bare, words in spelt.items():
        accented = sorted(word for word in words if word != bare and word[1:-2] != bare[1:-2])
        if bare in words and accented:
            yield Found(
                f"« {bare} » est aussi écrit « {accented[0]} » : accent oublié ?",
                *_place(places[bare]),
                stated=bare,
                computed=accented[0],
            )


def _trailing_separators(view: View) -> Iterator[Found]:
    texts = _small(view.records)
    for column, label in _TEXTS.items():
        cut = texts[texts[column].fillna("").str.contains(r"[,;:]\s*$")]
        for _, rows in _groups(cut, ["source", "sheet"]):
            yield Found(
                f"{view.counted(rows, 'texte fini', 'textes finis')} par un séparateur "
                f"({label}, {_rows(rows)}) : rien n'a été perdu ?",
                *_place(_first(rows)),
            )


def _shared_amounts(view: View) -> Iterator[Found]:
    """One amount for several territories: its sharing is a convention."""
    named = view.places.dropna(subset=["record_id", "territory"])
    territories = named.groupby("record_id", sort=False)["territory"].agg(lambda t: list(dict.fromkeys(t)))
    several = territories[territories.map(len) > 1]
    amounts = view.funding[view.funding["record_id"].isin(several.index) & view.funding["amount_eur"].notna()]
    if len(amounts) > LONG_TABLE:
        return
    for record_id, lines in _groups(amounts, "record_id"):
        first = _first(lines)
        places = named[named["record_id"] == record_id].drop_duplicates("territory")
        yield Found(
            f"{_record(first)} : {view.money(lines)} pour {view.counted(places, 'territoire')} "
            f"({french.listing(several[record_id])}) ; leur partage est une convention.",
            *_place(first),
            computed=str(len(several[record_id])),
        )


def _funders_among_partners(view: View) -> Iterator[Found]:
    """A funder of the action named among its partners, under any of its names."""
    records = _small(view.records).drop_duplicates("record_id").set_index("record_id")
    partners = {key: f" {_folded(text)} " for key, text in records["partners"].dropna().items()}
    lines = view.funding[view.funding["record_id"].isin(partners) & view.funding["amount_eur"].notna()]
    for line in _each(lines[lines["funder"].notna()]):
        names = {line.funder} | view.aliases.get(line.funder, set())
        named = [name for name in sorted(names) if f" {_folded(name)} " in partners[line.record_id]]
        if named:
            yield Found(
                f"{_record(line)} : « {named[0]} » est à la fois financeur et partenaire.", *_place(line)
            )


# --- The list --------------------------------------------------------------------------------------

CHECKS: tuple[Check, ...] = (
    Check("REPEATED-KEY", "blocking", "Un identifiant ne désigne qu'une ligne.", _repeated_keys),
    Check(
        "MIXED-TOTAL", "blocking", "Un total annoncé couvre une seule étape, une seule forme.", _mixed_totals
    ),
    Check("COLUMN-TOTAL", "alert", "Les lignes font le total annoncé de chaque colonne.", _column_totals),
    Check("ROW-BALANCE", "alert", "Sur chaque ligne, financeurs = réalisation = total.", _rows_balance),
    Check(
        "TOTALS-BALANCE", "alert", "Les totaux annoncés s'accordent entre eux.", _totals_against_each_other
    ),
    Check("GAPS-TOGETHER", "alert", "Les écarts d'une table s'expliquent ensemble.", _gaps_together),
    Check("GAP-LEAD", "info", "Un écart correspond à une erreur de frappe usuelle.", _leads),
    Check("STATED-COUNT", "alert", "Le nombre de fiches annoncé est celui des fiches lues.", _stated_counts),
    Check(
        "REPEATED-STATEMENT",
        "alert",
        "Un même total est annoncé partout avec la même valeur.",
        _repeated_statements,
    ),
    Check("DETAIL", "alert", "Le détail d'un montant fait ce montant.", _details),
    Check("ENVELOPE", "alert", "Les montants accordés tiennent dans l'enveloppe.", _awards_and_envelope),
    Check("STAGES", "info", "Des étapes différentes ne s'ajoutent pas.", _stages_side_by_side),
    Check("NO-TOTAL", "info", "Chaque table annonce son total.", _without_total),
    Check("UNDATED", "alert", "Chaque montant a une année.", _undated),
    Check("YEAR-OUTSIDE", "alert", "Une année est dans la période de sa table.", _years_out_of_period),
    Check("YEAR-SILENT", "alert", "Chaque année de la période a un montant daté.", _silent_years),
    Check("SAME-YEAR-TWICE", "alert", "Une cellule n'a qu'un montant par année.", _same_year_twice),
    Check("REPEATED-LINE", "alert", "Une ligne n'est pas écrite deux fois.", _repeated_lines),
    Check("NUMBER-ORDER", "alert", "Les numéros se suivent dans chaque axe.", _number_order),
    Check("NUMBER-RESTART", "info", "Les numéros désignent une seule action.", _restarting_numbers),
    Check("SELF-REFERENCE", "alert", "Un renvoi mène ailleurs qu'à lui-même.", _self_references),
    Check("LOST-REFERENCE", "alert", "Un renvoi mène quelque part.", _lost_references),
    Check("FUNDED-TWICE", "alert", "Un projet n'est pas financé deux fois.", _funded_twice),
    Check("NEGATIVE-AMOUNT", "alert", "Un montant n'est pas négatif.", _negative_amounts),
    Check("ZERO-AMOUNT", "alert", "Une cellule sans montant est vide, et non nulle.", _zero_amounts),
    Check("BLANK-CELL", "info", "Chaque cellule est remplie.", _blank_cells),
    Check("LABEL-VARIANT", "info", "Un nom s'écrit partout de la même façon.", _label_variants),
    Check("ACCENT", "info", "Un mot garde ses accents.", _unaccented_words),
    Check("CUT-TEXT", "info", "Un texte ne finit pas par un séparateur.", _trailing_separators),
    Check("SHARED-AMOUNT", "info", "Un montant va à un seul territoire.", _shared_amounts),
    Check("FUNDER-PARTNER", "info", "Un financeur n'est pas aussi partenaire.", _funders_among_partners),
)


# --- What the checks share -----------------------------------------------------------------------


def _told_by_sheet(rows: pd.DataFrame, message: Callable[[pd.DataFrame], str]) -> Iterator[Found]:
    """One finding per sheet for rows that fail the same way, placed at the first."""
    for _, same in _groups(rows, ["source", "sheet"]):
        yield Found(french.sentence_case(message(same)), *_place(_first(same)))


def _cells(rows: pd.DataFrame) -> str:
    """The first cells of the rows: « G5, G7 et 12 autres »."""
    cells = rows["cell"].dropna().drop_duplicates().tolist()
    rest = len(rows["cell"].dropna().unique()) - SHOWN
    return ", ".join(cells[:SHOWN]) + (f" et {_others(rest)}" if rest > 0 else "")


def _others(rest: int) -> str:
    return f"{rest} {french.plural(rest, 'autre')}"


def _rows(records: pd.DataFrame) -> str:
    """The first rows of the records, whose cell is that of their title: « lignes 11, 16 »."""
    rows = records["cell"].dropna().str.extract(r"(\d+)")[0].dropna().drop_duplicates().tolist()
    rest = len(rows) - SHOWN
    more = f" et {_others(rest)}" if rest > 0 else ""
    return f"{'lignes' if len(rows) > 1 else 'ligne'} {', '.join(rows[:SHOWN])}{more}"


def _groups(frame: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The groups in the order they first appear, rows without key included."""
    return iter(frame.groupby(by, sort=False, dropna=False))


def _addresses(rows: pd.DataFrame) -> pd.Series:
    return rows["source"] + "|" + rows["sheet"].fillna("") + "|" + rows["cell"].fillna("")


def _each(frame: pd.DataFrame) -> Iterator[Any]:
    return iter(frame.itertuples())


def _first(frame: pd.DataFrame) -> Any:
    return next(_each(frame))


def _place(row: Any) -> tuple[str, str, str]:
    return _text(row.source), _text(row.sheet), _text(row.cell)


def _text(value: object) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)


def _sheet_name(row: Any) -> str:
    return _text(row.sheet) or _text(row.source).rsplit("/", 1)[-1] or _text(row.table_id)


def _side(total: Any) -> str:
    """What a reader calls the column that a stated total closes."""
    covers = _text(total.covers)
    header = covers if len(covers) <= LABEL else ""
    return header or _text(total.funder) or _text(total.operator) or "total annoncé"


def _column(view: View, total: Any) -> str:
    """The column with its table, and where its total is announced when that is another sheet."""
    name = view.name(total.table_id)
    side = _side(total)
    if total.sheet and total.sheet not in name:
        side = (
            f"{side} en {total.sheet}, {total.cell}"
            if side == "total annoncé"
            else (f"{side} (annoncé en {total.sheet}, {total.cell})")
        )
    return f"{name}, {side}"


def _record(row: Any) -> str:
    title = _text(row.title)
    return f"« {title if len(title) <= 70 else title[:69].rstrip() + '…'} »" if title else _text(row.cell)


def _words_of(record: Any) -> str:
    return " · ".join(_text(x) for x in (record.title, record.description, record.partners))


def _around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 15) : found.end()].lstrip()


def _inside(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _small(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, or nothing when it is too long for its texts to be compared."""
    return frame if len(frame) <= LONG_TABLE else frame.iloc[:0]


def _period(lines: pd.DataFrame) -> tuple[int, int] | None:
    """The first and last year that the lines cover, when their source says it."""
    start, end = lines["period_start"].min(), lines["period_end"].max()
    return None if pd.isna(start) or pd.isna(end) else (int(start.year), int(end.year))


# How a cited number was computed: asked when it is shown, so that checking a long table costs nothing more.


def _sum_of(lines: pd.DataFrame) -> Recipe:
    """The sum of these amounts: funding lines by their identifier, others by their cell."""
    if "funding_id" in lines:
        return {"op": "funding", "ids": lines["funding_id"].tolist()}
    return {"op": "lines", "lines": lines}


def _stated_in(total: Any) -> Recipe:
    """What a stated total says."""
    return {"op": "stated", "id": total.total_id}


def _count_of(rows: pd.DataFrame) -> Recipe:
    """The number of rows, one place each."""
    return {"op": "count", "lines": rows}


def _difference_of(one: Recipe, other: Recipe) -> Recipe:
    """The first less the second."""
    return {"op": "difference", "of": (one, other)}


def _gap_of(lines: pd.DataFrame, total: Any) -> Recipe:
    """What the lines make less what the total states."""
    return _difference_of(_sum_of(lines), _stated_in(total))


def _share_of(part: Recipe, whole: Recipe) -> Recipe:
    """The first in the second."""
    return {"op": "share", "of": (part, whole)}


def _total_of(parts: Sequence[Recipe]) -> Recipe:
    """The sum of these."""
    return {"op": "total", "of": tuple(parts)}


def _in_column_of(total: Any, records: pd.DataFrame) -> pd.DataFrame:
    """The records placed at their own total: the row of the record, the column of the stated total."""
    column = re.match(r"[A-Z]*", _text(total.cell))
    same = records["sheet"].fillna("").eq(_text(total.sheet)) & records["source"].eq(total.source)
    cells = records["cell"].str.replace(r"^[A-Z]+", column[0] if column else "", regex=True)
    return records.assign(cell=records["cell"].where(~same, cells))


def _exact(amounts: pd.Series) -> float:
    """The sum exact to the cent; missing amounts do not count."""
    return round(math.fsum(amounts.dropna()), 2)


def _only(lines: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The lines whose columns hold the values wanted; a missing value wants nothing."""
    for column, value in wanted.items():
        if not pd.isna(value) and column in lines:
            lines = lines[lines[column] == value]
    return lines


def _mixture(lines: pd.DataFrame) -> str:
    """The French names of the stages and kinds when the lines have several, or nothing."""
    several = []
    for column, labels in (("stage", schema.STAGE_LABELS), ("kind", schema.KIND_LABELS)):
        if column in lines:
            found = lines.loc[lines["amount_eur"].notna(), column].dropna().unique()
            several += [labels.get(value, value) for value in found] if len(found) > 1 else []
    return french.listing(several)


def _folded(text: str) -> str:
    """The text without case, accents or punctuation: the key under which spellings meet."""
    return re.sub(r"[\W_]+", " ", french.strip_accents(text).casefold()).strip()


def _folded_all(texts: pd.Series) -> list[str]:
    """`_folded` of many texts at once."""
    bare = pc.utf8_lower(pc.utf8_normalize(pa.array(texts, pa.large_string()), "NFKD"))
    letters = pc.replace_substring_regex(bare, r"\p{M}+", "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(letters, r"[^\p{L}\p{N}]+", " ")).to_pylist()
