"""Grids → tidy tables, driven by the source sheets; corrections.

A column is read whole and only its distinct values are looped over: a workbook of twelve rows and a published
file of a million go the same way.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import ahead, french, identifiers, schema, territories
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid, read_grids
from ess_analysis.sources import (
    AMOUNT_ROLES,
    OUTSIDE,
    RECORD_ROLES,
    UNSEALED,
    ColumnRead,
    SourceSheet,
    TableRead,
    TotalRead,
    read_source_sheet,
    verify,
)
from ess_analysis.totals import counted_totals, may_be_totals, summing_up

SETTINGS_FILES = {"readings.toml", "corrections.toml"}
SETTINGS_FOLDERS = {"scenarios"}
SHOWN_NOTES = 100  # notes of one kind kept for one column; the rest are counted
RAW_SUFFIXES = {".xlsx", ".xls", ".ods", ".csv", ".tsv", ".json", ".txt", ".zip", ".xlsm"}

# Words of stage and kind columns; a source sheet may add others under [names.stage] and [names.kind].
STAGE_WORDS = {
    **{label: stage for stage, label in schema.STAGE_LABELS.items()},
    "alloué": "allocated",
    "enveloppe allouée": "allocated",
    "voté": "awarded",
    "mandaté": "paid",
}
KIND_WORDS = {
    **{label: kind for kind, label in schema.KIND_LABELS.items()},
    "aide en numéraire": "cash",
    "subvention en numéraire": "cash",
    "aide financière": "cash",
    "subvention": "cash",
    "subvention de fonctionnement": "cash",
    "subvention d'investissement": "cash",
    "subvention d'équipement": "cash",
    "subvention exceptionnelle": "cash",
    "aide en nature": "in_kind",
    "en nature": "in_kind",
    "prestation en nature": "in_kind",
    "mise à disposition": "in_kind",
    "in kind": "in_kind",
    "prêt de matériel": "in_kind",
    "prêt de salle": "in_kind",
    "prêt de locaux": "in_kind",
    "grant": "cash",
    "loan": "loan",
    "guarantee": "guarantee",
    "prêt d'honneur": "loan",
    "prêt participatif": "loan",
    "microcrédit": "loan",
    "garantie d'emprunt": "guarantee",
    "garantie de prêt": "guarantee",
    "prêt à taux zéro": "loan",
    "avance remboursable": "loan",
    "avance récupérable": "loan",
    "garantie": "guarantee",
    "cautionnement": "guarantee",
}
MIXED = "cash+"  # a line of cash and kind together, whose shares the source does not give: kept in cash, told
CARRIED = ("axis", "title")  # roles whose merged cell makes one record of several lines, or one axis of many


@dataclass(frozen=True)
class Tables:
    """The tidy tables of a data folder, with what was said while reading them."""

    funding: pd.DataFrame
    delivery: pd.DataFrame
    places: pd.DataFrame
    indicators: pd.DataFrame
    stated_totals: pd.DataFrame
    records: pd.DataFrame
    findings: pd.DataFrame
    sources: tuple[SourceSheet, ...] = ()
    readings: dict[str, Any] | None = None
    remarks: pd.DataFrame | None = None
    data: Path = Path("data/raw")


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
    corrections = _corrections(folder)
    tables = joined([read_file(sheet, folder, corrections) for sheet in _qualified(sheets, folder)])
    _unique_keys(tables)
    french.show_in(_one_currency(sheets))
    return replace(
        tables,
        sources=tuple(sheets),
        readings=_readings(folder),
        remarks=_remarks(folder),
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


def domains(tables: Tables) -> dict[str, list[Any]]:
    """The years, territories and funders of the data, as a report may be asked for each of them.

    Years are those written and those of the periods covered, dated amounts or not.
    """
    funding = tables.funding
    years = set(funding["year"].dropna().astype("int64"))
    periods = funding[["period_start", "period_end"]].dropna().drop_duplicates()
    for start, end in periods.itertuples(index=False):
        years |= set(range(start.year, end.year + 1))
    return {
        "years": [int(year) for year in sorted(years)],
        "territories": sorted(tables.places["territory"].dropna().unique(), key=french.strip_accents),
        "funders": sorted(funding["funder"].dropna().unique(), key=french.strip_accents),
    }


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


def _readings(folder: Path) -> dict[str, Any]:
    """The readings of ambiguous points found in the folder, by name."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("readings.toml")):
        found |= _toml(path)
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"Fichier illisible : {path}.", seen=[error], todo="corrigez la ligne indiquée."
        ) from error


def _remarks(folder: Path) -> pd.DataFrame:
    """The remarks written beside the data that no check finds by itself: place, remark, treatment.

    Those of `anomalies.csv` whose `controle`, the code of the check that finds them, is empty.
    """
    names = {
        "id": "remark_id",
        "lieu": "place",
        "constat": "remark",
        "calcul": "sum",
        "traitement": "treatment",
    }
    frames = [
        pd.read_csv(path, dtype="str", keep_default_na=False)
        for path in sorted(folder.rglob("anomalies.csv"))
    ]
    if not frames:
        return pd.DataFrame(columns=list(names.values()))
    listed = pd.concat(frames, ignore_index=True).reindex(columns=[*names, "controle"]).fillna("")
    kept = listed[listed["controle"].eq("")].rename(columns=names)
    return kept[list(names.values())].reset_index(drop=True)


# --- Corrections ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Correction:
    """One line of `corrections.toml`: where, what was expected there, what is read instead, why."""

    file: str
    sheet: str
    cell: str
    column: str
    expected: str
    new: str | int | float
    reason: str
    status: (
        str  # applied: read instead; display: the wrong words stay, what was meant is told; proposed: told
    )

    def __post_init__(self) -> None:
        if self.status not in _CORRECTION_WORDS or not re.fullmatch(r"[A-Z]{1,3}[1-9]\d*", self.cell):
            raise ValueError(f"status = {self.status}, cell = {self.cell}")


_CORRECTION_WORDS = {
    "applied": "« {expected} » est lu « {new} » : {reason}",
    "display": "« {expected} » est cité tel quel ; comprendre « {new} » : {reason}",
    "proposed": "« {expected} » : correction proposée, « {new} » ({reason}) ; rien n’est changé.",
}


def _corrections(folder: Path) -> list[Correction]:
    """The corrections of the folder; DataError on a line that is not complete, or speaks of no file."""
    found = []
    for path in sorted(folder.rglob("corrections.toml")):
        for said in _toml(path).get("correction", []):
            try:
                one = Correction(**{"sheet": "", **said})
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"Correction mal écrite : {path}.",
                    seen=[f"{key} = {value}" for key, value in said.items()],
                    todo="donnez file, sheet, cell, column, expected, new, reason et status "
                    f"({', '.join(_CORRECTION_WORDS)}).",
                ) from error
            if not (folder / one.file).is_file():
                raise DataError(
                    f"Correction d’un fichier absent : {path}.",
                    seen=[one.file],
                    todo="écrivez le chemin depuis le dossier de données, ou retirez la correction.",
                )
            found.append(one)
    return found


