"""The funding and delivery lines of a table: one per amount, with all that its row says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french, schema
from ess_analysis.errors import DataError
from ess_analysis.load.amounts import Amounts, amounts_of, one_amount
from ess_analysis.load.body import Body
from ess_analysis.load.cells import mapped
from ess_analysis.load.notes import SHOWN_NOTES, noted
from ess_analysis.load.records import continued, kept_names
from ess_analysis.load.words import MIXED, STAGE_WORDS, closed_word, kind_of
from ess_analysis.sources import ColumnRead


def funding_of(body: Body, records: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The funding lines of a table, one per amount, and what is told of the cells they were read from."""
    facts, notes = _line_facts(body, records)
    frames = []
    for read, column in body.role("amount"):
        codes, amounts, told = amounts_of(body, column, body.rows)
        frames.append(_one_per_amount(body, read, column, facts, codes, amounts))
        notes += told
    if not frames:
        return schema.empty("funding"), notes
    return schema.conform(pd.concat(frames, ignore_index=True), "funding"), notes


def _one_per_amount(
    body: Body, read: ColumnRead, column: int, facts: pd.DataFrame, codes: np.ndarray, amounts: Amounts
) -> pd.DataFrame:
    """The lines of a column of amounts: one per row, several where a cell holds several amounts."""
    table = body.table
    number = np.ones(len(amounts.euros), dtype=int)
    for code, several in amounts.several.items():
        number[code] = len(several)
    counts = number[codes]
    order = np.repeat(np.arange(len(body.rows)), counts)
    part = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    euros, years = amounts.euros[codes][order], amounts.years[codes][order]
    for code, several in amounts.several.items():
        for index, amount in enumerate(several):
            at = (codes[order] == code) & (part == index)
            euros[at], years[at] = amount.euros, amount.year
    frame = facts.iloc[order].reset_index(drop=True)
    cells = body.cells(column).iloc[order].reset_index(drop=True)
    suffix = pd.Series(np.where(counts[order] > 1, "#" + pd.Series(part + 1).astype("str"), ""), dtype="str")
    written = pd.Series(years, dtype="Int64").replace(0, pd.NA)
    lines = frame.assign(
        funding_id=f"{table.id}!" + cells + suffix,
        cell=cells,
        funder=read.funder or frame.get("funder", pd.Series(index=frame.index, dtype="str")),
        recipient=frame.get("recipient", table.recipient or None),
        year=written.fillna(read.year if read.year else frame["year"]),
        stage=read.stage or frame["stage"],
        kind=read.kind or frame["kind"],
        amount_eur=euros,
        part_of=read.part_of or table.part_of or None,
    ).assign(funder=lambda rows: rows["funder"].fillna(table.funder) if table.funder else rows["funder"])
    if read.kind in ("", table.kind):
        return lines
    blank = np.isnan(amounts.euros) & ~amounts.unread & ~amounts.silent & (number == 1)
    return lines[~blank[codes][order]]  # a blank loan is no loan


def _line_facts(body: Body, records: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """What each line says besides its amounts, under the names kept, and what is told of it."""
    table = body.table
    facts = records[["record_id"]].copy()
    for name in ("axis", "title", "programme"):
        facts[name] = records.get(name)
    for role in ("recipient", "operator", "funder"):
        for _, column in body.role(role):
            # a second column says what the first leaves blank
            kept = kept_names(body, role, body.text(column))
            facts[role] = facts[role].fillna(kept) if role in facts else kept
    if "recipient" in facts and any(read.carried for read in table.columns):
        further = continued(body) & facts["recipient"].isna()
        facts["recipient"] = facts["recipient"].where(~further, facts["recipient"].ffill())
    facts["year"], notes = _years(body)
    for role, default in (("stage", table.stage), ("kind", table.kind)):
        facts[role], told = _closed(body, role, default)
        notes += told
    start, end = table.period or (None, None)
    return facts.assign(
        source=body.source,
        sheet=body.grid.sheet,
        record_kind=table.record_kind,
        period_start=pd.Timestamp(start, 1, 1) if start else None,
        period_end=pd.Timestamp(end, 12, 31) if end else None,
    ), notes


def _years(body: Body) -> tuple[pd.Series, list[dict[str, Any]]]:
    """The year of each line, that of its table where none is written, and what is told of the dates."""
    years, notes = pd.Series(body.table.year or pd.NA, index=body.rows, dtype="Int64"), []
    for role in ("date", "year"):
        for _, column in body.role(role):
            read, told = _words(body, column, "Date illisible", "READ-DATE", french.year_of)
            years = read.astype("Int64").fillna(years)
            notes += told
    return years, notes


_CLOSED: dict[str, tuple[str, Callable[[str], str | None], Mapping[str, str]]] = {
    "stage": ("Étape inconnue", partial(closed_word, words=STAGE_WORDS), schema.STAGE_LABELS),
    "kind": ("Nature inconnue", kind_of, schema.KIND_LABELS),
}


def _closed(body: Body, role: str, default: str) -> tuple[pd.Series, list[dict[str, Any]]]:
    """The stage or the kind of each line, that of its table where none is written; what is told of it."""
    what, word_of, labels = _CLOSED[role]

    def said(text: str) -> str | None:
        kept = body.sheet.kept_name(role, text)
        return kept if kept in labels else word_of(kept)

    found, notes = pd.Series(default or None, index=body.rows, dtype="str"), []
    for _, column in body.role(role):
        read, told = _words(body, column, what, f"READ-{role.upper()}", said, ", ".join(labels.values()))
        mixed = read.eq(MIXED)
        if mixed.any():
            sentence = "« {} » : numéraire et nature ensemble, sans le partage ; compté en numéraire."
            notes += noted(body, "READ-KIND-MIXED", column, body.text(column)[mixed], sentence)
            read = read.where(~mixed, "cash")
        found = read.astype("str").fillna(found)
        notes += told
    return found, notes


def _words(
    body: Body, column: int, what: str, code: str, reading: Callable[[str], Any], admitted: str = ""
) -> tuple[pd.Series, list[dict[str, Any]]]:
    """`reading` of each text of a column, and the cells it could not read (a DataError unless reported)."""
    texts = body.text(column)
    read = mapped(texts, reading)
    wrong = texts[texts.notna() & read.isna()]
    if wrong.empty:
        return read, []
    if body.strict:
        shown = wrong.iloc[: SHOWN_NOTES + 1]
        raise DataError(
            f"{body.said(what)}.",
            seen=[f"{body.grid.address(row, column)} : {shown[row]}" for row in shown.index],
            todo=f"corrigez la cellule{f' ({admitted})' if admitted else ''}, "
            "ou ajoutez le mot à [names] dans la fiche source.",
        )
    message = f"« {{}} » : {what[0].lower() + what[1:]}{f' ; mots admis : {admitted}' if admitted else ''}."
    return read, noted(body, code, column, wrong, message)


def delivery_of(body: Body, records: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The delivery lines of a table: who carries each action out; and what is told of their cells."""
    frames, notes = [], []
    for read, column in body.role("delivery"):
        euros, told = one_amount(body, column, body.rows)
        notes += told
        frames.append(
            pd.DataFrame(
                {
                    "record_id": records["record_id"],
                    "operator": read.operator or None,
                    "amount_eur": euros,
                    "cell": body.cells(column),
                }
            ).assign(source=body.source, sheet=body.grid.sheet)
        )
    if not frames:
        return schema.empty("delivery"), notes
    return schema.conform(pd.concat(frames, ignore_index=True), "delivery"), notes
