"""`data/processed`: the tidy tables as CSV with their description, and one workbook for people.

The folder is written aside, then takes the place of the old one in one step: a build that fails, or is
killed, leaves the last good one. The same data give the same bytes.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from openpyxl.utils import get_column_letter

from ess_analysis import french, schema
from ess_analysis.breakdowns import breakdown
from ess_analysis.checks import check
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load
from ess_analysis.schema import DAY, EURO, TEXT, WHOLE, Column
from ess_analysis.traces import corrections
from ess_analysis.workbooks import (
    LONGEST_SHEET,
    STRONG,
    WORDS,
    as_written,
    cell,
    laid_out,
    money_format,
    neutral,
    new_workbook,
    saved,
    table_sheet,
    text_sheet,
)

WORKBOOK = "synthese.xlsx"
PACKAGE = "datapackage.json"

_SOURCES = schema.Table(
    "sources",
    "Sources",
    "Une ligne par fichier lu.",
    tuple(
        Column(name, TEXT, label, meaning)
        for name, label, meaning in (
            ("path", "Fichier", "Chemin depuis le dossier de données."),
            ("sha256", "Empreinte", "Somme SHA-256 des octets lus."),
            ("title", "Titre", "Titre de la source."),
            ("producer", "Producteur", "Qui a produit le fichier."),
            ("date", "Date", "Date de la source."),
            ("licence", "Licence", "Conditions de réutilisation."),
            ("reliability", "Fiabilité", "Ce qu'il faut savoir avant de s'y fier."),
        )
    ),
)
_CORRECTIONS = schema.Table(
    "corrections",
    "Corrections",
    "Une ligne par cellule corrigée à la lecture.",
    tuple(
        Column(name, TEXT, label, meaning)
        for name, label, meaning in (
            ("file", "Fichier", "Chemin depuis le dossier de données."),
            ("sheet", "Feuille", "Feuille du classeur."),
            ("cell", "Cellule", "Adresse de la cellule."),
            ("expected", "Écrit", "Valeur écrite dans la source."),
            ("new", "Lu", "Valeur retenue."),
            ("reason", "Raison", "Pourquoi."),
        )
    ),
)
BUILT = {**schema.TABLES, "sources": _SOURCES, "corrections": _CORRECTIONS}


class BlockedError(DataError):
    """A blocking finding: the figures would be wrong, nothing is published."""


def build(data: str | Path = "data/raw", out: str | Path = "data/processed") -> list[Path]:
    """The files written in `out`: one CSV per tidy table, `datapackage.json` and the workbook.

    Raises DataError when the data cannot be read or `out` holds files of another origin, BlockedError on a
    blocking finding; the previous build is then left as it was.
    """
    tables = load(data)
    findings = check(tables)
    blocking = findings[findings["severity"].eq("blocking")]
    if len(blocking):
        raise BlockedError(
            "Rien n'est écrit : un constat bloquant fausserait les chiffres publiés.",
            seen=blocking["message"],
            todo="corrigez les données ; « ess check » dit où.",
        )
    frames = _frames(tables, findings)
    out = Path(out).resolve()
    _refuse_other_files(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    _clear_killed_builds(out)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-{os.getpid()}-", dir=out.parent))
    try:
        for name, frame in frames.items():
            _write_csv(frame, BUILT[name], aside / f"{name}.csv")
        (aside / WORKBOOK).write_bytes(_workbook(frames, tables))
        package = _package(frames, tables, aside)
        text = json.dumps(package, ensure_ascii=False, indent=2) + "\n"
        (aside / PACKAGE).write_text(text, encoding="utf-8")
        _take_place(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return sorted(path for path in out.iterdir() if not path.name.startswith("."))


def read_build(folder: str | Path) -> Tables:
    """The tidy tables of a build, as `load` gave them; sources are not read again.

    Amounts are then shown in the currency of the build, as with `load`.
    Raises DataError when the folder is not a build, or when one of its files has changed since.
    """
    folder = Path(folder)
    if not (folder / PACKAGE).is_file():
        raise DataError(
            f"Ce dossier n'a pas été écrit par « ess build » : {folder}.",
            seen=sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["dossier absent"],
            todo="indiquez un dossier écrit par « ess build ».",
        )
    package = json.loads((folder / PACKAGE).read_text(encoding="utf-8"))
    for resource in package["resources"]:
        if _sha256(folder / resource["path"]) != resource["hash"].removeprefix("sha256:"):
            raise DataError(
                f"Fichier modifié depuis son écriture : {folder / resource['path']}.",
                todo="relancez « ess build ».",
            )
    french.show_in(package.get("currency", "EUR"))
    frames: dict[str, Any] = {
        name: _read_csv(folder / f"{name}.csv", schema.TABLES[name]) for name in schema.TABLES
    }
    return Tables(**frames, readings=package.get("readings", {}), data=folder)


def built_corrections(folder: Path) -> pd.DataFrame:
    """The corrections that a build was made with."""
    return _read_csv(folder / "corrections.csv", _CORRECTIONS)


def _frames(tables: Tables, findings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every table to write, by name; its texts are neutral."""
    sources = [
        {**vars(source), "path": _inside(source.path, tables.data), "date": str(source.date)}
        for source in tables.sources
    ]
    corrected = [
        {name: str(value) for name, value in one.items()} for one in corrections(tables.data).values()
    ]
    frames = {
        **{name: getattr(tables, name) for name in schema.TABLES},
        "findings": findings,
        "sources": schema.typed(pd.DataFrame(sources), _SOURCES),
        "corrections": schema.typed(pd.DataFrame(corrected), _CORRECTIONS),
    }
    return {name: _mapped_texts(frame, BUILT[name], neutral) for name, frame in frames.items()}


