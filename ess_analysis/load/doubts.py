"""What is doubtful in the content of a table: totals counted, rows repeated, stages left blank, numbers and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ess_analysis import french, identifiers
from ess_analysis.load.body import Body
from ess_analysis.load.notes import note, noted
from ess_analysis.load.records import kept_names, variants_grouped
from ess_analysis.totals import counted_totals, may_be_totals


def stage_notes(body: Body, funding: pd.DataFrame) -> list[dict[str, Any]]:
    """The amounts that a column of stages leaves without one: they cannot be added to any other."""
    columns = body.role("stage")
    blank = funding[funding["stage"].isna() & funding["amount_eur"].notna()]
    if not columns or blank.empty:
        return []
    rows = sorted({int(re.sub(r"\D", "", str(cell))) - 1 for cell in blank["cell"]})
    texts = pd.Series("", index=rows)
    said = "étape laissée vide : alloué, prévu, accordé ou versé ?"
    notes = noted(body, "READ-STAGE-BLANK", columns[0][1], texts, said)
    return [{**one, "severity": "blocking"} for one in notes]


def identifier_notes(body: Body) -> Iterator[dict[str, Any]]:
    """The numbers of bodies that cannot serve as keys, by what is wrong with them."""
    for role in ("funder_id", "recipient_id"):
        for read, column in body.role(role):
            texts = body.text(column)
            wrong = identifiers.defects(texts).dropna()
            for defect in identifiers.DEFECTS:
                rows = wrong.index[wrong.eq(defect)]
                if not len(rows):
                    continue
                first = texts.loc[rows[0]]
                text = identifiers.told(read.header, len(rows), defect, first)
                cell = body.grid.address(rows[0], column)
                yield note(f"READ-ID-{defect.upper().replace('_', '-')}", body, cell, text, first)


def total_notes(body: Body, funding: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows counted that add up others: totals that the source sheet does not leave out."""
    texts = pd.DataFrame({column: body.text(column) for column in body.texts}, index=body.rows)
    rows = may_be_totals(texts)
    if not rows.any(axis=None) or funding.empty:
        return
    whole = funding[~funding["funding_id"].str.contains("#", regex=False)]
    places = whole["cell"].str.extract(r"([A-Z]+)(\d+)")
    at = places[1].astype("int64") - 1
    euros = pd.DataFrame(
        {
            letters: whole["amount_eur"][one.index].set_axis(at[one.index])
            for letters, one in places.groupby(0)
        }
    )
    euros = euros.reindex(body.rows)
    for row in counted_totals(euros, rows):
        said = next(iter(texts.loc[row].dropna()), "")
        named = f", « {said} »," if said else ""
        message = (
            f"La ligne {row + 1}{named} est la somme de lignes au-dessus et elle est comptée avec elles : "
            f"si c'est un total, écrivez skip_lines = [{row + 1}] dans la fiche source."
        )
        cell = whole["cell"][at.eq(row)].iloc[0]
        yield note("READ-TOTAL-COUNTED", body, str(cell), message, said, "blocking")


def duplicate_notes(body: Body, funding: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows that repeat another cell for cell, and what they are worth; they stay."""
    if body.strict or len(body.rows) < 2:
        return
    cells = body.grid.values.loc[body.rows, sorted(body.columns.values())]
    codes = pd.DataFrame({at: pd.factorize(cells[at])[0] for at in cells}, index=body.rows)
    again = codes.duplicated()
    if not again.any():
        return
    rows = codes.index[again]
    numbers = pd.to_numeric(funding["cell"].str.extract(r"(\d+)$", expand=False)) - 1
    twice = funding[numbers.isin(rows) & funding["amount_eur"].notna()]
    worth = twice["amount_eur"].sum()
    if twice.empty:
        return
    count = french.counted(len(rows), "ligne répète une autre", "lignes répètent une autre")
    lines = ", ".join(str(row + 1) for row in rows[:5]) + ("…" if len(rows) > 5 else "")
    lines = f"{french.plural(len(rows), 'ligne')} {lines}"
    text = f"{count} cellule pour cellule ({lines}), pour {french.money(worth, currency=body.sheet.currency)} ; rien n'est retiré."
    yield {**note("READ-DUPLICATES", body, body.grid.address(rows[0], 0), text, ""), "gap": worth}


def axis_variant_notes(body: Body) -> Iterator[dict[str, Any]]:
    """The axes written in several ways, read as one."""
    for _, column in body.role("axis"):
        written = kept_names(body, "axis", body.text(column))
        for name, found in variants_grouped(written)[1].items():
            cell = body.grid.address(written.index[written.eq(found[1])][0], column)
            text = f"{french.listing([f'« {one} »' for one in found])} : un seul axe, lu « {name} »."
            yield note("READ-AXIS-VARIANTS", body, cell, text, found[1])
