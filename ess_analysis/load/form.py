"""What the form of a sheet says against its content: moved, hidden, torn or textual cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ess_analysis import french
from ess_analysis.load.body import Body, sentence_cell
from ess_analysis.load.notes import SHOWN_NOTES, cells_told, note, others_counted
from ess_analysis.load.records import continued
from ess_analysis.sources import AMOUNT_ROLES, UNSEALED


def shape_notes(body: Body) -> list[dict[str, Any]]:
    """What the form of the sheet says against its content: moved sentences, hidden rows, torn merges…"""
    notes = [
        *_order_notes(body), *_hidden_notes(body), *_axis_notes(body), *_type_notes(body), *_title_notes(body)
    ]  # fmt: skip
    for total in body.table.totals:
        if total.cell and (cell := sentence_cell(body.grid, total)) != total.cell:
            text = (
                f"le total annoncé est en {cell}, la fiche source le dit en {total.cell} : une ligne a bougé."
            )
            notes.append(note("READ-TOTAL-MOVED", body, cell, french.sentence_case(text), total.cell))
    return notes


def seal_notes(body: Body) -> Iterator[dict[str, Any]]:
    """That nothing would tell a change of the file, and the line of the source sheet that would."""
    if not body.sheet.sealed and body.table is body.sheet.tables[0]:
        text = (
            "Fichier non scellé : une modification ne se verrait pas. Une fois relu, écrivez dans sa fiche "
            "source le sha256 calculé (ess check --format csv)."
        )
        yield {**note("READ-UNSEALED", body, "", text, UNSEALED), "computed": body.sheet.sha256}


def _order_notes(body: Body) -> Iterator[dict[str, Any]]:
    """Amount columns that stand in another order than in the source sheet: have headers been exchanged?"""
    declared = [read.header for read in body.table.columns if read.role in AMOUNT_ROLES]
    found = sorted(declared, key=body.columns.__getitem__)
    moved = [header for header, other in zip(found, declared, strict=True) if header != other]
    if moved:
        cell = body.grid.address(body.table.header[1] - 1, body.columns[moved[0]])
        text = f"colonnes dans un autre ordre que la fiche source ({', '.join(moved)}) : en-têtes échangés ?"
        yield note("READ-COLUMN-ORDER", body, cell, french.sentence_case(text), moved[0])


def _hidden_notes(body: Body) -> Iterator[dict[str, Any]]:
    """Rows and columns of the table that a reader of the workbook does not see."""
    read = {*([] if body.total_row is None else [body.total_row])} | (
        {row for row in body.grid.hidden_rows if row in body.rows}
    )
    for row in sorted(read & set(body.grid.hidden_rows)):
        cell = body.grid.address(row, 0)
        yield note("READ-HIDDEN", body, cell, f"Ligne {row + 1} masquée dans le classeur ; elle est lue.", "")
    for column in sorted(set(body.columns.values()) & set(body.grid.hidden_columns)):
        cell = body.grid.address(body.table.header[1] - 1, column)
        letters = re.sub(r"\d", "", cell)
        yield note(
            "READ-HIDDEN", body, cell, f"Colonne {letters} masquée dans le classeur ; elle est lue.", ""
        )
    if body.grid.hidden:
        yield note("READ-HIDDEN", body, "", "Feuille masquée dans le classeur ; elle est lue.", "")


def _axis_notes(body: Body) -> Iterator[dict[str, Any]]:
    """Axes carried down over blanks that no merged cell covers, in a column where others are merged."""
    for _, column in body.role("axis"):
        covered = body.covered(column)
        bare = [row for row in body.rows[body.text(column).isna()] if row not in covered]
        if not covered & set(body.rows) and len(bare) == len(body.rows):
            continue
        for row in bare[:SHOWN_NOTES] if covered else []:
            cell = body.grid.address(row, column)
            text = (
                f"{cell} est vide hors de toute cellule fusionnée : l'axe de la ligne du dessus est repris."
            )
            yield note("READ-AXIS-CARRIED", body, cell, text, "")


def _title_notes(body: Body) -> Iterator[dict[str, Any]]:
    """Rows without a title that no merged cell covers: is a merge torn, or a title lost?"""
    for _, column in body.role("title") if body.strict or body.grid.merged else []:
        lines = body.text(column).isna() & ~continued(body)
        for row in body.rows[lines][:SHOWN_NOTES]:
            cell = body.grid.address(row, column)
            yield note("READ-TITLE-BLANK", body, cell, f"{cell} : ligne sans intitulé.", "")
        yield from others_counted(body, "READ-TITLE-BLANK", int(lines.sum()))


def _type_notes(body: Body) -> Iterator[dict[str, Any]]:
    """Numbers kept as text in a column where the others are numbers: a spreadsheet does not add them."""
    for column in [body.columns[read.header] for read in body.table.columns if read.role in AMOUNT_ROLES]:
        values = body.grid.values[column].loc[body.rows].dropna()
        if values.dtype != "object":
            continue
        texts = values[values.map(lambda value: isinstance(value, str) and value.strip() != "")]
        if 0 < len(texts) < len(values) / 2:
            first, cell = texts.iloc[0], body.grid.address(texts.index[0], column)
            text = f"Nombre gardé en texte (« {first} ») parmi des nombres : un tableur ne l'additionne pas."
            if len(texts) > 1:
                where = cells_told(body, column, texts.index)
                text = f"Nombres gardés en texte (« {first} »…) parmi des nombres : un tableur ne les additionne pas ({where})."
            yield note("READ-NUMBER-AS-TEXT", body, cell, text, first)