def _inside(path: Path, data: Path) -> str:
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else path.name


def _mapped_texts(frame: pd.DataFrame, table: schema.Table, change: Any) -> pd.DataFrame:
    names = [column.name for column in table.columns if column.dtype == TEXT]
    return frame.assign(**{name: change(frame[name]) for name in names})


# --- CSV and its description ---------------------------------------------------------------------

_ARROW = {TEXT: pa.string(), EURO: pa.float64(), WHOLE: pa.int64(), DAY: pa.date32()}


def _write_csv(frame: pd.DataFrame, table: schema.Table, path: Path) -> None:
    columns = [
        pa.array(
            frame[column.name].astype("object").where(frame[column.name].notna(), None), _ARROW[column.dtype]
        )
        if column.dtype == DAY
        else pa.array(frame[column.name], _ARROW[column.dtype], from_pandas=True)
        for column in table.columns
    ]
    pacsv.write_csv(pa.table(columns, names=table.names), path)


def _read_csv(path: Path, table: schema.Table) -> pd.DataFrame:
    types = {column.name: _ARROW[column.dtype] for column in table.columns}
    found = pacsv.read_csv(
        path,
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    )
    frame = pd.DataFrame({name: found[name].to_pandas() for name in table.names})
    return _mapped_texts(schema.typed(frame, table), table, as_written)


_FIELD_TYPES = {TEXT: "string", EURO: "number", WHOLE: "integer", DAY: "date"}
_CLOSED = {"stage": schema.STAGES, "kind": schema.KINDS, "severity": schema.SEVERITIES}


def _package(frames: Mapping[str, pd.DataFrame], tables: Tables, folder: Path) -> dict[str, Any]:
    """The description of the folder, a Frictionless data package."""
    return {
        "name": "ess-analysis-processed",
        "profile": "tabular-data-package",
        "title": "Soutien public local à l'économie sociale et solidaire : tables",
        "description": "Tables écrites par « ess build ». Une valeur absente est vide. Une apostrophe "
        "précède les textes qu'un tableur prendrait pour une formule.",
        "sources": [
            {"title": str(source.title), "path": _inside(source.path, tables.data)}
            for source in tables.sources
        ],
        "currency": french.shown_in(),
        "readings": tables.readings or {},
        "resources": [
            _resource(BUILT[name], frame, folder / f"{name}.csv") for name, frame in frames.items()
        ],
    }


