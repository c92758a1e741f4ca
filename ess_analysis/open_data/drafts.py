"""A draft source sheet: all that a file says of itself, and questions for what only a person knows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ess_analysis.errors import DataError
from ess_analysis.grids import Grid, read_grids
from ess_analysis.load.headers import header_columns
from ess_analysis.open_data.amounts import UNSURE
from ess_analysis.open_data.choosing import HEADER_WITHIN
from ess_analysis.open_data.headers import meaning
from ess_analysis.open_data.lines import lettered
from ess_analysis.open_data.several import recap_of, table_ids, understand_all
from ess_analysis.open_data.understanding import Understood, understand
from ess_analysis.sources import ColumnRead, SourceSheet, TableRead, sha256
from ess_analysis.totals import TOTAL
from ess_analysis.writing import write_whole

LISTED_LINES = 60  # numbers of lines left out that a sheet may list; beyond, a rule says them


def write_draft(path: Path, sheet: str | None = None) -> Path:
    """The path of the draft written for a file: beside it, or here where its folder cannot be written to.

    A sheet that exists is never overwritten.
    """
    name = f"{path.name}.toml"
    writable = os.access(path.parent, os.W_OK) and path.parent.stat().st_mode & 0o222
    folder = path.parent if writable else Path.cwd()
    target = folder / name
    if target.exists():
        raise DataError(
            f"La fiche source existe déjà : {target}.",
            seen=[f"{target.stat().st_size} octets"],
            todo="complétez-la, ou renommez-la avant d'en demander une autre.",
        )
    text = draft(path, sheet)
    write_whole(target, text.encode("utf-8"))
    return target


def draft(path: Path, sheet: str | None = None) -> str:
    """The TOML of a source sheet for the file, with the questions that remain."""
    grids = list(read_grids(path))
    try:
        return _written(path, understand_all(path, grids, sheet))
    except DataError as error:
        each = _each_sheet(path, grids) if sheet is None else []
        return _written(
            path, each if len(each) > 1 else [_unrecognised(path, grids, sheet, str(error.what_where))]
        )


def _each_sheet(path: Path, grids: list[Grid]) -> list[Understood]:
    """What is understood of each sheet in sight, or of each file of an archive, read apart."""
    found = []
    for grid in grids:
        try:
            read = understand(path, [grid])
        except DataError:
            continue
        if not grid.hidden:
            table = replace(read.sheet.tables[0], sheet=grid.name)
            found.append(replace(read, sheet=replace(read.sheet, tables=(table,))))
    recap = recap_of([one for one in found if not one.missing])
    left = [one for one in found if one is not recap]
    if recap and left:
        told = (
            f"la feuille « {recap.grid.name} » vaut la somme des autres : elle n'est pas lue, est-ce voulu ?"
        )
        left[0] = replace(left[0], missing=(told, *left[0].missing))
    return left


def _unrecognised(path: Path, grids: list[Grid], sheet: str | None, why: str) -> Understood:
    """The widest sheet, its line of most words taken as a header, every column left for the person to name."""
    named = [grid for grid in grids if sheet in (None, grid.sheet)] or grids
    grid = max(named, key=lambda one: one.values.shape[0] * one.values.shape[1])
    top = grid.values.iloc[:HEADER_WITHIN]
    written = top.astype("str").where(top.notna(), "")
    words = sum(written[at].str.contains(r"[^\W\d_]", regex=True).astype("int64") for at in written)
    figures = sum(written[at].str.fullmatch(r"[\d\s.,:€£$%/-]+").astype("int64") for at in written)
    row = int(np.argmax(np.asarray(words - figures)))
    headers = list(header_columns(grid, (row + 1, row + 1)))
    roles: dict[str, str] = {}
    for header in headers:
        said = meaning(header)
        if said.role and said.sure and (said.role not in roles.values()):
            roles[header] = said.role
    read = {header: meaning(header) for header, role in roles.items() if role == "amount"}
    columns = header_columns(grid, (row + 1, row + 1))
    body = {one: grid.values[columns[one]].iloc[row + 1 :] for one in headers}
    names = [
        one for one in headers if one not in roles and lettered(body[one]).nunique() > len(body[one]) / 2
    ]
    if names and "recipient" not in roles.values():
        roles[names[0]] = "recipient"
    texts = (
        pd.concat([lettered(values).dropna() for values in body.values()]) if body else pd.Series(dtype="str")
    )
    totals = {int(str(at)) for at, text in texts.items() if TOTAL.match(str(text))}
    first = tuple(
        ColumnRead(header, role, stage=one.stage, kind=one.kind, year=one.year, unit=one.unit)
        if (one := read.get(header))
        else ColumnRead(header, role)
        for header, role in roles.items()
    )
    table = TableRead(
        id="T",
        title=path.stem,
        sheet=grid.sheet,
        header=(row + 1, row + 1),
        record_kind="project",
        columns=first,
        ignored=dict.fromkeys(
            (one for one in headers if one not in roles), "à déclarer, ou à laisser ici avec la raison"
        ),
        doubts="report",
    )
    about = SourceSheet(
        path, "", path.stem, "", "", "", "", encoding=grid.encoding, delimiter=grid.delimiter, tables=(table,)
    )
    lacking = [] if "amount" in roles.values() else ["quelle est la colonne des montants ?"]
    if totals:
        listed = ", ".join(str(at + 1) for at in sorted(totals)[:20])
        lacking.append(f"des totaux ? si oui, sous [[table]] : skip_lines = [{listed}]")
    return Understood(about, grid, missing=(why, *lacking))


def _written(path: Path, tables: list[Understood]) -> str:
    """The sheet of a file, a [[table]] for each of its tables."""
    sheet, missing = tables[0].sheet, list(dict.fromkeys(one for table in tables for one in table.missing))
    lines = [
        "# Fiche source préparée par « ess read --draft » : relisez-la et complétez les lignes « à compléter ».",
        "",
        "[file]",
        *_questions(missing),
        _pair("path", path.name),
        _pair("sha256", sha256(path)),
        _pair("title", sheet.title),
        *(_pair(key, "à compléter") for key in ("producer", "date", "licence", "reliability")),
        *(
            _pair(key, value)
            for key, value in (
                ("encoding", sheet.encoding),
                ("delimiter", sheet.delimiter),
                ("decimal", sheet.decimal),
            )
            if value
        ),
    ]
    if sheet.currency != "EUR" or missing:
        doubt = "# " if sheet.currency == "EUR" or any("monnaie" in one for one in missing) else ""
        lines.append(doubt + _pair("currency", sheet.currency))
    if missing and not sheet.decimal:
        lines.append('# thousands = "."               # un signe entre les milliers : 12.500')
    if not sheet.decimal and any("décimal" in one for one in missing):
        lines.append('# decimal = ","                 # « , » ou « . » : ce que veut dire « 1.234 »')
    for name, understood in zip(table_ids(tables), tables, strict=True):
        lines += _table(understood, name)
    return "\n".join(lines) + "\n"


def _questions(missing: list[str]) -> Iterator[str]:
    """What only a person knows: nothing is read as long as a question remains."""
    if missing:
        yield "# Répondez dans cette fiche, puis retirez la question : rien n'est lu tant qu'il en reste une."
        yield "questions = ["
        yield from (f"  {_text(one)}," for one in missing)
        yield "]"


def _table(understood: Understood, name: str) -> list[str]:
    """The lines of one table: what is understood of it, and the questions as comments."""
    table = understood.sheet.tables[0]
    lines = ["", "[[table]]", _pair("id", name)]
    if table.sheet:
        lines.append(_pair("sheet", table.sheet))
    first, last = table.header
    lines.append(f"header = {last}" if first == last else f"header = [{first}, {last}]")
    lines.append(_pair("record_kind", table.record_kind))
    lines.append(
        _pair("stage", table.stage)
        if table.stage or any(one.stage or one.role == "stage" for one in table.columns)
        else '# stage = "awarded"             # allocated, planned, awarded (voté) ou paid (versé)'
    )
    if table.year:
        lines.append(f"year = {table.year}")
    elif not any(one.role in ("year", "date") or one.year for one in table.columns):
        lines.append("# year = 2013                   # si tous les montants sont d'une même année")
    if not any(one.role == "funder" or one.funder for one in table.columns):
        lines.append('# funder = "Ville de …"         # qui a versé, si aucune colonne ne le dit')
    lines += _rows_left_out(understood)
    if table.no_amount:
        lines.append(f"no_amount = [{', '.join(map(_text, table.no_amount))}]")
    lines.append(
        'doubts = "report"               # une cellule illisible est signalée ; « stop » arrête la lecture'
    )
    if table.section_rows:
        lines.append(_pair("section_rows", table.section_rows))
    lines += [
        "",
        "# Rôles : amount, recipient, funder, title, axis, year, date, programme, places, territory, recipient_id, funder_id,",
        '# kind, stage… Un montant : { role = "amount", funder = "Région", stage = "paid", kind = "loan", year = 2013, unit = 1000 }.',
        "[table.columns]",
    ]
    several = understood.missing and sum(column.role == "amount" for column in table.columns) > 1
    for column in table.columns:
        lines.append(
            f"{'# ' if several and column.role == 'amount' else ''}{_text(column.header)} = {_role(column)}"
        )
    lines += [
        f'# {_text(header)} = {{ role = "amount" }}' for header, why in table.ignored.items() if why == UNSURE
    ]
    lines += ["", "[table.ignored]"]
    for header, why in table.ignored.items():
        doubt = understood.missing and why == UNSURE  # neither read nor left out until a person has chosen
        lines.append(f"{'# ' if doubt else ''}{_text(header)} = {_text(why)}")
    return lines


def _rows_left_out(understood: Understood) -> list[str]:
    """The lines that are not data, listed, or told by a rule where they are too many."""
    table, grid = understood.sheet.tables[0], understood.grid
    numbers = list(table.skip_lines)
    if table.section_rows == "header":
        amount = next(
            header_columns(grid, table.header)[one.header] for one in table.columns if one.role == "amount"
        )
        head = str(grid.values.iat[table.header[1] - 1, amount]).strip()
        numbers = [line for line in numbers if str(grid.values.iat[line - 1, amount]).strip() != head]
    if len(numbers) <= LISTED_LINES and not table.skip_without_amount:
        return [f"skip_lines = {numbers}"] if numbers else []
    at = [header_columns(grid, table.header)[one.header] for one in table.columns if one.role == "amount"]
    kept = [line for line in numbers if any(_filled(grid.values.iat[line - 1, column]) for column in at)]
    return ["skip_without_amount = true", *([f"skip_lines = {kept}"] if kept else [])]


def _filled(value: object) -> bool:
    return value is not None and value == value and str(value).strip() != ""


def _role(column: ColumnRead) -> str:
    said = {"funder": column.funder, "stage": column.stage, "kind": column.kind, "year": column.year}
    more = [
        f"{key} = {_text(value) if isinstance(value, str) else value}" for key, value in said.items() if value
    ]
    if column.unit != 1:
        more.append(f"unit = {column.unit:g}")
    if column.role != "amount" and not more:
        return _text(column.role)
    return "{ " + ", ".join([f"role = {_text(column.role)}", *more]) + " }"


def _pair(key: str, value: str) -> str:
    return f"{key} = {_text(value)}"


def _text(value: str) -> str:
    """A TOML basic string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
