"""Files (.xlsx .xls .ods .csv .tsv .json, and .zip of them) → grids of cells that know their address.

A file is not trusted: an archive that swells, an XML that declares entities, a cell a million rows away are
refused before any reader opens them, and nothing is unpacked on the disk.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from lxml import etree
from openpyxl.utils import get_column_letter
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

from ess_analysis.delimited import Note, read_delimited
from ess_analysis.errors import DataError
from ess_analysis.sheet_facts import (
    MOST_CELLS,
    Facts,
    Looks,
    by_sheet,
    not_read,
    ods_facts,
    refuse_repeats,
    xls_facts,
    xlsx_comments,
    xlsx_facts,
)

TEXTS = {".csv", ".tsv", ".txt"}
WORKBOOKS = {".xlsx", ".xlsm", ".xls", ".ods"}
KEPT = 1 << 20  # bytes of a file up to which its sheets are kept for the next reading
READABLE = {*TEXTS, *WORKBOOKS, ".json", ".zip"}
LARGEST_PART = 600 << 20  # bytes of one part of an archive, unpacked
SWELLS = 120  # times its packed size, from which a big part is taken for a trap
SMALL = 3 << 20  # bytes of XML up to which openpyxl reads a workbook, formulas included
MOST_MEMBERS = 1000


@dataclass(frozen=True)
class Grid:
    """The cells of one sheet: `values` counts rows and columns from 0, addresses count from 1 and A."""

    path: Path
    sheet: str
    values: pd.DataFrame
    merged: tuple[tuple[int, int, int, int], ...] = ()  # first row, first column, last row, last column
    formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden: bool = False
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    encoding: str = ""
    delimiter: str = ""
    notes: tuple[Note, ...] = ()  # what is told of the file itself
    formats: dict[int, frozenset[str]] = field(default_factory=dict)  # of the numbers of each column
    member: str = ""  # the file of the archive that the grid comes from
    struck_rows: frozenset[int] = frozenset()  # rows with a struck-through cell (.xlsx only)
    comments: dict[tuple[int, int], str] = field(default_factory=dict)  # noted beside cells (.xlsx and .ods)

    @property
    def name(self) -> str:
        """The sheet of a workbook, or the file of an archive; empty for a file that is one table."""
        return self.sheet or self.member

    def address(self, row: int, column: int) -> str:
        """The address of a cell: (4, 6) is G5."""
        return f"{get_column_letter(column + 1)}{row + 1}"

    def cell(self, row: int, column: int) -> Any:
        """The value of a cell; None when it is blank."""
        value = self.values.iat[row, column]
        return None if value is None or value is pd.NA or value == "" else value


def read_grids(path: Path, encoding: str = "", delimiter: str = "") -> tuple[Grid, ...]:
    """The sheets of the file `path`, in order; a text file is one sheet without a name.

    Raises DataError on a file that is not what its name says, that is hostile, or that cannot be cut into
    columns. `encoding` and `delimiter` are those declared in a source sheet, if they are.
    """
    content = path.read_bytes()
    if path.suffix.lower() in WORKBOOKS:
        encoding = delimiter = ""
    if len(content) > KEPT:
        return _grids(path, path.name, content, encoding, delimiter)
    known = _lately(path, content, encoding, delimiter)
    return tuple(replace(grid, values=grid.values.copy(deep=False)) for grid in known)


@lru_cache(maxsize=8)
def _lately(path: Path, content: bytes, encoding: str, delimiter: str) -> tuple[Grid, ...]:
    """The sheets of a small file, kept for who asks again: its texts are told beside its numbers."""
    return _grids(path, path.name, content, encoding, delimiter)


def _grids(path: Path, name: str, content: bytes, encoding: str, delimiter: str) -> tuple[Grid, ...]:
    suffix = Path(name).suffix.lower()
    if not content:
        raise DataError(f"Fichier vide : {name}.", seen=["0 octet"], todo="vérifiez le fichier.")
    if suffix not in READABLE:
        raise DataError(
            f"Format non lu : {name}.",
            seen=[suffix or "aucune extension"],
            todo=f"formats lus : {', '.join(sorted(READABLE))}.",
        )
    if suffix == ".zip":
        return tuple(_of_archive(path, content, encoding, delimiter))
    if suffix == ".json":
        return (_of_json(path, name, content),)
    if suffix in TEXTS:
        if content.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0", b"%PDF")):
            raise _not_what_it_says(name, content)
        read = read_delimited(
            content, name, encoding, delimiter or ("\t" if suffix == ".tsv" and b"\t" in content else "")
        )
        return (
            Grid(path, "", read.rows, encoding=read.encoding, delimiter=read.delimiter, notes=read.notes),
        )
    grids = _of_workbook(path, name, content)
    _refuse_uncut(name, grids)
    return grids


def _refuse_uncut(name: str, grids: Iterable[Grid]) -> None:
    """Nothing, or DataError on a workbook whose only column holds the lines of a delimited text."""
    filled = [grid.values for grid in grids if grid.values.size]
    if len(filled) != 1 or filled[0].shape[1] != 1:
        return
    lines = [line for line in filled[0][0].head(50) if isinstance(line, str) and line.strip()]
    for delimiter, said in ((";", "point-virgule"), ("\t", "tabulation"), (",", "virgule"), ("|", "barre")):
        cuts = [line.count(delimiter) for line in lines]
        usual = max(cuts, key=cuts.count, default=0)
        if len(cuts) > 2 and usual >= 2 and cuts.count(usual) >= 0.8 * len(cuts):
            raise DataError(
                f"Le classeur contient un texte CSV, dans une seule colonne : {name}.",
                seen=[lines[cuts.index(usual)][:160]],
                todo=f"découpez la colonne (Données > Convertir, séparateur : {said}), ou enregistrez ce texte en .csv.",
            )


def _not_what_it_says(name: str, content: bytes) -> DataError:
    return DataError(
        f"Classeur illisible : {name}."
        if Path(name).suffix in WORKBOOKS
        else f"Le fichier n'est pas ce que dit son nom : {name}.",
        seen=[_signature(content)],
        todo="enregistrez-le au format .xlsx, sans mot de passe, ou en .csv.",
    )


def _signature(content: bytes) -> str:
    """What the first bytes say the file is."""
    for start, said in ((b"PK", "une archive (.xlsx, .ods ou .zip)"), (b"\xd0\xcf\x11\xe0", "un classeur .xls"),
                        (b"%PDF", "un PDF"), (b"<", "une page HTML ou du XML")):  # fmt: skip
        if content.lstrip()[: len(start)] == start:
            return said
    return "un texte" if b"\0" not in content[:1000] else "des octets d'un autre format"


# --- Archives ------------------------------------------------------------------------------------


def _of_archive(path: Path, content: bytes, encoding: str, delimiter: str) -> Iterator[Grid]:
    with _opened(path.name, content) as archive:
        members = [
            one for one in archive.infolist()
            if not one.is_dir() and Path(one.filename).suffix.lower() in READABLE - {".zip"}
            and not Path(one.filename).name.startswith(("._", "~$")) and "__MACOSX" not in one.filename
        ]  # fmt: skip
        tables = [one for one in members if Path(one.filename).suffix.lower() != ".txt"]
        members = tables or members  # a text beside tables is a read-me
        if not members or len(members) > MOST_MEMBERS:
            raise DataError(
                f"Archive sans table lisible : {path.name}."
                if not members
                else f"Archive trop pleine : {path.name}.",
                seen=[one.filename for one in archive.infolist()][:5] or ["archive vide"],
                todo="extrayez le fichier à lire et donnez-le seul.",
            )
        for member in members:
            for grid in _grids(path, member.filename, archive.read(member), encoding, delimiter):
                yield replace(grid, member=member.filename)


# A RuntimeError is zipfile's own, for a compression that it does not know.
_SPOILT = (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError)


def _opened(name: str, content: bytes) -> zipfile.ZipFile:
    """The archive, once its parts are known to be of a reasonable size and free of XML declarations."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        parts = archive.infolist()
        for part in parts:
            big = part.file_size > 32 << 20 and part.file_size > SWELLS * max(1, part.compress_size)
            if big or part.file_size > LARGEST_PART:
                raise DataError(
                    f"Archive refusée, une partie gonfle démesurément : {name}.",
                    seen=[f"{part.filename} : {part.compress_size} → {part.file_size} octets"],
                    todo="demandez un autre export ; n'ouvrez pas ce fichier.",
                )
            if part.flag_bits & 1:
                raise DataError(
                    f"Fichier protégé par un mot de passe : {name}.",
                    seen=[part.filename],
                    todo="enregistrez-le sans mot de passe.",
                )
            if part.filename.lower().endswith((".xml", ".rels")) and not part.filename.startswith("META-INF"):
                with archive.open(part) as opened:
                    head = opened.read(8192)
                if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                    raise DataError(
                        f"Classeur refusé, son XML déclare des entités : {name}.",
                        seen=[part.filename],
                        todo="demandez un autre export ; n'ouvrez pas ce fichier.",
                    )
    except (*_SPOILT, ValueError) as error:
        raise not_read(name) from error
    return archive


