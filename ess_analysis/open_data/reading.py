"""`ess read` and `ess_analysis.read`: a published file → tidy tables, what was understood, findings."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema, terminal
from ess_analysis.errors import DataError
from ess_analysis.grids import TEXTS, Grid, read_grids
from ess_analysis.load import Tables, joined, load_grid, read_file
from ess_analysis.open_data import big
from ess_analysis.open_data.choosing import tables_left
from ess_analysis.open_data.drafts import write_draft
from ess_analysis.open_data.several import understand_all
from ess_analysis.open_data.told import first_rows, told
from ess_analysis.open_data.understanding import Understood
from ess_analysis.sources import AMOUNT_ROLES, SourceSheet, read_source_sheet, sha256

FINE, BLOCKED, REFUSED = 0, 1, 2


def read(path: str | Path, *, sheet: str | None = None, source: str | Path | None = None) -> Tables:
    """The tidy tables of one published file: .csv .tsv .xlsx .xls .ods .json, or a .zip of one.

    Without `source` (a source sheet), the file is read only if it leaves no doubt: what was understood is in
    `Tables.sources[0]`, what is doubtful in `findings`. Amounts are in the currency of the source sheet, and
    shown in it from then on: the last file or folder read gives the sign.
    Raises DataError, with what is missing, on a file that cannot be read with certainty.
    """
    path = _existing(Path(path))
    if source:
        return _read_with(path, read_source_sheet(Path(source)), sheet)
    grids = list(read_grids(path))
    each = understand_all(path, grids, sheet)
    if missing := [one for understood in each for one in understood.missing]:
        raise DataError(
            f"Ce fichier ne se lit pas avec certitude : {path.name}.",
            seen=missing,
            todo="dites-le dans une fiche source : « ess read FICHIER --draft » la prépare, « --source FICHE » la lit.",
        )
    french.show_in(each[0].sheet.currency)
    parts = [_loaded(path, understood) for understood in each]
    tables = tuple(understood.sheet.tables[0] for understood in each)
    said = replace(joined(parts), sources=(replace(each[0].sheet, tables=tables),), data=path.parent)
    return replace(
        said, findings=_with_sheets_left(said.findings, tables_left(grids, sheet) if sheet else [], path)
    )


def _loaded(path: Path, understood: Understood) -> Tables:
    """The tables of one table of a file, with what was found while reading it."""
    source = _source(path, understood.grid)
    tables = load_grid(understood.grid, understood.sheet.tables[0], understood.sheet, source)
    return replace(tables, findings=_findings(tables, understood))


def _with_sheets_left(findings: pd.DataFrame, left: list[str], path: Path) -> pd.DataFrame:
    """The findings, with the sheets that were not asked for and hold a table too."""
    if not left:
        return findings
    text = f"Autres feuilles de montants, non lues : {french.listing(f'« {name} »' for name in left)}."
    note = {"code": "READ-SHEET-UNREAD", "severity": "alert", "message": text, "source": path.name}
    return pd.concat([schema.conform(pd.DataFrame([note]), "findings"), findings], ignore_index=True)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"Fichier absent : {path}.", seen=[path.resolve()], todo="vérifiez le chemin.")
    return path


def _source(path: Path, grid: Grid) -> str:
    return f"{path.name}/{grid.member}" if grid.member else path.name


def _read_with(path: Path, sheet: SourceSheet, name: str | None) -> Tables:
    """The tables of a file as a source sheet says; the sheet may have been written beside another copy of it."""
    found = sha256(path)
    if sheet.sealed and found != sheet.sha256:
        raise DataError(
            f"La fiche source a été écrite pour un autre fichier : {path.name}.",
            seen=[f"attendu {sheet.sha256}", f"trouvé {found}"],
            todo=f"relisez le fichier, puis mettez sha256 à jour dans {sheet.toml}.",
        )
    kept = [table for table in sheet.tables if name is None or table.sheet == name]
    if not kept:
        raise DataError(
            f"Aucune table à lire : {sheet.toml}.",
            seen=[table.sheet for table in sheet.tables] or ["aucune [[table]]"],
            todo="ajoutez une [[table]] à la fiche source, ou changez --sheet.",
        )
    if not any(column.role in AMOUNT_ROLES for table in kept for column in table.columns):
        raise DataError(
            f"La fiche source ne déclare aucun montant : {sheet.toml}.",
            seen=[f"« {column.header} » ({column.role})" for table in kept for column in table.columns],
            todo='donnez le rôle « amount » à une colonne : "Montant" = { role = "amount" }.',
        )
    declared = replace(sheet, path=path, tables=tuple(kept), sha256=found)
    french.show_in(sheet.currency)
    return replace(read_file(declared, path.parent, []), sources=(declared,), data=path.parent)


def _findings(tables: Tables, understood: Understood) -> pd.DataFrame:
    """What reading found: an amount, or a kind, that cannot be read is blocking, since no one said what to do of it."""
    told = tables.findings
    lost = told["code"].isin(["READ-AMOUNT", "READ-KIND"])
    told = told.assign(severity=told["severity"].mask(lost, "blocking"))
    notes = [
        {"code": one.code, "severity": one.severity, "message": one.message, "cell": one.cell, "stated": one.stated,
         "source": _source(understood.sheet.path, understood.grid), "sheet": understood.grid.sheet}
        for one in understood.notes
    ]  # fmt: skip
    notes += _kinds_note(tables, _source(understood.sheet.path, understood.grid))
    more = schema.conform(pd.DataFrame(notes), "findings") if notes else schema.empty("findings")
    return pd.concat([more, told], ignore_index=True) if len(more) or len(told) else schema.empty("findings")


# --- The command ---------------------------------------------------------------------------------


def command(options: argparse.Namespace) -> int:
    """The exit code of `ess read`: 0 fine, 1 a blocking finding, 2 a file refused."""
    code = FINE
    summaries: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    with_rows = not (options.summary or options.draft)
    for path in options.files:
        try:
            if options.draft:
                target = write_draft(_existing(path), options.sheet)
                print(f"Fiche source à compléter : {target}", file=sys.stderr)
            said, sheet, funding = _read_one(path, options)
        except DataError as error:
            print(error, file=sys.stderr)
            code = REFUSED
            continue
        code = max(code, BLOCKED if _blocks(said) else FINE)
        if options.format == "table":
            print("\n" * (with_rows and bool(frames)) + told(said, sheet))
            if with_rows:  # at once, while the currency of this file is in force
                _print_first(funding)
        elif not options.summary:
            _say(said)
        summaries.append(said)
        frames.append(funding)
    if options.format == "table":
        return code
    if with_rows:
        _print_all(frames, options.format)
    elif options.format == "json":
        print(json.dumps(summaries, ensure_ascii=False, indent=2))
    elif summaries:
        print(terminal.rendered(_flat(summaries), "csv"))
    return code


def _read_one(path: Path, options: argparse.Namespace) -> tuple[dict[str, Any], SourceSheet, pd.DataFrame]:
    """What is said of a file, how it was read, its rows (none where only its sums were asked for and it is large)."""
    if options.summary and not (options.sheet or options.source) and (found := _summed(path)):
        return *found, schema.empty("funding")
    tables = read(path, sheet=options.sheet, source=options.source)
    return summary(path, tables), tables.sources[0], tables.funding


def _print_first(funding: pd.DataFrame) -> None:
    rows, rest = first_rows(funding)
    print("\n" + terminal.rendered(rows, "table"))
    if rest:
        print(rest)


def _print_all(frames: list[pd.DataFrame], how: str) -> None:
    if frames:
        print(terminal.rendered(pd.concat(frames, ignore_index=True), how))


def _blocks(said: dict[str, Any]) -> bool:
    return any(one["severity"] == "blocking" for one in said["findings"])


def _summed(path: Path) -> tuple[dict[str, Any], SourceSheet] | None:
    """The summary of a text file too large to be kept whole; None where it must be, or may as well be."""
    if not path.is_file() or path.stat().st_size < big.LARGE or path.suffix.lower() not in TEXTS:
        return None
    try:
        found = big.sums(path, ("year", "kind"))
    except big.Undecided:
        return None
    table = found.sheet.tables[0]
    kinds = set(found.by["kind"].loc[found.by["kind"]["count"] > 0, "kind"])
    if len(kinds) > 1 and kinds & {"loan", "guarantee"}:
        return None
    amount = float(round(found.total, 2))
    said = {
        "file": str(path),
        "rows": found.amounts,
        "amount_eur": amount,
        "currency": found.sheet.currency,
        "by_kind": _by_key(found.by["kind"], "kind"),
        "by_stage": {table.stage or schema.MISSING_LABEL: amount},
        "by_year": _by_key(found.by["year"], "year"),
        "standard": found.sheet.standard,
        "encoding": found.sheet.encoding,
        "delimiter": found.sheet.delimiter,
        "sheet": "",
        "header_row": table.header[1],
        "findings": terminal.records(found.findings),
    }
    return said, found.sheet


def _by_key(frame: pd.DataFrame, key: str) -> dict[str, float]:
    frame = frame[frame["count"] > 0]
    totals = frame.assign(key=frame[key].astype("str")).groupby("key")["amount_eur"].sum()
    return {str(name): float(round(total, 2)) for name, total in totals.items()}


def _say(said: dict[str, Any]) -> None:
    for one in said["findings"]:
        print(f"{schema.SEVERITY_LABELS[one['severity']]} · {one['message']}", file=sys.stderr)


def summary(path: Path, tables: Tables) -> dict[str, Any]:
    """What was read of one file, amounts in `currency`.

    `rows` and `amount_eur` are those of the amount that the file publishes, as it publishes it (the lines that
    hold it, or all lines where several columns share it); `by_kind` tells
    what of it is cash, and gives the loans, guarantees and aid in kind that other columns hold, never added.
    `amount_eur` is null where the file mixes stages, or loans with grants: `by_stage` and `by_kind` give each.
    Where it mixes stages, each kind and each year holds an amount by stage: what was awarded and paid is not added.
    """
    source, known = tables.sources[0], tables.funding["amount_eur"].notna()
    funding, main = tables.funding[known], tables.funding[known & _principal(tables.funding)]
    grants = main[main["kind"].eq("cash")] if _lent(main) else main
    stages = main["stage"].fillna("").nunique()
    return {
        "file": str(path),
        "rows": len(main) if _columns(main) < 2 else len(tables.records),
        "amount_eur": _sum(main) if len(main) and stages < 2 and not _lent(main) else None,
        "currency": source.currency,
        "by_kind": _by(funding, "kind", *(["stage"] if stages > 1 else [])),
        "by_stage": _by(grants, "stage"),
        "by_year": _by(grants, "year", *(["stage"] if stages > 1 else [])),
        "standard": source.standard,
        "encoding": source.encoding,
        "delimiter": source.delimiter,
        "sheet": ", ".join(table.sheet for table in source.tables),
        "header_row": source.tables[0].header[1],
        "findings": terminal.records(tables.findings),
    }


def _principal(funding: pd.DataFrame) -> pd.Series:
    """Whether a row is of the amount that the file publishes: a column of loans beside it is another amount."""
    cash = funding["kind"].eq("cash")
    return cash | ~funding["record_id"].isin(funding.loc[cash, "record_id"])


def _lent(main: pd.DataFrame) -> bool:
    """Whether grants and loans or guarantees stand in the same column: no one sum is theirs."""
    kinds = set(main["kind"].dropna())
    return len(kinds) > 1 and bool(kinds & {"loan", "guarantee"})


def _kinds_note(tables: Tables, source: str) -> list[dict[str, Any]]:
    """That the column of amounts holds several kinds, and what each is worth."""
    main = tables.funding[tables.funding["amount_eur"].notna() & _principal(tables.funding)]
    if main["kind"].nunique() < 2:
        return []
    each = french.listing(
        f"{schema.KIND_LABELS[str(kind)]} {french.money(total)}"
        for kind, total in main.groupby("kind")["amount_eur"].sum().items()
    )
    whole = "" if _lent(main) else "le total lu est celui de la colonne, "
    text = f"La colonne des montants mêle plusieurs formes d'aide ({each}) : {whole}les ventilations ne les additionnent pas."
    return [{"code": "READ-KINDS", "severity": "alert", "message": text, "source": source}]


def _columns(funding: pd.DataFrame) -> int:
    """How many columns the amounts come from."""
    return int(funding["cell"].str.extract("([A-Z]+)", expand=False).nunique())


def _sum(funding: pd.DataFrame) -> float:
    """The exact sum, to the cent."""
    from decimal import Decimal

    return float(round(sum(map(Decimal, funding["amount_eur"].map(repr)), Decimal(0)), 2))


def _by(funding: pd.DataFrame, column: str, *within: str) -> dict[str, Any]:
    """The sum of each value of a column; of each value of `within` inside it."""
    keys = (
        funding[column]
        .astype("object")
        .where(funding[column].notna(), schema.MISSING_LABELS.get(column, schema.MISSING_LABEL))
    )
    return {
        str(key): _by(rows, *within) if within else _sum(rows)
        for key, rows in funding.groupby(keys.astype("str"))
    }


def _flat(summaries: list[dict[str, Any]]) -> pd.DataFrame:
    """The facts of each file that fit in one cell."""
    return pd.DataFrame(
        [
            {key: value for key, value in one.items() if not isinstance(value, (dict, list))}
            for one in summaries
        ]
    )
