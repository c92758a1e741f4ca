"""Grids → tidy tables, driven by the source sheets; corrections."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french, schema, territories
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid, read_grids
from ess_analysis.sources import (
    AMOUNT_ROLES,
    ColumnRead,
    SourceSheet,
    TableRead,
    TotalRead,
    read_source_sheet,
    verify,
)

SETTINGS_FILES = {"readings.toml", "corrections.toml"}
SETTINGS_FOLDERS = {"scenarios"}
SHOWN_NOTES = 100  # notes of one kind kept for one column
RAW_SUFFIXES = {".xlsx", ".xls", ".ods", ".csv", ".tsv", ".json", ".txt", ".zip", ".xlsm"}


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

    Raises DataError on a missing folder, a raw file without a sheet, a changed byte, an undeclared header
    or a cell that cannot be read.
    """
    folder = _found(Path(data))
    if not folder.is_dir():
        raise DataError(
            f"Dossier de données absent : {folder}.",
            seen=[folder.resolve()],
            todo="indiquez le bon dossier avec --data, ou placez-vous dans le dossier du projet.",
        )
    sheets = source_sheets(folder)
    parts = [_read_file(sheet, folder) for sheet in sheets]
    tables = _joined(parts)
    _unique_keys(tables)
    return replace(
        tables,
        sources=tuple(sheets),
        readings=_readings(folder),
        remarks=_remarks(folder),
        data=folder,
    )


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
    sheets = [read_source_sheet(path) for path in sorted(folder.rglob("*.toml")) if _is_sheet(path, folder)]
    for sheet in sheets:
        verify(sheet)
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
    lock_file = path.name.startswith(("~$", ".")) or path.name == "remarks.csv"
    return path.suffix.lower() in RAW_SUFFIXES and inside[0] not in SETTINGS_FOLDERS and not lock_file


