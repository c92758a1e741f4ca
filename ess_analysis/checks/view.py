"""The tables as the checks look at them; what a check finds; the numbers that a message cites."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import each, exact_sum, groups_of, in_column_of, mixture, only
from ess_analysis.checks.naming import sheet_name, side_name
from ess_analysis.checks.recipes import Cited, Recipe, count_of, share_of, stated_in, sum_of

if TYPE_CHECKING:
    from ess_analysis.load import Tables

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
        return self.cite(french.money(exact_sum(lines["amount_eur"])), sum_of, lines)

    def stated(self, total: Any) -> str:
        """« 73 000 € »: a stated total, cited."""
        return self.cite(french.money(total.amount_eur), stated_in, total)

    def counted(self, rows: pd.DataFrame, noun: str, plural: str | None = None, **how: bool) -> str:
        """« 3 montants »: the number of rows, cited; « aucun montant » cites nothing."""
        words = french.counted(len(rows), noun, plural, **how)
        return self.cite(words, count_of, rows) if len(rows) else words

    def share(self, part: Recipe, whole: Recipe, value: float) -> str:
        """« 18,0 % »: a part in a whole, cited."""
        return self.cite(french.percent(value, 1), share_of, part, whole)

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
        return dict(groups_of(self.funding, "table_id"))

    @cached_property
    def names(self) -> dict[str, str]:
        """What a reader calls each table: its sheet, or its file."""
        places = pd.concat([frame[["table_id", "source", "sheet"]] for frame in (self.records, self.totals)])
        first = places.dropna(subset="table_id").drop_duplicates("table_id")
        shared = first.duplicated(["source", "sheet"], keep=False)
        return {
            row.table_id: sheet_name(row) + (f" ({row.table_id})" if twice else "")
            for row, twice in zip(each(first), shared, strict=True)
        }

    def name(self, table_id: str) -> str:
        """What a reader calls the table."""
        return self.names.get(table_id) or table_id.rstrip("#").replace("#", ", ")

    def covered(self, total: Any) -> pd.DataFrame:
        """The lines that a stated total covers: `amount_eur`, their record, their cell, stage and kind."""
        if total.measure == "delivery":
            lines = self.delivery[self.delivery["table_id"] == total.table_id]
            return only(lines, operator=total.operator)
        if total.measure == "row_total":
            lines = self.records[self.records["table_id"] == total.table_id]
            lines = lines.rename(columns={"row_total_eur": "amount_eur"})
            if lines["amount_eur"].notna().any():
                return in_column_of(total, lines)
        lines = self.by_table.get(total.table_id, self.funding.iloc[:0])
        return only(lines, funder=total.funder, operator=total.operator, year=total.year, stage=total.stage)

    @cached_property
    def columns(self) -> pd.DataFrame:
        """The stated amounts with their recomputed sum: `computed`, `gap`, `mixed`."""
        totals = self.totals[self.totals["amount_eur"].notna()]
        lines = [self.covered(total) for total in each(totals)]
        sums = pd.Series([exact_sum(one["amount_eur"]) for one in lines], totals.index, dtype="float64")
        return totals.assign(
            computed=sums,
            gap=(sums - totals["amount_eur"]).round(2),
            mixed=pd.Series([mixture(one) for one in lines], totals.index, dtype="str"),
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


def _inside(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def column_name(view: View, total: Any) -> str:
    """The column with its table, and where its total is announced when that is another sheet."""
    name = view.name(total.table_id)
    side = side_name(total)
    if total.sheet and total.sheet not in name:
        side = (
            f"{side} en {total.sheet}, {total.cell}"
            if side == "total annoncé"
            else (f"{side} (annoncé en {total.sheet}, {total.cell})")
        )
    return f"{name}, {side}"
