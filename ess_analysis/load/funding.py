"""The funding and delivery lines of a table: one per amount, with all that its row says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french, schema
from ess_analysis.errors import DataError
from ess_analysis.load.amounts import amounts_of, one_amount
from ess_analysis.load.body import Body
from ess_analysis.load.cells import mapped
from ess_analysis.load.notes import SHOWN_NOTES, noted
from ess_analysis.load.records import continued, kept_names
from ess_analysis.load.words import KIND_WORDS, MIXED, STAGE_WORDS, closed_word, kind_of


def funding_of(body: Body, records: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The funding lines of a table, one per amount, and what is told of the cells they were read from."""
    table = body.table
    facts, notes = _line_facts(body, records)
    frames = []
    for read, column in body.role("amount"):
        codes, amounts, told = amounts_of(body, column, body.rows)
        notes += told
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
        suffix = pd.Series(
            np.where(counts[order] > 1, "#" + pd.Series(part + 1).astype("str"), ""), dtype="str"
        )
        written = pd.Series(years, dtype="Int64").replace(0, pd.NA)
        frames.append(
            frame.assign(
                funding_id=f"{table.id}!" + cells + suffix,
                cell=cells,
                funder=read.funder or frame.get("funder", pd.Series(index=frame.index, dtype="str")),
                recipient=frame.get("recipient", table.recipient or None),
                year=written.fillna(read.year if read.year else frame["year"]),
                stage=read.stage or frame["stage"],
                kind=read.kind or frame["kind"],
                amount_eur=euros,
                part_of=read.part_of or table.part_of or None,
            ).assign(
                funder=lambda rows: rows["funder"].fillna(table.funder) if table.funder else rows["funder"]
            )
        )
        if read.kind not in ("", table.kind):  # a blank loan is no loan
            blank = np.isnan(amounts.euros) & ~amounts.unread & ~amounts.silent & (number == 1)
            frames[-1] = frames[-1][~blank[codes][order]]
    if not frames:
        return schema.empty("funding"), notes
    return schema.conform(pd.concat(frames, ignore_index=True), "funding"), notes


def _line_facts(body: Body, records: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """What each line says besides its amounts, under the names kept, and what is told of it."""
    table, notes = body.table, []
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
    facts["year"] = pd.Series(table.year or pd.NA, index=body.rows, dtype="Int64")
    for role in ("date", "year"):
        for _, column in body.role(role):
            read, told = _words(body, column, "Date illisible", "READ-DATE", french.year_of)
            facts["year"] = read.astype("Int64").fillna(facts["year"])
            notes += told
    for role, what, default, words, labels in (
        ("stage", "Étape inconnue", table.stage, STAGE_WORDS, schema.STAGE_LABELS),
        ("kind", "Nature inconnue", table.kind, KIND_WORDS, schema.KIND_LABELS),
    ):
        facts[role] = pd.Series(default or None, index=body.rows, dtype="str")
        for _, column in body.role(role):

            def closed(
                text: str, role: str = role, words: Mapping[str, str] = words, labels: Any = labels
            ) -> str | None:
                kept = body.sheet.kept_name(role, text)
                if kept in labels:
                    return kept
                return kind_of(kept) if role == "kind" else closed_word(kept, words)

            code, admitted = f"READ-{role.upper()}", ", ".join(labels.values())
            read, told = _words(body, column, what, code, closed, admitted)
            mixed = read.eq(MIXED)
            if mixed.any():
                sentence = "« {} » : numéraire et nature ensemble, sans le partage ; compté en numéraire."
                notes += noted(body, "READ-KIND-MIXED", column, body.text(column)[mixed], sentence)
                read = read.where(~mixed, "cash")
            facts[role] = read.astype("str").fillna(facts[role])
            notes += told
    start, end = table.period or (None, None)
    return facts.assign(
        source=body.source,
        sheet=body.grid.sheet,
        record_kind=table.record_kind,
        period_start=pd.Timestamp(start, 1, 1) if start else None,
        period_end=pd.Timestamp(end, 12, 31) if end else None,
    ), notes


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