def _corrected(
    grid: Grid, columns: Mapping[str, int], source: str, corrections: list[Correction]
) -> tuple[Grid, list[dict[str, Any]]]:
    """The grid with its corrections made, and what is told of them; a changed source is a DataError."""
    values, notes = grid.values, []
    for one in corrections:
        row, column = _position(one.cell)
        if (one.file, one.sheet) != (source, grid.sheet) or column not in columns.values():
            continue
        found = _text(values.iat[row, column]) if row < len(values) else None
        if columns.get(french.nfc(one.column)) != column or found != french.nfc(one.expected):
            raise DataError(
                f"Correction périmée : {source}, feuille « {grid.sheet} », {one.cell}.",
                seen=[f"attendu « {one.expected} » sous « {one.column} »", f"trouvé {found}"],
                todo="relisez la cellule, puis corrigez ou retirez la correction dans corrections.toml.",
            )
        if one.status == "applied":
            values = values.copy()
            values[column] = values[column].astype("object")
            values.iat[row, column] = one.new
        message = _CORRECTION_WORDS[one.status].format(**vars(one))
        notes.append(
            {
                "code": f"READ-CORRECTION-{one.status.upper()}",
                "severity": "info",
                "message": message,
                "source": source,
                "sheet": grid.sheet,
                "cell": one.cell,
                "stated": one.expected,
                "computed": str(one.new),
            }
        )
    return replace(grid, values=values), notes


def _position(cell: str) -> tuple[int, int]:
    """Row and column of an address, from 0: G5 is (4, 6)."""
    letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return int(row) - 1, number - 1


# --- One file ------------------------------------------------------------------------------------


def read_file(sheet: SourceSheet, folder: Path, corrections: list[Correction]) -> Tables:
    """The tidy tables of one raw file of `folder`, as its source sheet says to read it."""
    if not sheet.tables:
        return joined([])
    source = sheet.path.relative_to(folder).as_posix()
    read = read_grids(sheet.path, sheet.encoding, sheet.delimiter)
    grids = {grid.name: grid for grid in read}  # the files of an archive are its sheets
    for one in corrections:
        if one.file == source and one.sheet not in grids:
            raise DataError(
                f"Correction d’une feuille absente : {source}.", seen=[one.sheet], todo="corrigez sheet."
            )
    parts = [
        load_grid(_sheet_of(table, grids, sheet), table, sheet, source, corrections) for table in sheet.tables
    ]
    whole = joined(parts)
    notes = [*_recap_notes(parts, sheet, source)]
    told = (
        pd.concat([whole.findings, schema.conform(pd.DataFrame(notes), "findings")])
        if notes
        else whole.findings
    )
    return replace(whole, findings=told.reset_index(drop=True))


def _recap_notes(parts: list[Tables], sheet: SourceSheet, source: str) -> Iterator[dict[str, Any]]:
    """The table of a file whose amounts are the sum of those of all the others, of the same stage."""
    stages = {stage for part in parts for stage in part.funding["stage"].fillna("")}
    sums = [round(float(part.funding["amount_eur"].sum()) * 100) for part in parts]
    detailed = any(column.part_of for table in sheet.tables for column in table.columns)
    if len(stages) > 1 or detailed or any(table.part_of for table in sheet.tables):
        return
    if (at := summing_up(sums)) is None:
        return
    table, worth = sheet.tables[at], french.money(sums[at] / 100, currency=sheet.currency)
    message = (
        f"La table {table.id} (feuille « {table.sheet} ») vaut la somme des autres, {worth} : si elle les récapitule, "
        f"retirez-la de la fiche source."
    )
    yield {"code": "READ-TABLE-COUNTED", "severity": "blocking", "message": message, "source": source,
           "sheet": table.sheet}  # fmt: skip


def _sheet_of(table: TableRead, grids: dict[str, Grid], sheet: SourceSheet) -> Grid:
    if not table.sheet and len(grids) == 1:
        return next(iter(grids.values()))
    if table.sheet not in grids:
        raise DataError(
            f"Feuille absente : « {table.sheet} » dans {sheet.path}.",
            seen=list(grids) or ["aucune feuille lisible"],
            todo=f"corrigez sheet dans {sheet.toml}, ou remettez la feuille.",
        )
    return grids[table.sheet]