# --- Workbooks -----------------------------------------------------------------------------------


def _of_workbook(path: Path, name: str, content: bytes) -> tuple[Grid, ...]:
    """The sheets of a workbook: by openpyxl where it is small, by calamine otherwise."""
    if content.startswith(b"\xd0\xcf\x11\xe0") and Path(name).suffix.lower() != ".xls":
        raise DataError(
            f"Classeur illisible : {name}.",
            seen=["un classeur chiffré, ou un .xls renommé"],
            todo="enregistrez-le au format .xlsx, sans mot de passe.",
        )
    if not content.startswith(b"PK"):
        if not content.startswith(b"\xd0\xcf\x11\xe0"):
            raise _not_what_it_says(name, content)
        return _by_calamine(path, name, content, xls_facts(name, content))
    with _opened(name, content) as archive:
        try:
            parts = {one: archive.getinfo(one).file_size for one in archive.namelist()}
            if "content.xml" in parts:
                xml = archive.read("content.xml")
                refuse_repeats(name, xml)
                styles = archive.read("styles.xml") if "styles.xml" in parts else b""
                return _by_calamine(path, name, content, ods_facts(xml, styles))
            sheets = [one for one in parts if re.fullmatch(r"xl/worksheets/[^/]+\.xml", one)]
            if not sheets:
                raise _not_what_it_says(name, content)
            looks = Looks(archive.read("xl/styles.xml") if "xl/styles.xml" in parts else b"")
            parts_facts = {one: xlsx_facts(name, archive.read(one), looks) for one in sheets}
            for one, found in parts_facts.items():
                found.comments = xlsx_comments(archive, one)
            facts = by_sheet(archive, parts_facts)
        except (*_SPOILT, KeyError, ValueError, etree.LxmlError) as error:
            raise not_read(name) from error
        if sum(parts[one] for one in sheets) <= SMALL:
            return _by_openpyxl(path, name, content, facts)
        return _by_calamine(path, name, content, facts)