def _resource(table: schema.Table, frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    for column in table.columns:
        field: dict[str, Any] = {
            "name": column.name,
            "title": column.label,
            "type": _FIELD_TYPES[column.dtype],
        }
        field["description"] = column.meaning + (f" Unité : {column.unit_shown}." if column.unit else "")
        words = _CLOSED.get(column.name)
        if words and set(frame[column.name].dropna()) <= set(words):
            field["constraints"] = {"enum": list(words)}
        fields.append(field)
    described: dict[str, Any] = {"fields": fields, "missingValues": [""]}
    if table.key:
        described["primaryKey"] = list(table.key)
    if "record_id" in table.names and table.name != "records":
        reference = {"resource": "records", "fields": ["record_id"]}
        described["foreignKeys"] = [{"fields": ["record_id"], "reference": reference}]
    return {
        "name": table.name,
        "title": table.label,
        "description": table.meaning,
        "profile": "tabular-data-resource",
        "path": path.name,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{_sha256(path)}",
        "schema": described,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- The workbook for people ---------------------------------------------------------------------

_ABOUT = (
    "Ce classeur est écrit par « ess build » : ne le modifiez pas, il serait remplacé.",
    "Chaque ligne dit le fichier, la feuille et la cellule d'où elle vient. Une case vide est une valeur "
    "absente, jamais un zéro.",
    "Des montants d'étapes différentes (alloué, prévisionnel, accordé, versé) ne s'additionnent pas : la "
    "feuille Totaux les garde séparés.",
    "Une même somme peut figurer à plusieurs étapes ; la colonne « Détaille » dit quelle ligne une autre "
    "détaille.",
    "La feuille Annoncé et détaillé compare chaque total écrit dans un document à la somme de ses lignes.",
)


def _workbook(frames: Mapping[str, pd.DataFrame], tables: Tables) -> bytes:
    """The bytes of the workbook: totals as formulas, one sheet per table, findings, sources."""
    book = new_workbook("Soutien à l'économie sociale et solidaire : tables")
    too_long = [BUILT[name].label for name, frame in frames.items() if len(frame) > LONGEST_SHEET]
    said = [
        *_ABOUT,
        *(f"{label} : table trop longue pour un classeur, voir le fichier CSV." for label in too_long),
    ]
    text_sheet(book, "Lisez-moi", said)
    shown = {name: frame for name, frame in frames.items() if len(frame) <= LONGEST_SHEET}
    if "funding" in shown:
        _totals_sheet(book, shown["funding"])
        _stated_sheet(book, shown)
    for name, frame in shown.items():
        table_sheet(book, BUILT[name], frame)
    return saved(book)


# Totals: each is a formula over the sheet of amounts, so that it follows a correction made by hand.
_TOTAL_KEYS = ("stage", "kind", "funder", "year")
MOST_TOTALS = 400  # lines of totals; past them a spreadsheet would be slow, and funders are not told apart


def _totals_sheet(book: Any, funding: pd.DataFrame) -> None:
    """Totals by stage and form, then by funder and year."""
    sheet = book.create_sheet("Totaux")
    labels = {column.name: column.label for column in schema.FUNDING.columns}
    heads = [*(labels[key] for key in _TOTAL_KEYS), "Montant", "Nombre de montants"]
    laid_out(sheet, zip(heads, (22, 22, 34, 12, 20, 20), strict=True))
    amounts = _range("funding", "amount_eur", len(funding))
    lines = schema.conform(funding.assign(part_of=None), "funding")  # each stage is told for itself
    row = 1
    few = len(funding[list(_TOTAL_KEYS)].drop_duplicates()) <= MOST_TOTALS
    details = _TOTAL_KEYS if few else tuple(key for key in _TOTAL_KEYS if key != "funder")
    for keys, style in ((("stage", "kind"), STRONG), (details, {})):
        for one in breakdown(lines, list(keys), gaps=False).to_dict(orient="records"):
            row += 1
            same = "*".join(
                _equal(_range("funding", key, len(funding)), f"{column}{row}", _missing(key))
                for column, key in zip("ABCD", _TOTAL_KEYS, strict=True)
                if key in keys
            )
            words = [WORDS.get(key, {}).get(str(one.get(key)), one.get(key, "tous")) for key in _TOTAL_KEYS]
            sheet.append(
                [
                    *(cell(sheet, word, style=style) for word in words),
                    cell(sheet, f"=SUMPRODUCT({same},{amounts})", money_format(), style=style),
                    cell(sheet, f"=SUMPRODUCT({same}*ISNUMBER({amounts}))", "0", style=style),
                ]
            )


def _stated_sheet(book: Any, shown: Mapping[str, pd.DataFrame]) -> None:
    """Each total that a document announces, the sum of its lines, and what they miss."""
    sheet = book.create_sheet("Annoncé et détaillé")
    heads = ("Total annoncé", "Table", "Concerne", "Année", "Annoncé", "Somme des lignes", "Non détaillé")
    laid_out(sheet, zip(heads, (50, 10, 28, 10, 18, 18, 18), strict=True))
    homes = {  # where the lines of each measure are, and what ties them to their table
        "funding": ("funding", "funding_id", "!", "funder", "amount_eur"),
        "delivery": ("delivery", "record_id", "/", "operator", "amount_eur"),
        "row_total": ("records", "record_id", "/", "", "row_total_eur"),
    }
    totals = shown.get("stated_totals", schema.empty("stated_totals"))
    row = 1
    for total in totals[totals["amount_eur"].notna()].to_dict(orient="records"):
        home, tie, mark, who, amount = homes.get(total["measure"], ("", "", "", "", ""))
        if home not in shown:
            continue
        row += 1
        long = len(shown[home])
        same = [f'EXACT(LEFT({_range(home, tie, long)},LEN(B{row})+1),B{row}&"{mark}")']
        concerned = total[who] if who else None
        same += [_equal(_range(home, who, long), f"C{row}")] if pd.notna(concerned) else []
        dated = home == "funding" and pd.notna(total["year"])
        same += [_equal(_range(home, "year", long), f"D{row}")] if dated else []
        lines = f"=SUMPRODUCT({'*'.join(same)}*1,{_range(home, amount, long)})"
        facts = [total["covers"], total["table_id"], concerned, total["year"]]
        figures = [total["amount_eur"], lines, f"=E{row}-F{row}"]
        sheet.append(
            [cell(sheet, fact) for fact in facts] + [cell(sheet, f, money_format()) for f in figures]
        )


def _range(name: str, column: str, rows: int) -> str:
    """The cells of a column of a table, in its sheet."""
    letter = get_column_letter(BUILT[name].names.index(column) + 1)
    return f"'{BUILT[name].label}'!${letter}$2:${letter}${max(rows, 1) + 1}"


def _equal(cells: str, wanted: str, missing: str = "") -> str:
    """Where the cells hold the text of `wanted`, capitals included; a blank where that says `missing`."""
    value = f'IF({wanted}="{missing}","",{wanted})' if missing else wanted
    return f"EXACT({cells},{value})"


def _missing(key: str) -> str:
    return schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)


# --- Taking the place of the previous build ------------------------------------------------------

_KEPT = {".gitkeep", ".gitignore"}


def _refuse_other_files(out: Path) -> None:
    """A folder that holds anything else than a build is not replaced."""
    if out.exists() and not out.is_dir():
        raise DataError(f"Ce n'est pas un dossier : {out}.", todo="indiquez un dossier avec --out.")
    ours = {*(f"{name}.csv" for name in BUILT), PACKAGE, WORKBOOK, *_KEPT}
    others = sorted(path.name for path in out.iterdir() if path.name not in ours) if out.is_dir() else []
    if others:
        raise DataError(
            f"Ce dossier contient d'autres fichiers, qu'un nouveau calcul effacerait : {out}.",
            seen=others,
            todo="indiquez un dossier vide ou nouveau avec --out.",
        )


def _clear_killed_builds(out: Path) -> None:
    """What killed builds left aside is removed; a build put aside at the moment of the swap is put back."""
    for path in sorted(out.parent.glob(f".{out.name}-*-*")):
        number = path.name.removeprefix(f".{out.name}-").split("-")[0]
        if number.isdigit() and int(number) != os.getpid() and not _alive(int(number)):
            if path.name.endswith("-old") and not out.exists():
                path.rename(out)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _take_place(aside: Path, out: Path) -> None:
    """Put the folder `aside` in the place of `out`, in one step where the system can."""
    for name in _KEPT:
        if (out / name).is_file():
            shutil.copyfile(out / name, aside / name)
    aside.chmod(0o755)
    if not out.exists():
        aside.rename(out)
    elif not _exchanged(aside, out):
        old = aside.with_name(f"{aside.name}-old")
        out.rename(old)
        aside.rename(out)
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system exchanged the two folders in one step (Linux: renameat2)."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
