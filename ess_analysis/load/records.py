"""The records of a table, each with its lines: which rows are one action, under which axis."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.load.amounts import one_amount
from ess_analysis.load.body import Body
from ess_analysis.load.cells import mapped, texts_of
from ess_analysis.sources import RECORD_ROLES


def records_of(body: Body) -> pd.DataFrame:
    """One row per line read, by grid row, with the record it belongs to; a record may have lines."""
    frame = pd.DataFrame(index=body.rows)
    for role in sorted(RECORD_ROLES):
        for _, column in body.role(role):
            frame[role] = kept_names(body, role, body.text(column))
    if "axis" in frame:
        frame["axis"] = variants_grouped(frame["axis"])[0].ffill()
    elif body.table.section_rows:
        frame["axis"] = kept_names(body, "axis", body.sections.loc[body.rows])
    lines = continued(body)
    if "title" in frame:
        frame["title"] = frame["title"].where(~lines | frame["title"].notna(), frame["title"].ffill())
    if "number" in frame:
        axis = frame.get("axis", pd.Series("", index=body.rows)).fillna("")
        key = (axis + "/" + frame["number"].fillna("")).where(~lines).ffill().str.removeprefix("/")
        _refuse_numbers(body, frame["number"], key, lines)
    else:
        key = (~lines).cumsum().astype("str")
    frame["record_id"] = body.table.id + "/" + key
    for _, column in body.role("row_total"):
        frame["row_total_eur"], _ = one_amount(body, column, body.rows)
    column = body.role("title")[0][1] if body.role("title") else min(body.columns.values())
    return frame.assign(
        source=body.source,
        sheet=body.grid.sheet,
        cell=body.cells(column),
        table_id=body.table.id,
        kind=body.table.record_kind,
        programme=frame.get("programme", body.table.programme or None),
    )


def kept_names(body: Body, role: str, texts: pd.Series) -> pd.Series:
    """The texts of a role under the names that the source sheet keeps."""
    return mapped(texts, lambda text: body.sheet.kept_name(role, text), "str")


def continued(body: Body) -> pd.Series:
    """Whether a row is a further line of the record above: its number or its title is in a merged cell."""
    keys = body.role("number") or body.role("title")
    lines = pd.Series(False, index=body.rows)
    for read, column in keys:
        lines |= body.rows.isin(body.covered(column))
        if read.carried:
            written = texts_of(body.grid.values[column].loc[body.rows])
            lines |= written.isna() & written.ffill().notna()
            lines |= _repeated(body)
    return lines


def _repeated(body: Body) -> pd.Series:
    """Whether a row repeats the axis, number, title and recipient of the row above, or leaves them blank."""
    own = [at for role in ("axis", "number", "title", "recipient") for _, at in body.role(role)]
    words = pd.DataFrame({at: body.text(at) for at in own}, index=body.rows)
    above = words.ffill().shift()
    return (words.isna() | words.eq(above)).all(axis="columns") & above.notna().any(axis="columns")


def _refuse_numbers(body: Body, numbers: pd.Series, keys: pd.Series, lines: pd.Series) -> None:
    blank = numbers[numbers.isna() & ~lines]
    twice = keys[~lines & numbers.notna()]
    twice = twice[twice.duplicated(keep=False)]
    for what, wrong, todo in (
        ("Action sans numéro", blank, "donnez-lui son numéro, ou déclarez la ligne dans skip_lines."),
        (
            "Clé d’action en double",
            twice,
            "deux actions du même axe portent le même numéro : corrigez le numéro.",
        ),
    ):
        if len(wrong):
            rows = ", ".join(str(row + 1) for row in wrong.index[:5])
            seen = wrong.unique() if wrong.notna().all() else ["cellule vide"]
            raise DataError(f"{body.said(what)}, lignes {rows}.", seen=seen, todo=todo)


@cache
def variant_key(label: str) -> str:
    """The label without case, accents, plural, spaces or signs: equal keys are variants of one label."""
    bare = re.sub(r"[^a-z0-9]+", " ", french.strip_accents(label).lower())
    return " ".join(re.sub(r"(?<=\w{3})[sx]$", "", word) for word in bare.split())


def variants_grouped(labels: pd.Series) -> tuple[pd.Series, dict[str, list[str]]]:
    """The labels, variants under the most usual one, and the variants of each label that has some."""
    sizes = labels.value_counts()
    groups: dict[str, list[str]] = {}
    for label in sizes.index:
        groups.setdefault(variant_key(label) or label, []).append(label)
    several = {found[0]: found for found in groups.values() if len(found) > 1}
    kept = {label: name for name, found in several.items() for label in found}
    return mapped(labels, lambda label: kept.get(label, label), "str"), several