def _made(
    facts: Facts, path: Path, sheet: str, values: pd.DataFrame, merged: Iterable[tuple[int, int, int, int]],
    formulas: dict[tuple[int, int], str], hidden: bool,
) -> Grid:  # fmt: skip
    """The grid of these values, with these facts."""
    return Grid(
        path,
        sheet,
        values,
        tuple(merged),
        formulas,
        hidden,
        frozenset(facts.hidden_rows),
        frozenset(facts.hidden_columns),
        formats={at: frozenset(used) for at, used in facts.formats.items()},
        struck_rows=frozenset(facts.struck_rows),
        comments=facts.comments,
    )


def _by_openpyxl(path: Path, name: str, content: bytes, facts: dict[str, Facts]) -> tuple[Grid, ...]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Workbook contains no default style", UserWarning)
            computed = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            written = openpyxl.load_workbook(io.BytesIO(content))
        return tuple(
            _grid(path, computed[name], written[name], facts.get(name, Facts()))
            for name in computed.sheetnames
        )
    except (MemoryError, RecursionError) as error:
        raise not_read(name) from error
    except Exception as error:  # openpyxl raises whatever a spoilt XML made it meet
        raise not_read(name) from error


def _grid(path: Path, computed: Any, written: Any, facts: Facts) -> Grid:
    """The cells up to the last one that holds something: a cell that is only coloured is not worth a row."""
    values = {at: cell.value for at, cell in computed._cells.items() if cell.value is not None}
    formulas = {
        (row - 1, column - 1): cell.value
        for (row, column), cell in written._cells.items()
        if cell.data_type == "f"
    }
    last_row = max([row for row, _ in values] + [row + 1 for row, _ in formulas], default=0)
    last_column = max([column for _, column in values] + [column + 1 for _, column in formulas], default=0)
    rows = [
        [values.get((row, column)) for column in range(1, last_column + 1)] for row in range(1, last_row + 1)
    ]
    merged = (
        (r.min_row - 1, r.min_col - 1, min(r.max_row, last_row) - 1, min(r.max_col, last_column) - 1)
        for r in computed.merged_cells.ranges
        if r.min_row <= last_row and r.min_col <= last_column
    )
    for at in facts.empty_texts:
        formulas.pop(at, None)
    hidden = computed.sheet_state != "visible"
    return _made(facts, path, computed.title, pd.DataFrame(rows, dtype=object), merged, formulas, hidden)