# --- One table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Body:
    """The rows of a table being read: positions of its columns, of its rows, of its total row."""

    grid: Grid
    table: TableRead
    sheet: SourceSheet
    source: str
    columns: dict[str, int]  # header → column
    rows: pd.Index
    total_row: int | None
    texts: Mapping[int, pd.Series]  # column → its texts, merged cells carried to the rows they cover
    sections: pd.Series  # axis given by section rows

    def text(self, column: int) -> pd.Series:
        """The texts of a column on the data rows; blanks are missing."""
        return self.texts[column].loc[self.rows]

    def cells(self, column: int) -> pd.Series:
        """The addresses of a column on the data rows."""
        letters = re.sub(r"\d", "", self.grid.address(0, column))
        return letters + pd.Series(self.rows + 1, index=self.rows).astype("str")

    def role(self, role: str) -> list[tuple[ColumnRead, int]]:
        """The declared columns of a role, with their positions."""
        found = [(read, self.columns[read.header]) for read in self.table.columns]
        return [(read, at) for read, at in found if role in (read.role, read.also)]

    def covered(self, column: int) -> set[int]:
        """The rows that a merged cell of the column covers, its first row apart."""
        spans = [(r1, r2) for r1, c1, r2, c2 in self.grid.merged if c1 <= column <= c2 and r2 > r1]
        return {row for r1, r2 in spans for row in range(r1 + 1, r2 + 1)}

    def said(self, what: str) -> str:
        """What is wrong, and in which table."""
        return f"{what} : {self.source}, feuille « {self.grid.sheet} », table {self.table.id}"

    @property
    def strict(self) -> bool:
        """Whether a cell that cannot be read stops the reading."""
        return self.table.doubts == "stop"

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row per line read, by grid row, with the record it belongs to; a record may have lines."""
        return _records(self)


def load_grid(
    grid: Grid, table: TableRead, sheet: SourceSheet, source: str, corrections: Iterable[Correction] = ()
) -> Tables:
    """The tidy tables of one table of a grid, as its source sheet says to read it."""
    grid, corrected = _corrected(grid, _headers(grid, table, sheet, source), source, list(corrections))
    body = _body(grid, table, sheet, source)
    funding, notes = _funding(body)
    delivery, more = _delivery(body)
    told = [_note(one.code, body, one.cell, one.message, one.stated, one.severity) for one in grid.notes]
    findings = [
        *_seal_notes(body),
        *told,
        *corrected,
        *notes,
        *more,
        *_place_notes(body),
        *_identifier_notes(body),
        *_stage_notes(body, funding),
        *_duplicate_notes(body, funding),
        *_total_notes(body, funding),
        *_axis_variant_notes(body),
        *_shape_notes(body),
    ]
    return Tables(
        funding=funding,
        delivery=delivery,
        places=_places(body),
        indicators=_indicators(body),
        stated_totals=_stated_totals(body),
        records=schema.conform(body.records.drop_duplicates("record_id"), "records"),
        findings=schema.conform(pd.DataFrame(findings), "findings") if findings else schema.empty("findings"),
    )


def _stage_notes(body: _Body, funding: pd.DataFrame) -> list[dict[str, Any]]:
    """The amounts that a column of stages leaves without one: they cannot be added to any other."""
    columns = body.role("stage")
    blank = funding[funding["stage"].isna() & funding["amount_eur"].notna()]
    if not columns or blank.empty:
        return []
    rows = sorted({int(re.sub(r"\D", "", str(cell))) - 1 for cell in blank["cell"]})
    texts = pd.Series("", index=rows)
    said = "étape laissée vide : alloué, prévu, accordé ou versé ?"
    notes = _noted(body, "READ-STAGE-BLANK", columns[0][1], texts, said)
    return [{**note, "severity": "blocking"} for note in notes]


def _body(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> _Body:
    columns = _headers(grid, table, sheet, source)
    end = len(grid.values) if table.last_row is None else table.last_row
    values = grid.values.iloc[table.header[1] : end]
    values = values.set_axis(pd.RangeIndex(table.header[1], table.header[1] + len(values)), axis=0)
    filled = pd.DataFrame({c: values[c].notna() & ~values[c].isin(["", " ", "\u00a0"]) for c in values})
    count = filled.sum(axis="columns")
    worded = [read for read in table.columns if not {read.role, read.also} & AMOUNT_ROLES]
    texts = {columns[read.header]: _texts(values[columns[read.header]]) for read in worded}

    def labelled(labels: Iterable[str]) -> pd.Series:
        sought = {french.nfc(label).strip() for label in labels}
        if not sought:
            return count.lt(0)
        amounts = {columns[read.header] for read in table.columns} - set(texts)
        found = [texts.get(int(str(at)), values[at]).isin(sought) for at in values if at not in amounts]
        return pd.concat(found, axis="columns").any(axis="columns") if found else count.lt(0)

    sentences = {_position(_sentence_cell(grid, total))[0] for total in table.totals if total.cell}
    out = count.eq(0) | (count.eq(1) & filled.index.isin(sentences))
    out |= filled.index.isin([line - 1 for line in table.skip_lines])
    is_total = ~out & labelled(total.row for total in table.totals if total.row)
    out |= is_total | labelled(table.skip_rows)
    sections = pd.Series(None, index=values.index, dtype="str")
    if table.section_rows == "header":
        repeated, sections = _repeated_headers(grid, table, columns, values)
        out |= repeated
    if table.skip_without_amount:
        amounts = [columns[read.header] for read in table.columns if read.role == "amount"]
        out |= ~filled[amounts].any(axis="columns")
    if table.section_rows == "axis":
        alone = ~out & count.eq(1)
        for text in texts.values():
            sections = sections.where(~alone | text.isna(), text)
        out |= alone & sections.notna()
        sections = sections.ffill()
    rows = values.index[~out]
    for column, text in texts.items():
        texts[column] = _carried_over_merges(text, grid, column)
    totals = values.index[is_total].tolist()
    body = _Body(grid, table, sheet, source, columns, rows, totals[0] if totals else None, texts, sections)
    _refuse_doubtful_rows(body, totals, count.loc[rows])
    return body


def _repeated_headers(
    grid: Grid, table: TableRead, columns: Mapping[str, int], values: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """The rows that repeat the header, and the axis that the words in brackets of the last one give each row."""
    amount = next(columns[read.header] for read in table.columns if read.role == "amount")
    first = table.header[1] - 1
    repeated = _texts(values[amount]).eq(_header_text(grid, first, amount))
    heads = pd.concat([grid.values.iloc[[first]], values[repeated]])
    axis = pd.Series([in_brackets(row) for row in heads.to_numpy()], index=heads.index, dtype="str")
    return repeated, axis.reindex([first, *values.index]).ffill().loc[values.index]


_UNIT = r"[km]?(?:€|£|\$|eur(?:os?)?)|en (?:k?€|k?euros?|milliers.*)|ttc|ht|mois|%"


def in_brackets(row: Iterable[object]) -> str | None:
    """The words in brackets of a header row, units apart: « Association (handicap) »."""
    found = [match[1].strip() for value in row if (match := re.search(r"\(([^()]+)\)", str(value)))]
    return next((one for one in found if not re.fullmatch(_UNIT, one, re.IGNORECASE)), None)


def _carried_over_merges(text: pd.Series, grid: Grid, column: int) -> pd.Series:
    """The texts of a column, the one of each cell merged over several rows repeated on them."""
    spans = [
        (r1, r2) for r1, c1, r2, c2 in grid.merged if c1 <= column <= c2 and r2 > r1 and r1 in text.index
    ]
    if not spans:
        return text
    text = text.copy()
    for first, last in spans:
        text.loc[first:last] = text.at[first]
    return text


def _refuse_doubtful_rows(body: _Body, totals: list[int], count: pd.Series) -> None:
    """Nothing, if the rows read are the table's and no total is among them; DataError otherwise."""
    labels = [total.row for total in body.table.totals if total.row]
    if len(totals) > 1:
        raise DataError(
            f"{body.said('Plusieurs lignes de total')}.",
            seen=[f"ligne {row + 1}" for row in totals],
            todo="gardez-en une, ou déclarez les autres dans skip_rows ou skip_lines de la fiche source.",
        )
    if labels and not totals:
        raise DataError(
            f"{body.said('Ligne de total introuvable')}.",
            seen=sorted(labels),
            todo="remettez la ligne, ou retirez [[table.total]] de la fiche source.",
        )
    if body.rows.empty:
        raise DataError(
            f"{body.said('Table vide')}.",
            seen=[f"en-tête ligne {body.table.header[0]}"],
            todo="vérifiez header dans la fiche source, ou que le fichier contient des lignes.",
        )
    for (row, column), formula in body.grid.formulas.items():
        read = row in body.rows or row == body.total_row
        if read and column in body.columns.values() and body.grid.cell(row, column) is None:
            raise DataError(
                f"{body.said('Formule sans valeur calculée')}, {body.grid.address(row, column)}.",
                seen=[formula],
                todo="ouvrez le classeur dans un tableur et enregistrez-le, ou écrivez la valeur.",
            )
    if not body.strict:
        return
    worded = pd.DataFrame({column: text.loc[body.rows] for column, text in body.texts.items()})
    unlabelled = _undeclared_totals(worded) | (worded.isna().all(axis="columns") & bool(len(worded.columns)))
    after = body.rows[body.rows > body.total_row] if body.total_row is not None else body.rows[:0]
    if body.total_row is not None and (body.rows > body.total_row).all():
        after = body.rows[:0]  # the total stands above its rows
    for what, doubtful in (
        ("Ligne de total non déclarée", body.rows[unlabelled]),
        ("Ligne sous la ligne de total", after),
    ):
        if len(doubtful):
            first = doubtful[0]
            raise DataError(
                f"{body.said(what)}, ligne {first + 1}.",
                seen=[value for value in map(_text, body.grid.values.loc[first]) if value],
                todo="déclarez-la dans la fiche source ([[table.total]], skip_rows ou skip_lines), ou "
                "donnez-lui un intitulé si c’est une donnée.",
            )


