"""A data folder → its tidy tables: every raw file verified against its source sheet, then read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ess_analysis import ahead, french, schema
from ess_analysis.errors import DataError
from ess_analysis.load.annotations import corrections_of, readings_of, remarks_of
from ess_analysis.load.reading import read_file
from ess_analysis.load.tidy import Tables, joined
from ess_analysis.sources import SourceSheet, TableRead, read_source_sheet, verify

SETTINGS_FILES = {"readings.toml", "corrections.toml"}
SETTINGS_FOLDERS = {"scenarios"}
RAW_SUFFIXES = {".xlsx", ".xls", ".ods", ".csv", ".tsv", ".json", ".txt", ".zip", ".xlsm"}


def load(data: str | Path = "data/raw") -> Tables:
    """The tidy tables read from the folder `data`: every raw file, its bytes checked against its sheet.

    From then on amounts are shown in the currency of this folder: the last one read gives the sign.
    Raises DataError on a missing folder, a raw file without a sheet, a changed byte, an undeclared header
    or a cell that cannot be read.
    """
    folder = _found(Path(data))
    if (known := ahead.tables_of(folder)) is not None:
        french.show_in(_one_currency(known.sources))
        return known
    if not folder.is_dir():
        raise DataError(
            f"Dossier de données absent : {folder}.",
            seen=[folder.resolve()],
            todo="indiquez le bon dossier avec --data, ou placez-vous dans le dossier du projet.",
        )
    sheets = source_sheets(folder)
    corrections = corrections_of(folder)
    tables = joined([read_file(sheet, folder, corrections) for sheet in _qualified(sheets, folder)])
    _unique_keys(tables)
    french.show_in(_one_currency(sheets))
    return replace(
        tables,
        sources=tuple(sheets),
        readings=readings_of(folder),
        remarks=remarks_of(folder),
        data=folder,
    )


def _one_currency(sheets: Iterable[SourceSheet]) -> str:
    """The currency of the amounts of the folder, euros if there are none; DataError on two."""
    found = {sheet.currency: sheet.path.name for sheet in sheets if sheet.tables}
    if len(found) > 1:
        raise DataError(
            "Deux monnaies dans le même dossier de données.",
            seen=[f"{name} : {currency}" for currency, name in found.items()],
            todo="placez chaque monnaie dans un dossier à part : rien n’est converti.",
        )
    return next(iter(found), "EUR")


def _found(folder: Path) -> Path:
    """The folder, from here or from the nearest parent that has it (a notebook runs in `notebooks/`)."""
    if folder.is_absolute() or folder.is_dir():
        return folder
    places = [parent / folder for parent in Path.cwd().parents]
    return next((place for place in places if place.is_dir()), folder)


def source_sheets(folder: Path) -> list[SourceSheet]:
    """The verified source sheets of the folder, by path; a raw file that has none is a DataError."""
    raw = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_raw(path, folder)]
    links = [path for path in raw if path.is_symlink()]
    if links:
        raise DataError(
            f"Un lien symbolique n'est pas suivi dans {folder}.",
            seen=[path.relative_to(folder) for path in links],
            todo="copiez le fichier lui-même dans le dossier.",
        )
    sheets = [read_source_sheet(path) for path in sorted(folder.rglob("*.toml")) if _is_sheet(path, folder)]
    sheets = [verify(sheet) for sheet in sheets]
    declared = {sheet.path.resolve() for sheet in sheets}
    orphans = [path for path in raw if path.resolve() not in declared]
    if orphans:
        raise DataError(
            f"Fichier de données sans fiche source dans {folder}.",
            seen=[path.relative_to(folder) for path in orphans],
            todo="écrivez sa fiche avec « ess read FICHIER --draft », ou retirez le fichier du dossier.",
        )
    if not sheets:
        raise DataError(
            f"Aucune donnée dans {folder}.",
            seen=[path.name for path in sorted(folder.iterdir())],
            todo="déposez un fichier et sa fiche source (.toml).",
        )
    return sheets


def _is_raw(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    lock_file = path.name.startswith(("~$", "."))
    return path.suffix.lower() in RAW_SUFFIXES and inside[0] not in SETTINGS_FOLDERS and not lock_file


def _is_sheet(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return path.name not in SETTINGS_FILES and inside[0] not in SETTINGS_FOLDERS


def _qualified(sheets: list[SourceSheet], folder: Path) -> list[SourceSheet]:
    """The sheets, their table ids unique: one already taken is qualified by its folder (« mel_2015:A1 »)."""
    taken: set[str] = set()
    result = []
    for sheet in sheets:
        ids = [table.id for table in sheet.tables]
        if len(set(ids)) < len(ids):
            raise DataError(
                f"Deux tables portent le même identifiant dans {sheet.toml}.",
                seen=ids,
                todo="donnez à chaque [[table]] un id qui lui est propre.",
            )
        if taken & set(ids):
            where = sheet.path.parent.relative_to(folder).as_posix()
            prefix = next(
                p for p in (where, f"{where}/{sheet.path.name}") if not taken & {f"{p}:{i}" for i in ids}
            )
            sheet = replace(sheet, tables=tuple(_renamed(table, prefix, set(ids)) for table in sheet.tables))
        taken |= {table.id for table in sheet.tables}
        result.append(sheet)
    return result


def _renamed(table: TableRead, prefix: str, ids: set[str]) -> TableRead:
    def own(reference: str) -> str:
        return f"{prefix}:{reference}" if reference.split("!")[0] in ids else reference

    return replace(
        table,
        id=own(table.id),
        part_of=own(table.part_of),
        columns=tuple(replace(column, part_of=own(column.part_of)) for column in table.columns),
        totals=tuple(replace(total, covers=own(total.covers)) for total in table.totals),
    )


def _unique_keys(tables: Tables) -> None:
    for name in ("funding", "stated_totals", "records"):
        frame, key = getattr(tables, name), schema.TABLES[name].key[0]
        twice = frame.loc[frame[key].duplicated(keep=False), key].unique()
        if len(twice):
            raise DataError(
                "Deux lignes portent le même identifiant dans les tables lues.",
                seen=twice,
                todo="donnez à chaque [[table]] un id qui lui est propre.",
            )
    known = set(tables.stated_totals["total_id"])
    named = pd.Series(tables.funding["part_of"].dropna().unique(), dtype="str")
    lost = sorted(set(named[~named.isin(tables.funding["funding_id"])]) - known)
    if lost:
        raise DataError(
            "Une fiche source renvoie (part_of) à un montant qui n’existe pas.",
            seen=lost,
            todo="écrivez l’identifiant du montant détaillé : table!cellule, par exemple T1!C6.",
        )