# --- Values, by calamine


def _by_calamine(path: Path, name: str, content: bytes, facts: dict[str, Facts]) -> tuple[Grid, ...]:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [(about, book.get_sheet_by_name(about.name)) for about in book.sheets_metadata]
        return tuple(
            _calamine_grid(
                path, sheet, about.visible != SheetVisibleEnum.Visible, facts.get(about.name, Facts())
            )
            for about, sheet in sheets
        )
    except PasswordError as error:
        raise DataError(
            f"Fichier protégé par un mot de passe : {name}.",
            seen=["un classeur chiffré"],
            todo="enregistrez-le sans mot de passe.",
        ) from error
    except (CalamineError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise not_read(name) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # the reader itself gave up
            raise not_read(name) from error
        raise


def _calamine_grid(path: Path, sheet: Any, hidden: bool, facts: Facts) -> Grid:
    if sheet.total_height * sheet.total_width > MOST_CELLS:
        raise DataError(
            f"Feuille démesurée : {path.name}, « {sheet.name} ».",
            seen=[f"{sheet.total_height} lignes, {sheet.total_width} colonnes"],
            todo="supprimez les cellules perdues au bout de la feuille, ou exportez à nouveau.",
        )
    rows = sheet.to_python(skip_empty_area=False)
    values = pd.DataFrame(rows, dtype=object)
    for (row, column), written in facts.errors.items():
        if row < values.shape[0] and column < values.shape[1]:
            values.iat[row, column] = written
    merged = ((r1, c1, r2, c2) for (r1, c1), (r2, c2) in sheet.merged_cell_ranges or ())
    return _made(facts, path, sheet.name, values, merged, facts.formulas, hidden)


# --- JSON ----------------------------------------------------------------------------------------

_DEEPEST = 12


def _of_json(path: Path, name: str, content: bytes) -> Grid:
    """One row per object of the one list of objects in the file, its keys as a header; numbers kept as written."""
    try:
        text = content.decode("utf-8-sig")
        whole = json.loads(text, parse_int=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"JSON illisible : {name}.",
            seen=[
                f"ligne {error.lineno}, colonne {error.colno}"
                if isinstance(error, json.JSONDecodeError)
                else "un texte qui n'est pas de l'UTF-8"
                if isinstance(error, UnicodeDecodeError)
                else str(error)[:120]
            ],
            todo="vérifiez le fichier, ou demandez un export en CSV.",
        ) from error
    lists = dict(_lists(whole))
    if len(lists) > 1:  # an export may describe its columns beside its rows
        lists = {where: rows for where, rows in lists.items() if where.rsplit("/", 1)[-1] not in _DESCRIBED}
    if len(lists) != 1:
        raise DataError(
            f"Le JSON ne contient pas une table et une seule : {name}.",
            seen=[f"{where or 'racine'} : {len(rows)} objets" for where, rows in lists.items()]
            or [type(whole).__name__],
            todo="donnez une liste d'objets, un par subvention.",
        )
    _, rows = next(iter(lists.items()))
    flat = [dict(_flat(_core(row))) for row in rows]
    header = list(dict.fromkeys(key for row in flat for key in row))
    if len(header) > 2000:
        raise DataError(
            f"JSON aux clés démesurées : {name}.", seen=header[:3], todo="demandez un export en CSV."
        )
    values = pd.DataFrame([header, *([row.get(key) for key in header] for row in flat)], dtype=object)
    said = [number for number in _announced(whole) if number > len(rows)]
    notes = []
    if said:
        text = f"Export tronqué : le fichier annonce {max(said)} lignes et en contient {len(rows)}."
        notes.append(Note("READ-TRUNCATED", "blocking", text))
    elif _goes_on(whole):
        text = "Export tronqué : le fichier donne l'adresse d'une page suivante, ou dit que la limite est atteinte."
        notes.append(Note("READ-TRUNCATED", "blocking", text))
    return Grid(path, "", values, encoding="utf-8", notes=tuple(notes))


_DESCRIBED = {"fields", "columns", "facets", "facet_groups", "links"}
_TOTALS = {
    "total_count",
    "nhits",
    "count",
    "total",
    "totalcount",
    "numbermatched",
    "totalfeatures",
    "odatacount",
}
_NEXT = {"next", "odatanextlink", "nextlink", "nextpage"}


def _around(whole: object) -> Iterator[tuple[str, object]]:
    """The keys and values around the list of lines, as far as two objects deep: « meta », « links »."""
    for key, value in whole.items() if isinstance(whole, dict) else ():
        yield re.sub(r"[^a-z_]", "", str(key).lower()), value
        if isinstance(value, dict):
            yield from _around(value)


def _announced(whole: object) -> list[int]:
    """How many lines an export says that there are."""
    return [value for key, value in _around(whole) if key in _TOTALS and isinstance(value, int)]


def _goes_on(whole: object) -> bool:
    """Whether an export says that other lines follow on another page."""
    return any(
        (key in _NEXT and value) or (key == "exceededtransferlimit" and value is True)
        for key, value in _around(whole)
    )


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 16 else digits


def _no_number(word: str) -> str:
    raise ValueError(f"{word} n'est pas un nombre")


def _lists(value: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lists of objects, outermost first: once one is found, what is inside it belongs to its rows."""
    if isinstance(value, list):
        if value and all(isinstance(row, dict) for row in value):
            yield where, value
    elif isinstance(value, dict) and depth < 3:
        for key, inner in value.items():
            yield from _lists(inner, f"{where}/{key}", depth + 1)


def _core(row: dict[str, Any]) -> dict[str, Any]:
    """The object that holds the facts: open data portals wrap it in « fields », « properties » or « record »."""
    for wrapper in ("fields", "properties", "record"):
        inner = row.get(wrapper)
        if isinstance(inner, dict):
            return _core(inner)
    return row


def _flat(value: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{where}:{key}" if where else key, depth + 1)
    elif isinstance(value, list):
        if value and all(isinstance(one, dict) for one in value):
            for at, inner in enumerate(value):
                yield from _flat(inner, where if at == 0 else f"{where} ({at + 1})", depth + 1)
        elif value:
            yield where, " ; ".join(map(str, value))
    elif isinstance(value, str):
        yield where, value.encode("utf-8", "replace").decode()
    else:
        yield where, value