_TOTAL_WORDS = re.compile(
    r"(sous[- ])?tota(l|ux)( général| partiel| de l['’]axe)?( \d{4})?\s*:?", re.IGNORECASE
)


def _undeclared_totals(worded: pd.DataFrame) -> pd.Series:
    """Whether a row's only words are those of a total."""
    totals = [text.dropna().map(lambda one: bool(_TOTAL_WORDS.fullmatch(one))) for _, text in worded.items()]
    said = pd.concat([one[one] for one in totals]).index if totals else worded.index[:0]
    few = worded.notna().sum(axis="columns").le(1)
    return few & worded.index.isin(said)


def _headers(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> dict[str, int]:
    """Each header and its column; on several header rows the lowest text names the column.

    A name that would occur twice is told by the rows above it (« 2012 / Accordé »).
    A column that holds values under no header is « colonne K ».
    """
    last = table.header[1]
    where = f"{source}, feuille « {grid.sheet} »"
    declared = {french.nfc(read.header) for read in table.columns}
    said = declared | {french.nfc(header) for header in table.ignored}
    found = header_columns(grid, table.header, table.last_row, where, said)
    absent = sorted(declared - set(found))
    unknown = [header for header in found if header not in said]
    if absent or unknown:
        what = "En-tête déclaré mais absent" if absent else "En-tête non déclaré"
        raise DataError(
            f"{what} : {where}, ligne {last}.",
            seen=absent or unknown,
            todo=f"en-têtes lus : {', '.join(found)}. Corrigez le classeur, ou {sheet.toml} "
            "([table.columns], ou [table.ignored] avec la raison).",
        )
    return found


def header_columns(
    grid: Grid,
    header: tuple[int, int],
    last_row: int | None = None,
    where: str = "",
    said: set[str] | None = None,
) -> dict[str, int]:
    """Each header of a grid and its column, as a source sheet names them.

    `said` are the headers that the source sheet speaks of; without it, every column gets a name of its own.
    """
    _, last = header
    names: dict[int, list[str]] = {}
    for column in range(grid.values.shape[1]):
        texts = header_levels(grid, header, column)
        if not any(texts):
            below = grid.values[column].iloc[last:last_row]
            if not (below.notna() & below.ne("")).any():
                continue
            texts = [f"colonne {re.sub(r'[0-9]', '', grid.address(0, column))}"]
        names[column] = [text for text in texts if text]
    lowest = [texts[-1] for texts in names.values()]
    found: dict[str, int] = {}
    for column, texts in names.items():
        levels = " / ".join(dict.fromkeys(texts))
        named = lowest.count(texts[-1]) > 1 and (levels in said if said is not None else len(texts) > 1)
        name = levels if named else texts[-1]
        if name in found:
            numbered = next(f"{name} ({n})" for n in range(2, 1000) if f"{name} ({n})" not in found)
            if said is not None and numbered not in said:
                raise DataError(
                    f"En-tête en double : {where}, {grid.address(last - 1, column)}.",
                    seen=[name],
                    todo=f"renommez l’une des deux colonnes, ou déclarez la seconde sous « {numbered} ».",
                )
            name = numbered
        found[name] = column
    return found


def header_levels(grid: Grid, header: tuple[int, int], column: int) -> list[str]:
    """The words over a column, from the upper header row to the lower; none where the table has no header."""
    first, last = header
    rows = range(first - 1, min(last, len(grid.values))) if last else []
    return [_header_text(grid, row, column) for row in rows]


def _header_text(grid: Grid, row: int, column: int) -> str:
    """The words of a header cell on one line, those of the merged cell that covers it included."""
    for r1, c1, r2, c2 in grid.merged:
        if r1 <= row <= r2 and c1 <= column <= c2:
            row, column = r1, c1
            break
    return re.sub(r"\s+", " ", _text(grid.cell(row, column)) or "")


def _text(value: object) -> str | None:
    """A cell's value as text, NFC, without spaces around; None for a blank."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool):
        value = "VRAI" if value else "FAUX"
    elif isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return french.nfc(str(value)).strip() or None


def _mapped(values: pd.Series, reading: Callable[[Any], object], dtype: str = "object") -> pd.Series:
    """`reading` of each value, called once per distinct value; missing where the value is missing."""
    if values.dtype == "object":
        values = values.map(lambda value: _text(value) if isinstance(value, bool) else value)
    codes, distinct = pd.factorize(values)
    read: list[Any] = [*map(reading, distinct), None]
    said = pd.Series(read, dtype=dtype).array  # code -1 (missing) takes the last one
    return pd.Series(said.take(codes), index=values.index)


def _texts(values: pd.Series) -> pd.Series:
    return _mapped(values, _text, "str")


# --- Records -------------------------------------------------------------------------------------


def _records(body: _Body) -> pd.DataFrame:
    frame = pd.DataFrame(index=body.rows)
    for role in sorted(RECORD_ROLES):
        for _, column in body.role(role):
            frame[role] = _kept(body, role, body.text(column))
    if "axis" in frame:
        frame["axis"] = _grouped(frame["axis"])[0].ffill()
    elif body.table.section_rows:
        frame["axis"] = _kept(body, "axis", body.sections.loc[body.rows])
    lines = _continued(body)
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
        frame["row_total_eur"], _ = _one_amount(body, column, body.rows)
    column = body.role("title")[0][1] if body.role("title") else min(body.columns.values())
    return frame.assign(
        source=body.source,
        sheet=body.grid.sheet,
        cell=body.cells(column),
        table_id=body.table.id,
        kind=body.table.record_kind,
        programme=frame.get("programme", body.table.programme or None),
    )


def _kept(body: _Body, role: str, texts: pd.Series) -> pd.Series:
    """The texts of a role under the names that the source sheet keeps."""
    return _mapped(texts, lambda text: body.sheet.kept_name(role, text), "str")


def _continued(body: _Body) -> pd.Series:
    """Whether a row is a further line of the record above: its number or its title is in a merged cell."""
    keys = body.role("number") or body.role("title")
    lines = pd.Series(False, index=body.rows)
    for read, column in keys:
        lines |= body.rows.isin(body.covered(column))
        if read.carried:
            written = _texts(body.grid.values[column].loc[body.rows])
            lines |= written.isna() & written.ffill().notna()
            lines |= _repeated(body)
    return lines


def _repeated(body: _Body) -> pd.Series:
    """Whether a row repeats the axis, number, title and recipient of the row above, or leaves them blank."""
    own = [at for role in ("axis", "number", "title", "recipient") for _, at in body.role(role)]
    words = pd.DataFrame({at: body.text(at) for at in own}, index=body.rows)
    above = words.ffill().shift()
    return (words.isna() | words.eq(above)).all(axis="columns") & above.notna().any(axis="columns")


def _refuse_numbers(body: _Body, numbers: pd.Series, keys: pd.Series, lines: pd.Series) -> None:
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


# --- Amounts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Amounts:
    """The amounts of distinct values, by code: euros (NaN when none), the year beside it (0 when none).

    `several` holds those of the values that hold more than one; the last code is a blank.
    """

    euros: np.ndarray
    years: np.ndarray
    several: dict[int, list[french.Amount]]
    unread: np.ndarray
    silent: np.ndarray  # a text that the source sheet says to be no amount


SIGNS = {
    "GBP": r"£|\bGBP\b",
    "USD": r"(?:\bUS ?)?\$|\bUSD\b",
    "CAD": r"(?:\bCA ?)?\$(?:\s*CAN?\b)?|\bCAD\b",
    "CHF": r"\bCHF\b",
}


def _in_euros(text: str, currency: str) -> str:
    """The text with the sign of its currency gone; that of another currency leaves nothing to read."""
    if currency == "EUR":
        return re.sub(r"^(?:€|EUR)\s*(?=\d)(.*)$", r"\1 €", text)
    return (
        ""
        if re.search(r"€|euros?\b|\bEUR\b", text)
        else re.sub(SIGNS.get(currency, "(?!)"), "", text).strip()
    )


_PLAIN = r"[0-9]{1,13}(?:[.,][0-9]{1,2})?"
_MOST = 1e13  # euros: above, cents would be lost, and no public body has given as much


def distinct_amounts(
    distinct: Any,
    decimal: str = "",
    no_amount: Iterable[str] = (),
    unit: float = 1.0,
    strip: str = "",
    currency: str = "EUR",
    thousands: str = "",
) -> _Amounts:
    """The amounts that the distinct values of a column say, each read once."""
    size = len(distinct) + 1
    euros, years, several = np.full(size, np.nan), np.zeros(size, dtype=int), {}
    unread, silent = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    values = pd.Series(distinct)
    if pd.api.types.is_numeric_dtype(values) or values.dtype == "str":
        plain = values.notna() if values.dtype != "str" else values.str.fullmatch(_PLAIN)
        numbers = values[plain] if values.dtype != "str" else values[plain].str.replace(",", ".")
        euros[:-1][plain] = pd.to_numeric(numbers)
    else:
        plain = pd.Series(False, index=values.index)
    nothing = {"-", "–", "—", *map(french.nfc, no_amount)}
    for code in np.flatnonzero(~plain):
        value = distinct[code]
        text = _text(value)
        if isinstance(value, (int, float)):
            euros[code] = value if abs(value) < _MOST else np.inf
        elif text is None or text in nothing:
            silent[code] = text is not None
        else:
            bare = text.removeprefix(strip).removesuffix(strip).strip() if strip else text
            if thousands:
                bare = re.sub(rf"(?<=\d){re.escape(thousands)}(?=\d{{3}}(?!\d))", "", bare)
            found = french.cell_amounts(_in_euros(bare, currency), decimal)
            unread[code] = not found
            if len(found) == 1:
                euros[code], years[code] = found[0].euros, found[0].year or 0
            elif found:
                several[int(code)] = [a._replace(euros=round(a.euros * unit, 6)) for a in found]
    beyond = ~(np.abs(euros) < _MOST) & ~np.isnan(euros)
    euros[beyond], unread[beyond] = np.nan, True
    return _Amounts(np.round(euros * unit, 6), years, several, unread, silent)


def _amounts(
    body: _Body, column: int, rows: pd.Index, one: bool = False
) -> tuple[np.ndarray, _Amounts, list[dict[str, Any]]]:
    """The code of each row of a column, the amounts of each code, what is told of the cells without one.

    Raises DataError, if the source sheet does not say otherwise, on a text that says no amount, on a negative
    amount, on several amounts where `one` is expected; always on a cell merged over several rows.
    """
    _refuse_merged(body, column, rows)
    values = body.grid.values[column].loc[rows]
    codes, distinct = pd.factorize(
        _mapped(values, lambda value: value) if values.dtype == "object" else values
    )
    read = next(read for read in body.table.columns if body.columns[read.header] == column)
    amounts = distinct_amounts(
        distinct,
        body.sheet.decimal,
        body.table.no_amount,
        read.unit,
        read.strip,
        body.sheet.currency,
        body.sheet.thousands,
    )
    unread, negative = amounts.unread.copy(), amounts.euros < 0
    for code, found in amounts.several.items():
        unread[code], negative[code] = one, any(amount.euros < 0 for amount in found)
    told: list[dict[str, Any]] = []
    for what, name, wrong in (
        ("Montant illisible", "READ-AMOUNT", unread),
        ("Montant négatif", "READ-NEGATIVE", negative),
        ("Aucun montant n’est écrit", "READ-NO-AMOUNT", amounts.silent),
    ):
        at = np.flatnonzero(wrong[codes])
        if not len(at):
            continue
        texts = values.iloc[at].map(lambda value: _text(value) or "")
        if body.strict and name != "READ-NO-AMOUNT":
            shown = texts.iloc[: SHOWN_NOTES + 1]
            raise DataError(
                f"{body.said(what)}.",
                seen=[f"{body.grid.address(row, column)} : {shown[row]}" for row in shown.index],
                todo=_AMOUNT_ADVICE[name],
            )
        told += _noted(body, name, column, texts, f"« {{}} » : {what[0].lower() + what[1:]}.")
    return codes, amounts, told


def _one_amount(body: _Body, column: int, rows: pd.Index) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The one amount of each row in a column that holds one at most, and what is told of it."""
    codes, amounts, told = _amounts(body, column, rows, one=True)
    return amounts.euros[codes], told


_AMOUNT_ADVICE = {
    "READ-AMOUNT": "écrivez un nombre par cellule, ou déclarez ce texte dans no_amount de la fiche source.",
    "READ-NEGATIVE": "un montant reçu ou prévu est positif : vérifiez le signe dans le classeur d’origine.",
}


def _refuse_merged(body: _Body, column: int, rows: pd.Index) -> None:
    for r1, c1, r2, c2 in body.grid.merged:
        if c1 <= column <= c2 and r2 > r1 and rows.isin(range(r1 + 1, r2 + 1)).any():
            raise DataError(
                f"{body.said('Cellule fusionnée sur plusieurs lignes dans une colonne de montants')}, "
                f"{body.grid.address(r1, c1)}:{body.grid.address(r2, c2)}.",
                seen=[body.grid.cell(r1, c1)],
                todo="défusionnez-la et écrivez un montant par ligne.",
            )


def _funding(body: _Body) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    table = body.table
    facts, notes = _line_facts(body)
    frames = []
    for read, column in body.role("amount"):
        codes, amounts, told = _amounts(body, column, body.rows)
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


def _line_facts(body: _Body) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """What each line says besides its amounts, under the names kept, and what is told of it."""
    table, notes = body.table, []
    facts = body.records[["record_id"]].copy()
    for name in ("axis", "title", "programme"):
        facts[name] = body.records.get(name)
    for role in ("recipient", "operator", "funder"):
        for _, column in body.role(role):
            kept = _kept(body, role, body.text(column))  # a second column says what the first leaves blank
            facts[role] = facts[role].fillna(kept) if role in facts else kept
    if "recipient" in facts and any(read.carried for read in table.columns):
        further = _continued(body) & facts["recipient"].isna()
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
                notes += _noted(body, "READ-KIND-MIXED", column, body.text(column)[mixed], sentence)
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


def closed_word(written: str, words: Mapping[str, str]) -> str | None:
    """The word of a closed list that a cell stands for, whatever its case, accents and plural; None for none.

    « aide en numéraire;aide en nature » is MIXED.
    """
    known = {_bare_word(word): kept for word, kept in words.items()}
    for said in (written, re.sub(r"\([^()]*\)", " ", written)):  # « En nature (locaux) »
        if (bare := _bare_word(said)) in known:
            return known[bare]
    parts = {known.get(_bare_word(part)) for part in re.split(r"[;,/+]| et ", written) if part.strip()}
    if len(parts) == 1:
        return parts.pop()
    return MIXED if parts == {"cash", "in_kind"} else None


def kind_of(written: str) -> str | None:
    """The kind that a cell says, or begins by saying: « Garantie bancaire »; None for none, or for two."""
    if said := closed_word(written, KIND_WORDS):
        return said
    bare = f"{_bare_word(written)} "
    known = {f"{_bare_word(word)} ": kind for word, kind in KIND_WORDS.items() if len(word) > 3}
    begun = {kind for word, kind in known.items() if bare.startswith(word)}
    inside = {kind for word, kind in known.items() if f" {word}" in f" {bare}"}
    of_things = bare.startswith("pret de ")  # of a room, of chairs
    return begun.pop() if len(begun) == 1 and begun == inside and not of_things else None


@cache
def _bare_word(text: str) -> str:
    bare = re.sub(r"[^a-z ]+", " ", french.strip_accents(text).lower())
    return " ".join(word.rstrip("s") for word in bare.split())


def _words(
    body: _Body, column: int, what: str, code: str, reading: Callable[[str], Any], admitted: str = ""
) -> tuple[pd.Series, list[dict[str, Any]]]:
    """`reading` of each text of a column, and the cells it could not read (a DataError unless reported)."""
    texts = body.text(column)
    read = _mapped(texts, reading)
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
    return read, _noted(body, code, column, wrong, message)


def _delivery(body: _Body) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    frames, notes = [], []
    for read, column in body.role("delivery"):
        euros, told = _one_amount(body, column, body.rows)
        notes += told
        frames.append(
            pd.DataFrame(
                {
                    "record_id": body.records["record_id"],
                    "operator": read.operator or None,
                    "amount_eur": euros,
                    "cell": body.cells(column),
                }
            ).assign(source=body.source, sheet=body.grid.sheet)
        )
    if not frames:
        return schema.empty("delivery"), notes
    return schema.conform(pd.concat(frames, ignore_index=True), "delivery"), notes


# --- Places and results --------------------------------------------------------------------------


def _named(body: _Body, role: str, reader: Callable[[str], list[str]]) -> pd.DataFrame:
    """One row per place named in the columns of a role: row, record_id, text, name, cell."""
    frames = []
    for _, column in body.role(role):
        frame = pd.DataFrame(
            {
                "row": body.rows,
                "record_id": body.records["record_id"].array,
                "text": body.text(column).array,
                "cell": body.cells(column).array,
            }
        )
        frame = frame.dropna(subset="text").reset_index(drop=True)
        frames.append(frame.assign(name=_mapped(frame["text"], reader)).explode("name").dropna(subset="name"))
    empty = pd.DataFrame(
        {name: pd.Series(dtype="object") for name in ("row", "record_id", "text", "cell", "name")}
    )
    return pd.concat([empty, *frames], ignore_index=True)


def _matches(body: _Body) -> dict[str, territories.Match]:
    """How each place named in the table is read.

    A near spelling is accepted only where half of the names or more are communes of the reference: a table
    that speaks of other places does not misspell ours.
    """
    named = pd.concat(
        [_named(body, "places", _place_names), _named(body, "partners", territories.places_mentioned)]
    )
    names = named["name"].unique()
    kept = {name: body.sheet.kept_name("place", name) for name in names}
    exact = sum(territories.match(kept[name], tolerant=False).how != "none" for name in names)
    near = exact * 2 >= len(names)
    return {
        name: territories.match(kept[name], tolerant=near)
        if kept[name] != OUTSIDE
        else territories.Match(name, None, None, "outside")
        for name in names
    }


def _place_names(text: str) -> list[str]:
    """The places of a cell; a name that is one commune is not cut at its « et »."""
    whole = territories.match(text, tolerant=False)
    return [text] if whole.how != "none" else territories.place_names(text)


def _places(body: _Body) -> pd.DataFrame:
    """One row per place named, with its territory if the record has only one; else one row per territory."""
    named, areas = (
        _named(body, "places", _place_names),
        _named(body, "territory", territories.territory_names),
    )
    matches = _matches(body)
    once = areas[~areas["row"].duplicated(keep=False)].set_index("row")["name"]
    told = named.assign(
        written_as=named["name"],
        insee_code=named["name"].map(lambda name: matches[name].insee_code),
        commune=named["name"].map(lambda name: matches[name].commune),
        territory=named["row"].map(once),
        first=0,
    )
    alone = areas["row"].isin(once.index) & areas["row"].isin(named["row"])
    rest = areas[~alone].assign(written_as=areas["text"], territory=areas["name"], first=1)
    both = pd.concat([told, rest], ignore_index=True).sort_values(["row", "first"], kind="stable")
    both = both.reset_index(drop=True).assign(source=body.source, sheet=body.grid.sheet)
    return schema.conform(both, "places")


def _place_notes(body: _Body) -> list[dict[str, Any]]:
    """What is told of the places that are not written as the reference writes them.

    An unknown commune in a column of places stops the reading, unless the source sheet declares it
    ([names.place] "hors référence") or the table speaks of places of elsewhere.
    """
    matches = _matches(body)
    ours = sum(match.how != "none" for match in matches.values()) * 2 >= len(matches)
    notes: list[dict[str, Any]] = []
    for role, reader in (("places", _place_names), ("partners", territories.places_mentioned)):
        named = _named(body, role, reader)
        how = named["name"].map(lambda name: matches[name].how)
        lost = named[how == "none"]
        if role == "places" and len(lost) and ours and body.strict:
            first = lost.iloc[0]
            near = territories.proposals(first["name"])
            asked = f"écrivez le nom officiel ({', '.join(near)} ?)" if near else "corrigez le nom"
            raise DataError(
                f"{body.said('Commune inconnue')}, {first['cell']}.",
                seen=[f"{cell} : {name}" for cell, name in zip(lost["cell"], lost["name"], strict=True)],
                todo=f"{asked}, ou déclarez dans la fiche source [names.place] "
                f'"{OUTSIDE}" = ["{first["name"]}"].',
            )
        if role == "places" and not ours and len(lost):
            count = french.counted(lost["name"].nunique(), "lieu", "lieux")
            text = f"{count} hors de la référence des communes : noms gardés comme ils sont écrits."
            notes.append(_note("READ-PLACE-ELSEWHERE", body, "", text, lost["name"].iloc[0]))
        for said, (code, words) in _PLACE_WORDS.items():
            found = named[how == said]
            if said == "none" and not ours:
                continue
            for name, cell in zip(found["name"][:SHOWN_NOTES], found["cell"], strict=False):
                match = matches[name]
                message = words.format(name=name, commune=match.commune, code=match.insee_code)
                notes.append({**_note(code, body, cell, message, name), "computed": match.commune})
            notes += _rest(body, code, len(found))
    return notes


_PLACE_WORDS = {
    "none": ("READ-PLACE-UNKNOWN", "« {name} » n’est aucune commune de la référence."),
    "outside": (
        "READ-PLACE-UNKNOWN",
        "« {name} » n’est aucune commune de la référence, la fiche source le dit.",
    ),
    "spelling": ("READ-PLACE-SPELLING", "« {name} » est lu {commune} ({code})."),
    "associated": (
        "READ-PLACE-ASSOCIATED",
        "« {name} » est une commune associée : elle compte pour {commune} ({code}).",
    ),
}


def _indicators(body: _Body) -> pd.DataFrame:
    """The quantities stated: a number, a range (« 6 à 10 communes ») or a rhythm, per year."""
    frames = []
    for _, column in body.role("indicators"):
        texts = body.text(column).dropna()
        read = _mapped(texts, french.quantities).explode().dropna()
        rows = [quantity._asdict() for quantity in read]
        frames.append(
            pd.DataFrame(rows, columns=["low", "high", "unit", "text"], index=read.index).assign(
                record_id=body.records["record_id"].loc[read.index],
                cell=body.cells(column).loc[read.index],
                source=body.source,
                sheet=body.grid.sheet,
            )
        )
    if not frames:
        return schema.empty("indicators")
    return schema.conform(pd.concat(frames).sort_index(kind="stable").reset_index(drop=True), "indicators")


# --- Stated totals -------------------------------------------------------------------------------


def _stated_totals(body: _Body) -> pd.DataFrame:
    rows = [*_row_of_totals(body)]
    for total in body.table.totals:
        if total.cell:
            rows += _sentence_totals(body, total)
    frame = pd.DataFrame(rows)
    if frame.empty:
        return schema.empty("stated_totals")
    return schema.conform(frame.assign(source=body.source, sheet=body.grid.sheet), "stated_totals")


def _row_of_totals(body: _Body) -> Iterator[dict[str, Any]]:
    table = body.table
    if body.total_row is None:
        return
    for read in table.columns:
        if read.role not in AMOUNT_ROLES:
            continue
        column = body.columns[read.header]
        euros, _ = _one_amount(body, column, pd.Index([body.total_row]))
        if np.isnan(euros[0]):
            continue
        cell = body.grid.address(body.total_row, column)
        yield {
            "total_id": f"{table.id}!{cell}",
            "cell": cell,
            "covers": read.header,
            "measure": {"amount": "funding"}.get(read.role, read.role),
            "funder": (read.funder or table.funder or None) if read.role == "amount" else None,
            "operator": read.operator or None,
            "year": read.year or table.year,
            "stage": read.stage or table.stage or None,
            "amount_eur": euros[0],
            "table_id": table.id,
        }


def _sentence_totals(body: _Body, total: TotalRead) -> list[dict[str, Any]]:
    """The total and the number of records that a sentence announces (« 4 projets … 171 663 € »)."""
    cell = _sentence_cell(body.grid, total)
    text = _text_at(body.grid, cell)
    amounts = french.amounts(text, body.sheet.decimal)[:1]
    counted = re.search(rf"(\d+)\s+{re.escape(total.counts)}", text) if total.counts else None
    if not amounts and not counted:
        raise DataError(
            f"{body.said('Total annoncé introuvable')}, cellule {total.cell}.",
            seen=[text] if text else ["cellule vide"],
            todo="remettez la phrase à sa place, ou corrigez cell dans [[table.total]] de la fiche source.",
        )
    covers = total.covers or body.table.id
    stage = next((table.stage for table in body.sheet.tables if table.id == covers), "")
    shared = {"cell": cell, "covers": text, "table_id": covers, "stage": stage or None}
    identity = f"{body.table.id}!{cell}"
    rows: list[dict[str, Any]] = [
        {**shared, "total_id": identity, "measure": "funding", "amount_eur": amount.euros}
        for amount in amounts
    ]
    if counted:
        rows.append({**shared, "total_id": f"{identity}#n", "measure": "count", "count": int(counted[1])})
    return rows


def _sentence_cell(grid: Grid, total: TotalRead) -> str:
    """The cell of a sentence that announces a total; where rows came or went, the one that now holds it."""
    if french.amounts(_text_at(grid, total.cell)):
        return total.cell
    column = re.sub(r"\d", "", total.cell)
    cells = [f"{column}{row + 1}" for row in range(min(len(grid.values), 1000))]
    moved = [
        cell
        for cell in cells
        if french.amounts(text := _text_at(grid, cell))
        and re.search(rf"\d+\s+{re.escape(total.counts)}", text)
    ]
    return moved[0] if total.counts and len(moved) == 1 else total.cell


def _text_at(grid: Grid, cell: str) -> str:
    """The text of a cell by its address, empty outside the grid."""
    row, column = _position(cell)
    inside = row < grid.values.shape[0] and column < grid.values.shape[1]
    return (_text(grid.values.iat[row, column]) if inside else None) or ""


# --- Identifiers, duplicates, variants -----------------------------------------------------------


def _identifier_notes(body: _Body) -> Iterator[dict[str, Any]]:
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
                yield _note(f"READ-ID-{defect.upper().replace('_', '-')}", body, cell, text, first)


def _total_notes(body: _Body, funding: pd.DataFrame) -> Iterator[dict[str, Any]]:
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
        yield _note("READ-TOTAL-COUNTED", body, str(cell), message, said, "blocking")


def _duplicate_notes(body: _Body, funding: pd.DataFrame) -> Iterator[dict[str, Any]]:
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
    yield {**_note("READ-DUPLICATES", body, body.grid.address(rows[0], 0), text, ""), "gap": worth}


@cache
def variant_key(label: str) -> str:
    """The label without case, accents, plural, spaces or signs: equal keys are variants of one label."""
    bare = re.sub(r"[^a-z0-9]+", " ", french.strip_accents(label).lower())
    return " ".join(re.sub(r"(?<=\w{3})[sx]$", "", word) for word in bare.split())


def _grouped(labels: pd.Series) -> tuple[pd.Series, dict[str, list[str]]]:
    """The labels, variants under the most usual one, and the variants of each label that has some."""
    sizes = labels.value_counts()
    groups: dict[str, list[str]] = {}
    for label in sizes.index:
        groups.setdefault(variant_key(label) or label, []).append(label)
    several = {found[0]: found for found in groups.values() if len(found) > 1}
    kept = {label: name for name, found in several.items() for label in found}
    return _mapped(labels, lambda label: kept.get(label, label), "str"), several


def _axis_variant_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """The axes written in several ways, read as one."""
    for _, column in body.role("axis"):
        written = _kept(body, "axis", body.text(column))
        for name, found in _grouped(written)[1].items():
            cell = body.grid.address(written.index[written.eq(found[1])][0], column)
            text = f"{french.listing([f'« {one} »' for one in found])} : un seul axe, lu « {name} »."
            yield _note("READ-AXIS-VARIANTS", body, cell, text, found[1])


# --- What is told of the form --------------------------------------------------------------------


def _shape_notes(body: _Body) -> list[dict[str, Any]]:
    """What the form of the sheet says against its content: moved sentences, hidden rows, torn merges…"""
    notes = [
        *_order_notes(body), *_hidden_notes(body), *_axis_notes(body), *_type_notes(body), *_title_notes(body)
    ]  # fmt: skip
    for total in body.table.totals:
        if total.cell and (cell := _sentence_cell(body.grid, total)) != total.cell:
            text = (
                f"le total annoncé est en {cell}, la fiche source le dit en {total.cell} : une ligne a bougé."
            )
            notes.append(_note("READ-TOTAL-MOVED", body, cell, french.sentence_case(text), total.cell))
    return notes


def _seal_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """That nothing would tell a change of the file, and the line of the source sheet that would."""
    if not body.sheet.sealed and body.table is body.sheet.tables[0]:
        text = (
            "Fichier non scellé : une modification ne se verrait pas. Une fois relu, écrivez dans sa fiche "
            "source le sha256 calculé (ess check --format csv)."
        )
        yield {**_note("READ-UNSEALED", body, "", text, UNSEALED), "computed": body.sheet.sha256}


def _order_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """Amount columns that stand in another order than in the source sheet: have headers been exchanged?"""
    declared = [read.header for read in body.table.columns if read.role in AMOUNT_ROLES]
    found = sorted(declared, key=body.columns.__getitem__)
    moved = [header for header, other in zip(found, declared, strict=True) if header != other]
    if moved:
        cell = body.grid.address(body.table.header[1] - 1, body.columns[moved[0]])
        text = f"colonnes dans un autre ordre que la fiche source ({', '.join(moved)}) : en-têtes échangés ?"
        yield _note("READ-COLUMN-ORDER", body, cell, french.sentence_case(text), moved[0])


def _hidden_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """Rows and columns of the table that a reader of the workbook does not see."""
    read = {*([] if body.total_row is None else [body.total_row])} | (
        {row for row in body.grid.hidden_rows if row in body.rows}
    )
    for row in sorted(read & set(body.grid.hidden_rows)):
        cell = body.grid.address(row, 0)
        yield _note(
            "READ-HIDDEN", body, cell, f"Ligne {row + 1} masquée dans le classeur ; elle est lue.", ""
        )
    for column in sorted(set(body.columns.values()) & set(body.grid.hidden_columns)):
        cell = body.grid.address(body.table.header[1] - 1, column)
        letters = re.sub(r"\d", "", cell)
        yield _note(
            "READ-HIDDEN", body, cell, f"Colonne {letters} masquée dans le classeur ; elle est lue.", ""
        )
    if body.grid.hidden:
        yield _note("READ-HIDDEN", body, "", "Feuille masquée dans le classeur ; elle est lue.", "")


def _axis_notes(body: _Body) -> Iterator[dict[str, Any]]:
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
            yield _note("READ-AXIS-CARRIED", body, cell, text, "")


def _title_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """Rows without a title that no merged cell covers: is a merge torn, or a title lost?"""
    for _, column in body.role("title") if body.strict or body.grid.merged else []:
        lines = body.text(column).isna() & ~_continued(body)
        for row in body.rows[lines][:SHOWN_NOTES]:
            cell = body.grid.address(row, column)
            yield _note("READ-TITLE-BLANK", body, cell, f"{cell} : ligne sans intitulé.", "")
        yield from _rest(body, "READ-TITLE-BLANK", int(lines.sum()))


def _type_notes(body: _Body) -> Iterator[dict[str, Any]]:
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
                where = _where(body, column, texts.index)
                text = f"Nombres gardés en texte (« {first} »…) parmi des nombres : un tableur ne les additionne pas ({where})."
            yield _note("READ-NUMBER-AS-TEXT", body, cell, text, first)


_TOLD = {
    "READ-PLACE-ELSEWHERE",
    "READ-UNSEALED",
    "READ-NO-AMOUNT",
    "READ-PLACE-SPELLING",
    "READ-PLACE-ASSOCIATED",
}  # no doubt in it


def _note(code: str, body: _Body, cell: str, message: str, stated: str, severity: str = "") -> dict[str, Any]:
    return {
        "code": code,
        "severity": severity or ("info" if code in _TOLD else "alert"),
        "message": message,
        "source": body.source,
        "sheet": body.grid.sheet,
        "cell": cell,
        "stated": stated,
    }


def _noted(body: _Body, code: str, column: int, texts: pd.Series, message: str) -> list[dict[str, Any]]:
    """One note per text with its cells, as many as are shown, and one that counts the other cells.

    READ-NO-AMOUNT has one per cell: by them, BLANK-CELL knows that a cell is not blank.
    """
    each = texts.index if code == "READ-NO-AMOUNT" else texts
    notes, told = [], 0
    for rows in islice(texts.groupby(each, sort=False).groups.values(), SHOWN_NOTES):
        text, told = texts.loc[rows[0]], told + len(rows)
        said = message.format(text)
        if len(rows) > 1:
            said = f"{said.removesuffix('.')} ({_where(body, column, rows)})."
        notes.append(_note(code, body, body.grid.address(rows[0], column), said, text))
    return [*notes, *_rest(body, code, len(texts), told)]


def _where(body: _Body, column: int, rows: pd.Index) -> str:
    """« 84 cellules : I44, I218, I282… »."""
    cells = ", ".join(body.grid.address(row, column) for row in rows[:5]) + ("…" if len(rows) > 5 else "")
    return f"{french.counted(len(rows), 'cellule')} : {cells}"


def _rest(body: _Body, code: str, count: int, told: int = SHOWN_NOTES) -> list[dict[str, Any]]:
    if count <= told:
        return []
    rest = french.counted(count - told, "autre cellule", "autres cellules")
    return [_note(code, body, "", f"Et {rest} de même, table {body.table.id}.", "")]


# --- All together --------------------------------------------------------------------------------


def joined(parts: list[Tables]) -> Tables:
    """The tables of several, one after the other."""

    def whole(name: str) -> pd.DataFrame:
        pieces = [piece for part in parts if len(piece := getattr(part, name))]
        return pd.concat(pieces, ignore_index=True) if pieces else schema.empty(name)

    return Tables(
        funding=whole("funding"),
        delivery=whole("delivery"),
        places=whole("places"),
        indicators=whole("indicators"),
        stated_totals=whole("stated_totals"),
        records=whole("records"),
        findings=whole("findings"),
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