def _is_sheet(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return path.name not in SETTINGS_FILES and inside[0] not in SETTINGS_FOLDERS


def _readings(folder: Path) -> dict[str, Any]:
    """The readings of ambiguous points found in the folder, by name."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("readings.toml")):
        found |= tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def _remarks(folder: Path) -> pd.DataFrame:
    """The remarks that no arithmetic can find, as written beside the data."""
    frames = [pd.read_csv(path, dtype="str") for path in sorted(folder.rglob("remarks.csv"))]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


# --- One file ------------------------------------------------------------------------------------


def _read_file(sheet: SourceSheet, folder: Path) -> Tables:
    if not sheet.tables:
        return _joined([])
    source = (
        sheet.path.relative_to(folder).as_posix() if sheet.path.is_relative_to(folder) else sheet.path.name
    )
    grids = {grid.sheet: grid for grid in read_grids(sheet.path)}
    parts = []
    for table in sheet.tables:
        grid = _sheet_of(table, grids, sheet)
        parts.append(load_grid(_corrected(grid, folder, source), table, sheet, source))
    return _joined(parts)


def _sheet_of(table: TableRead, grids: dict[str, Grid], sheet: SourceSheet) -> Grid:
    if not table.sheet and len(grids) == 1:
        return next(iter(grids.values()))
    if table.sheet not in grids:
        raise DataError(
            f"Feuille absente : « {table.sheet} » dans {sheet.path}.",
            seen=list(grids),
            todo=f"corrigez sheet dans {sheet.toml}, ou remettez la feuille.",
        )
    return grids[table.sheet]


def _corrected(grid: Grid, folder: Path, source: str) -> Grid:
    """The grid with the corrections of `corrections.toml` made; each says what it expects to find."""
    values = grid.values
    for path in sorted(folder.rglob("corrections.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8")).get("correction", []):
            if (one["file"], one.get("sheet", "")) != (source, grid.sheet) or one["status"] != "applied":
                continue
            column, row = re.fullmatch(r"([A-Z]+)(\d+)", one["cell"]).groups()  # type: ignore[union-attr]
            at = int(row) - 1, _column_number(column)
            found = values.iat[at]
            if str(found) != str(one["expected"]):
                raise DataError(
                    f"Correction périmée : {source}, {grid.sheet}, {one['cell']}.",
                    seen=[f"attendu {one['expected']}", f"trouvé {found}"],
                    todo=f"relisez la cellule, puis corrigez ou retirez la ligne de {path}.",
                )
            values = values.copy()
            values.iat[at] = one["new"]
    return replace(grid, values=values)


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


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

    def text(self, column: int) -> pd.Series:
        """The texts of a column on the data rows; blanks are missing."""
        return self.grid.values[column].loc[self.rows].map(_text).astype("str")

    def cells(self, column: int, rows: Iterable[int] | None = None) -> list[str]:
        """The addresses of a column on these rows."""
        return [self.grid.address(row, column) for row in (self.rows if rows is None else rows)]

    def role(self, role: str) -> list[tuple[ColumnRead, int]]:
        """The declared columns of a role, with their positions."""
        found = [(read, self.columns[read.header]) for read in self.table.columns]
        return [(read, at) for read, at in found if role in (read.role, read.also)]

    def said(self, what: str) -> str:
        return f"{what} : {self.source}, feuille « {self.grid.sheet} », table {self.table.id}"


def load_grid(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> Tables:
    """The tidy tables of one table of a grid, as its source sheet says to read it."""
    body = _body(grid, table, sheet, source)
    records = _records(body)
    funding, findings = _funding(body, records)
    return Tables(
        funding=funding,
        delivery=_delivery(body, records),
        places=_places(body, records),
        indicators=_indicators(body, records),
        stated_totals=_stated_totals(body),
        records=schema.conform(records.drop_duplicates("record_id"), "records"),
        findings=pd.concat([findings, _place_findings(body), _shape_findings(body)], ignore_index=True),
    )


def _body(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> _Body:
    first, last = table.header
    columns = _headers(grid, table, sheet, source)
    end = len(grid.values) if table.last_row is None else table.last_row
    key_columns = [columns[read.header] for read in table.columns if read.role not in {"amount", "delivery"}]
    labels = {total.row for total in table.totals if total.row}
    sentences = {_sentence_cell(grid, total) for total in table.totals if total.cell}
    rows, totals = [], []
    for row in range(last, end):
        filled = [column for column in range(grid.values.shape[1]) if grid.cell(row, column) is not None]
        texts = {str(grid.cell(row, column)).strip() for column in filled if column in key_columns}
        if not filled or (len(filled) == 1 and grid.address(row, filled[0]) in sentences):
            continue
        if texts & labels:
            totals.append(row)
        elif not texts & set(table.skip_rows):
            rows.append(row)
    if len(totals) > 1:
        raise DataError(
            f"Plusieurs lignes de total : {source}, feuille « {grid.sheet} », table {table.id}.",
            seen=[f"ligne {row + 1}" for row in totals],
            todo="gardez-en une, ou déclarez les autres dans skip_rows de la fiche source.",
        )
    if labels and not totals:
        raise DataError(
            f"Ligne de total introuvable : {source}, feuille « {grid.sheet} », table {table.id}.",
            seen=sorted(labels),
            todo="remettez la ligne, ou retirez [[table.total]] de la fiche source.",
        )
    if not rows:
        raise DataError(
            f"Table vide : {source}, feuille « {grid.sheet} », table {table.id}.",
            seen=[f"en-tête ligne {first}"],
            todo="vérifiez header dans la fiche source, ou que le fichier contient des lignes.",
        )
    return _Body(grid, table, sheet, source, columns, pd.Index(rows), totals[0] if totals else None)


def _headers(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> dict[str, int]:
    """Each header and its column; on several header rows the lowest text names the column."""
    first, last = table.header
    found: dict[str, int] = {}
    for column in range(grid.values.shape[1]):
        texts = [
            grid.cell(row, column)
            for row in range(first - 1, min(last, len(grid.values)))
            if grid.cell(row, column)
        ]
        if not texts:
            continue
        header = french.nfc(re.sub(r"\s+", " ", str(texts[-1])).strip())
        if header in found:
            raise DataError(
                f"En-tête en double : {source}, feuille « {grid.sheet} », {grid.address(last - 1, column)}.",
                seen=[header],
                todo="renommez l'une des deux colonnes.",
            )
        found[header] = column
    declared = {read.header for read in table.columns}
    absent = sorted(declared - set(found))
    unknown = [header for header in found if header not in declared | set(table.ignored)]
    if absent or unknown:
        what = "En-tête déclaré mais absent" if absent else "En-tête non déclaré"
        raise DataError(
            f"{what} : {source}, feuille « {grid.sheet} », ligne {last}.",
            seen=absent or unknown,
            todo=f"en-têtes lus : {', '.join(found)}. Corrigez le classeur, ou {sheet.toml} "
            "([table.columns], ou [table.ignored] avec la raison).",
        )
    return found


def _text(value: object) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return french.nfc(str(value)).strip() or None


def _records(body: _Body) -> pd.DataFrame:
    """One row per line read (indexed by grid row), with the record it belongs to; a record may have lines."""
    frame = pd.DataFrame(index=body.rows)
    for role in ("axis", "number", "title", "description", "partners", "legal_status", "strand", "programme"):
        for _, column in body.role(role):
            frame[role] = body.text(column)
            for kept, written in {
                w: body.sheet.kept_name(role, w) for w in frame[role].dropna().unique()
            }.items():
                frame[role] = frame[role].replace(kept, written)
    if "axis" in frame:
        frame["axis"] = frame["axis"].ffill()
    starts = frame["title"].notna() if "title" in frame else pd.Series(True, index=body.rows)
    if "number" in frame:
        frame["record_id"] = (
            body.table.id + "/" + frame.get("axis", pd.Series("", index=body.rows)).fillna("") + "/"
        )
        frame["record_id"] = frame["record_id"].str.replace("//", "/") + frame["number"].fillna("")
        _refuse_twice(body, frame["record_id"])
    else:
        frame["record_id"] = body.table.id + "/" + starts.cumsum().astype("str")
    if "title" in frame:
        frame["title"] = frame.groupby("record_id", sort=False)["title"].ffill()
    for _, column in body.role("row_total"):
        frame["row_total_eur"] = [one.euros if one else None for one in _row_amounts(body, column)]
    column = body.role("title")[0][1] if body.role("title") else 0
    return frame.assign(
        source=body.source,
        sheet=body.grid.sheet,
        cell=body.cells(column),
        table_id=body.table.id,
        kind=body.table.record_kind,
        programme=frame.get("programme", body.table.programme or None),
    )


def _refuse_twice(body: _Body, keys: pd.Series) -> None:
    twice = keys[keys.duplicated(keep=False)]
    if len(twice):
        rows = ", ".join(str(row + 1) for row in twice.index[:5])
        raise DataError(
            f"{body.said('Clé d’action en double')}, lignes {rows}.",
            seen=twice.unique(),
            todo="deux actions du même axe portent le même numéro : corrigez le numéro.",
        )


def _row_amounts(body: _Body, column: int) -> list[french.Amount | None]:
    """The one amount of each data row in a column that holds one at most."""
    return [found[0] if found else None for found in _amounts(body, column, body.rows)]


def _amounts(body: _Body, column: int, rows: Iterable[int]) -> list[list[french.Amount]]:
    """The amounts written in each cell of a column; a blank or a declared « no amount » gives none.

    Raises DataError on a text that says neither, a formula without value, a merged cell.
    """
    rows = list(rows)
    values = body.grid.values[column].loc[rows]
    known: dict[object, list[french.Amount]] = {}
    wrong = []
    for row, value in values.items():
        text = _text(value)
        if text is None and (row, column) in body.grid.formulas:
            raise DataError(
                f"{body.said('Formule sans valeur calculée')}, {body.grid.address(row, column)}.",
                seen=[body.grid.formulas[row, column]],
                todo="ouvrez le classeur dans un tableur et enregistrez-le, ou écrivez la valeur.",
            )
        if value in known:
            continue
        if text is None or text in body.table.no_amount:
            known[value] = []
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            known[value] = [french.Amount(float(value), None, text)]
        else:
            known[value] = french.amounts(text) or _bare(text)
            if not known[value]:
                wrong.append(f"{body.grid.address(row, column)} : {text}")
    negative = [
        f"{body.grid.address(row, column)} : {_text(value)}"
        for row, value in zip(rows, values, strict=True)
        if any(amount.euros < 0 for amount in known[value])
    ]
    if negative:
        raise DataError(
            f"{body.said('Montant négatif')}.",
            seen=negative,
            todo="un montant reçu ou prévu est positif : vérifiez le signe dans le classeur d'origine.",
        )
    if wrong:
        raise DataError(
            f"{body.said('Montant illisible')}.",
            seen=wrong,
            todo="écrivez un nombre, ou déclarez ce texte dans no_amount de la fiche source.",
        )
    for r1, c1, r2, c2 in body.grid.merged:
        if c1 <= column <= c2 and r2 > r1 and any(r1 <= row <= r2 for row in rows):
            raise DataError(
                f"{body.said('Cellule fusionnée sur plusieurs lignes dans une colonne de montants')}, "
                f"{body.grid.address(r1, c1)}:{body.grid.address(r2, c2)}.",
                seen=[body.grid.cell(r1, c1)],
                todo="défusionnez-la et écrivez un montant par ligne.",
            )
    return [known[value] for value in values]


def _bare(text: str) -> list[french.Amount]:
    """A text that is a number alone (« 1 234,50 »)."""
    return french.amounts(f"{text} €") if re.fullmatch(r"-?[\d\s.,]+", text) else []


def _funding(body: _Body, records: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    table, lines = body.table, _line_facts(body, records)
    frames, notes = [], []
    for read, column in body.role("amount"):
        found = _amounts(body, column, body.rows)
        cells = body.cells(column)
        for row, amounts, cell in zip(body.rows, found, cells, strict=True):
            text = _text(body.grid.values.at[row, column])
            if not amounts and text:
                notes.append(
                    _note("READ-NO-AMOUNT", body, cell, f"« {text} » : aucun montant n’est écrit.", text)
                )
            for place, amount in enumerate(amounts or [french.Amount(float("nan"), None, "")], start=1):
                suffix = f"#{place}" if len(amounts) > 1 else ""
                frames.append(
                    {
                        **lines[row],
                        "funding_id": f"{table.id}!{cell}{suffix}",
                        "cell": cell,
                        "funder": read.funder or lines[row].get("funder") or table.funder or None,
                        "year": amount.year or read.year or lines[row].get("year") or table.year,
                        "stage": read.stage or lines[row].get("stage") or table.stage or None,
                        "kind": read.kind or lines[row].get("kind") or table.kind,
                        "amount_eur": amount.euros * read.unit,
                        "part_of": read.part_of or table.part_of or None,
                    }
                )
    findings = schema.conform(pd.DataFrame(notes), "findings") if notes else schema.empty("findings")
    return schema.conform(pd.DataFrame(frames), "funding") if frames else schema.empty("funding"), findings


def _line_facts(body: _Body, records: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """What each line says besides its amounts, names replaced by the ones kept."""
    facts = records[["record_id"]].copy()
    for name in ("axis", "title", "programme"):
        facts[name] = records.get(name)
    for role in ("recipient", "operator", "funder", "year", "stage", "kind"):
        for _, column in body.role(role):
            facts[role] = [
                body.sheet.kept_name(role, text) if isinstance(text, str) else None
                for text in body.text(column)
            ]
    if "year" in facts:
        facts["year"] = facts["year"].map(lambda text: int(text[:4]) if text else None)
    start, end = body.table.period or (None, None)
    facts = facts.assign(
        source=body.source,
        sheet=body.grid.sheet,
        record_kind=body.table.record_kind,
        period_start=pd.Timestamp(start, 1, 1) if start else pd.NaT,
        period_end=pd.Timestamp(end, 12, 31) if end else pd.NaT,
    )
    return facts.to_dict(orient="index")  # type: ignore[return-value]


def _delivery(body: _Body, records: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for read, column in body.role("delivery"):
        for row, amount, cell in zip(body.rows, _row_amounts(body, column), body.cells(column), strict=True):
            rows.append((records.at[row, "record_id"], read.operator, amount.euros if amount else None, cell))
    frame = pd.DataFrame(rows, columns=["record_id", "operator", "amount_eur", "cell"])
    return schema.conform(frame.assign(source=body.source, sheet=body.grid.sheet), "delivery")


def _places(body: _Body, records: pd.DataFrame) -> pd.DataFrame:
    """One row per place named, with its territory if the record has only one; else one row per territory."""
    found = []
    for row in body.rows:
        record = records.at[row, "record_id"]
        territory_cells = [
            (name, text, body.grid.address(row, column))
            for _, column in body.role("territory")
            if (text := _text(body.grid.values.at[row, column]))
            for name in territories.territory_names(text)
        ]
        alone = territory_cells[0][0] if len(territory_cells) == 1 else None
        named = [
            (place, body.grid.address(row, column))
            for _, column in body.role("places")
            if (text := _text(body.grid.values.at[row, column]))
            for place in territories.place_names(text)
        ]
        for place, cell in named:
            match = territories.match(place)
            found.append((record, place, match.insee_code, match.commune, alone, cell))
        if not named or alone is None:
            found += [(record, text, None, None, name, cell) for name, text, cell in territory_cells]
    columns = ["record_id", "written_as", "insee_code", "commune", "territory", "cell"]
    frame = pd.DataFrame(found, columns=columns).assign(source=body.source, sheet=body.grid.sheet)
    return schema.conform(frame, "places")


def _place_findings(body: _Body) -> pd.DataFrame:
    notes = []
    for role, reader in (("places", territories.place_names), ("partners", territories.places_mentioned)):
        for _, column in body.role(role):
            for row in body.rows:
                text = _text(body.grid.values.at[row, column])
                for place in reader(text) if text else []:
                    notes += _place_note(body, place, body.grid.address(row, column))
    return schema.conform(pd.DataFrame(notes), "findings") if notes else schema.empty("findings")


def _place_note(body: _Body, place: str, cell: str) -> Iterator[dict[str, Any]]:
    match = territories.match(place)
    sentences = {
        "none": ("READ-PLACE-UNKNOWN", f"« {place} » n’est aucune commune de la référence."),
        "spelling": ("READ-PLACE-SPELLING", f"« {place} » est lu {match.commune} ({match.insee_code})."),
        "associated": (
            "READ-PLACE-ASSOCIATED",
            f"« {place} » est une commune associée : elle compte pour {match.commune} ({match.insee_code}).",
        ),
    }
    if match.how in sentences:
        code, sentence = sentences[match.how]
        yield {**_note(code, body, cell, sentence, place), "computed": match.commune}


def _shape_findings(body: _Body) -> pd.DataFrame:
    """What the form of the sheet says against its content: moved sentences, hidden rows, torn merges…"""
    notes = [*_order_notes(body), *_hidden_notes(body), *_axis_notes(body), *_type_notes(body)]
    for total in body.table.totals:
        if total.cell and (cell := _sentence_cell(body.grid, total)) != total.cell:
            text = (
                f"le total annoncé est en {cell}, la fiche source le dit en {total.cell} : une ligne a bougé."
            )
            notes.append(_note("READ-TOTAL-MOVED", body, cell, french.sentence_case(text), total.cell))
    return schema.conform(pd.DataFrame(notes), "findings") if notes else schema.empty("findings")


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
    read = [*body.rows, *([] if body.total_row is None else [body.total_row])]
    for row in sorted(set(read) & set(body.grid.hidden_rows)):
        cell = body.grid.address(row, 0)
        yield _note(
            "READ-HIDDEN", body, cell, f"Ligne {row + 1} masquée dans le classeur ; elle est lue.", ""
        )
    for column in sorted(set(body.columns.values()) & set(body.grid.hidden_columns)):
        cell = body.grid.address(body.table.header[1] - 1, column)
        yield _note(
            "READ-HIDDEN", body, cell, f"Colonne {cell[0]} masquée dans le classeur ; elle est lue.", ""
        )
    if body.grid.hidden:
        yield _note("READ-HIDDEN", body, "", "Feuille masquée dans le classeur ; elle est lue.", "")


def _axis_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """Axes carried down over blanks that no merged cell covers, in a column where others are merged."""
    for _, column in body.role("axis"):
        spans = [
            (first, last) for first, c1, last, c2 in body.grid.merged if c1 <= column <= c2 and last > first
        ]
        covered = {row for first, last in spans for row in range(first, last + 1)}
        bare = [row for row in body.rows if row not in covered and body.grid.cell(row, column) is None]
        if not any(first in body.rows for first, _ in spans) and len(bare) == len(body.rows):
            continue
        for row in bare:
            cell = body.grid.address(row, column)
            text = (
                f"{cell} est vide hors de toute cellule fusionnée : l'axe de la ligne du dessus est repris."
            )
            yield _note("READ-AXIS-CARRIED", body, cell, text, "")


def _type_notes(body: _Body) -> Iterator[dict[str, Any]]:
    """Numbers kept as text in a column where the others are numbers: a spreadsheet does not add them."""
    for column in [body.columns[read.header] for read in body.table.columns if read.role in AMOUNT_ROLES]:
        values = body.grid.values[column].loc[body.rows].dropna()
        texts = values[values.map(lambda value: isinstance(value, str) and value.strip() != "")]
        if 0 < len(texts) < len(values) / 2:
            for row, text in zip(texts.index[:SHOWN_NOTES].tolist(), texts, strict=False):
                cell = body.grid.address(row, column)
                message = (
                    f"Nombre gardé en texte (« {text} ») parmi des nombres : un tableur ne l'additionne pas."
                )
                yield _note("READ-NUMBER-AS-TEXT", body, cell, message, text)


_DOUBTS = {
    "READ-PLACE-UNKNOWN", "READ-TOTAL-MOVED", "READ-COLUMN-ORDER", "READ-HIDDEN", "READ-AXIS-CARRIED",
    "READ-NUMBER-AS-TEXT",
}  # fmt: skip


def _note(code: str, body: _Body, cell: str, message: str, stated: str) -> dict[str, Any]:
    severity = "alert" if code in _DOUBTS else "info"
    return {
        "code": code,
        "severity": severity,
        "message": message,
        "source": body.source,
        "sheet": body.grid.sheet,
        "cell": cell,
        "stated": stated,
    }


_QUANTITY = re.compile(
    r"(?P<low>\d+)(?:\s+à\s+(?P<high>\d+))?\s+(?P<unit>(?!€|k€|M€|euros)[A-Za-zÀ-ÿ']+)"
    r"|\b(?P<one>Un|Une)\s+(?P<thing>[A-Z]{2,})"
    r"|(?P<meeting>[A-Za-zÀ-ÿ]+)\s+tous les (?P<months>deux|trois|quatre|six|\d+)?\s*mois"
)
_MONTHS = {"deux": 2, "trois": 3, "quatre": 4, "six": 6}


def _indicators(body: _Body, records: pd.DataFrame) -> pd.DataFrame:
    """The quantities stated: a number, a range (« 6 à 10 communes ») or a rhythm, per year."""
    rows = []
    for _, column in body.role("indicators"):
        for row in body.rows:
            text = _text(body.grid.values.at[row, column])
            for match in _QUANTITY.finditer(text or ""):
                low, high, unit = _quantity(match)
                if unit == "an" or re.match(r"\s*€", (text or "")[match.end() :]):
                    continue
                cell = body.grid.address(row, column)
                rows.append((records.at[row, "record_id"], match[0], low, high, unit, cell))
    columns = ["record_id", "text", "low", "high", "unit", "cell"]
    frame = pd.DataFrame(rows, columns=columns).assign(source=body.source, sheet=body.grid.sheet)
    return schema.conform(frame, "indicators")


def _quantity(match: re.Match[str]) -> tuple[float, float, str]:
    if match["low"]:
        return float(match["low"]), float(match["high"] or match["low"]), match["unit"]
    if match["one"]:
        return 1.0, 1.0, match["thing"]
    months = match["months"] or "1"
    per_year = 12 / _MONTHS.get(months, int(months) if months.isdigit() else 1)
    return per_year, per_year, f"{match['meeting'].lower()} par an"


def _stated_totals(body: _Body) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    table = body.table
    if body.total_row is not None:
        for read in table.columns:
            column = body.columns[read.header]
            if read.role not in {"amount", "delivery", "row_total"}:
                continue
            amounts = _amounts(body, column, [body.total_row])[0]
            if amounts:
                cell = body.grid.address(body.total_row, column)
                rows.append(
                    {
                        "total_id": f"{table.id}!{cell}",
                        "cell": cell,
                        "covers": read.header,
                        "measure": {"amount": "funding"}.get(read.role, read.role),
                        "funder": (read.funder or table.funder or None) if read.role == "amount" else None,
                        "operator": read.operator or None,
                        "year": read.year or table.year,
                        "stage": read.stage or table.stage or None,
                        "amount_eur": amounts[0].euros,
                        "table_id": table.id,
                    }
                )
    for total in table.totals:
        if total.cell:
            rows += _sentence_totals(body, total)
    frame = pd.DataFrame(rows)
    if frame.empty:
        return schema.empty("stated_totals")
    return schema.conform(frame.assign(source=body.source, sheet=body.grid.sheet), "stated_totals")


def _sentence_totals(body: _Body, total: TotalRead) -> list[dict[str, Any]]:
    """The total and the number of records that a sentence announces (« 4 projets … 171 663 € »)."""
    cell = _sentence_cell(body.grid, total)
    text = _text_at(body.grid, cell)
    amounts = french.amounts(text)[:1]
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
    column, row = re.fullmatch(r"([A-Z]+)(\d+)", cell).groups()  # type: ignore[union-attr]
    at = int(row) - 1, _column_number(column)
    inside = 0 <= at[0] < grid.values.shape[0] and at[1] < grid.values.shape[1]
    return (_text(grid.values.iat[at]) if inside else None) or ""


# --- All together --------------------------------------------------------------------------------


def _joined(parts: list[Tables]) -> Tables:
    names = ("funding", "delivery", "places", "indicators", "stated_totals", "records", "findings")
    frames = {}
    for name in names:
        pieces = [getattr(part, name) for part in parts]
        pieces = [piece for piece in pieces if len(piece)]
        frames[name] = pd.concat(pieces, ignore_index=True) if pieces else schema.empty(name)
    return Tables(**frames)


def _unique_keys(tables: Tables) -> None:
    for name in ("funding", "stated_totals", "records"):
        frame, key = getattr(tables, name), schema.TABLES[name].key[0]
        twice = frame.loc[frame[key].duplicated(keep=False), key].unique()
        if len(twice):
            raise DataError(
                "Deux tables portent le même identifiant dans les fiches sources.",
                seen=twice,
                todo="donnez à chaque [[table]] un id qui lui est propre.",
            )
    known = set(tables.funding["funding_id"]) | set(tables.stated_totals["total_id"])
    lost = sorted(set(tables.funding["part_of"].dropna()) - known)
    if lost:
        raise DataError(
            "Une fiche source renvoie (part_of) à un montant qui n’existe pas.",
            seen=lost,
            todo="écrivez l’identifiant du montant détaillé : table!cellule, par exemple T1!C6.",
        )
