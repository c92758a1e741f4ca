"""Files (.xlsx .xls .ods .csv .tsv .json, and .zip of them) → grids of cells that know their address.

A file is not trusted: an archive that swells, an XML that declares entities, a cell a million rows away are
refused before any reader opens them, and nothing is unpacked on the disk.
"""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.utils import column_index_from_string, get_column_letter
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

from ess_analysis.delimited import Note, read_delimited
from ess_analysis.errors import DataError

TEXTS = {".csv", ".tsv", ".txt"}
WORKBOOKS = {".xlsx", ".xlsm", ".xls", ".ods"}
KEPT = 1 << 20  # bytes of a file up to which its sheets are kept for the next reading
READABLE = {*TEXTS, *WORKBOOKS, ".json", ".zip"}
LARGEST_PART = 600 << 20  # bytes of one part of an archive, unpacked
SWELLS = 120  # times its packed size, from which a big part is taken for a trap
SMALL = 3 << 20  # bytes of XML up to which openpyxl reads a workbook, formulas included
MOST_CELLS = 60_000_000  # of one sheet, blank ones between the first and the last included
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
    formats: dict[int, frozenset[str]] = field(default_factory=dict)  # number formats by column; -1: anywhere
    member: str = ""  # the file of the archive that the grid comes from

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
    return _of_workbook(path, name, content)


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
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise DataError(
            f"Classeur illisible : {name}.",
            seen=[error],
            todo="enregistrez-le au format .xlsx, sans mot de passe.",
        ) from error
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]
        raise DataError(
            f"Classeur illisible : {name}.", seen=[error], todo="enregistrez-le à nouveau."
        ) from error
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
        return _by_calamine(path, name, content, {})
    with _opened(name, content) as archive:
        try:
            parts = {one: archive.getinfo(one).file_size for one in archive.namelist()}
            if "content.xml" in parts:
                _refuse_repeats(name, archive.read("content.xml"))
                return _by_calamine(path, name, content, {})
            sheets = [one for one in parts if re.fullmatch(r"xl/worksheets/[^/]+\.xml", one)]
            facts = {one: _Facts(name, archive.read(one)) for one in sheets}
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, NotImplementedError, OSError) as error:  # type: ignore[attr-defined]
            raise _not_read(name, error) from error
        if not sheets:
            raise _not_what_it_says(name, content)
        if sum(parts[one] for one in sheets) <= SMALL:
            return _by_openpyxl(path, name, content)
        grids = _by_calamine(path, name, content, _facts_by_sheet(archive, facts))
        styles = archive.read("xl/styles.xml").decode("utf-8", "replace") if "xl/styles.xml" in parts else ""
        declared = frozenset(map(html.unescape, re.findall(r'formatCode="([^"]*)"', styles)))
        return tuple(replace(grid, formats={-1: declared}) for grid in grids)


def _not_read(name: str, error: object) -> DataError:
    return DataError(
        f"Classeur illisible : {name}.",
        seen=[error],
        todo="enregistrez-le au format .xlsx, sans mot de passe.",
    )


def _by_openpyxl(path: Path, name: str, content: bytes) -> tuple[Grid, ...]:
    try:
        computed = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        written = openpyxl.load_workbook(io.BytesIO(content))
        return tuple(_grid(path, computed[name], written[name]) for name in computed.sheetnames)
    except (MemoryError, RecursionError) as error:
        raise _not_read(name, error) from error
    except Exception as error:  # openpyxl raises whatever a spoilt XML made it meet
        raise _not_read(name, f"{type(error).__name__} {error}") from error


def _grid(path: Path, computed: Any, written: Any) -> Grid:
    rows = [list(row) for row in computed.iter_rows(values_only=True)]
    formulas = {
        (cell.row - 1, cell.column - 1): cell.value
        for row in written.iter_rows()
        for cell in row
        if cell.data_type == "f"
    }
    merged = tuple(
        (r.min_row - 1, r.min_col - 1, r.max_row - 1, r.max_col - 1) for r in computed.merged_cells.ranges
    )
    formats: dict[int, set[str]] = {}
    for row in computed.iter_rows():
        for cell in row:
            if cell.data_type == "n" and cell.value is not None and cell.number_format != "General":
                formats.setdefault(cell.column - 1, set()).add(cell.number_format)
    hidden_columns = frozenset(
        at - 1
        for shape in computed.column_dimensions.values()
        if shape.hidden and shape.min
        for at in range(shape.min, min(shape.max or shape.min, 16_384) + 1)
    )
    return Grid(
        path,
        computed.title,
        pd.DataFrame(rows, dtype=object),
        merged,
        formulas,
        computed.sheet_state != "visible",
        frozenset(row - 1 for row, shape in computed.row_dimensions.items() if shape.hidden),
        hidden_columns,
        formats={at: frozenset(used) for at, used in formats.items()},
    )


class _Facts:
    """What the XML of a sheet says that a fast reader of values does not: extent, formulas, errors, hidden rows."""

    _CELL = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d{1,7})"')
    _ERROR = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*>.*?<v>([^<]*)</v>')
    _BARE = re.compile(
        rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*><f[^>]*?(?:/>|>([^<]*)</f>)(?:<v\s*/>|<v></v>)?</c>'
    )
    _MERGE = re.compile(rb'<mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
    _SUM = re.compile(
        rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d{1,7})"[^>]*><f[^>]*>((?:SUM|SUBTOTAL)\([^<]*)</f>', re.IGNORECASE
    )
    _ROW = re.compile(rb'<row\b(?=[^>]*\bhidden="(?:1|true)")[^>]*?\br="(\d{1,7})"')
    _COLUMN = re.compile(rb'<col\b(?=[^>]*\bhidden="(?:1|true)")[^>]*>')

    def __init__(self, name: str, xml: bytes) -> None:
        rows = columns = cells = 0
        for found in self._CELL.finditer(xml):
            cells += 1
            rows, columns = max(rows, int(found[2])), max(columns, len(found[1]) and _column(found[1]))
        covered = sum(
            (int(r2) - int(r1) + 1) * (_column(c2) - _column(c1) + 1)
            for c1, r1, c2, r2 in self._MERGE.findall(xml)
        )
        extent = max(rows * columns, covered)
        if extent > MOST_CELLS or (extent > 2_000_000 and extent > 50 * cells):
            raise DataError(
                f"Feuille démesurée : {name}.",
                seen=[f"{rows} lignes, {columns} colonnes, {cells} cellules remplies"],
                todo="supprimez les cellules perdues au bout de la feuille, ou exportez à nouveau.",
            )
        self.errors = {(int(r) - 1, _column(c) - 1): v.decode() for c, r, v in self._ERROR.findall(xml)}
        self.formulas = {
            (int(r) - 1, _column(c) - 1): "=" + f.decode() for c, r, f in self._BARE.findall(xml)
        }
        self.formulas |= {
            (int(r) - 1, _column(c) - 1): "=" + f.decode() for c, r, f in self._SUM.findall(xml)
        }
        self.hidden_rows = frozenset(int(row) - 1 for row in self._ROW.findall(xml))
        spans = [
            (int(low[1]), int(high[1]))
            for tag in self._COLUMN.findall(xml)
            if (low := re.search(rb'min="(\d+)"', tag)) and (high := re.search(rb'max="(\d+)"', tag))
        ]
        self.hidden_columns = frozenset(at - 1 for a, b in spans for at in range(a, min(b, 16_384) + 1))


def _column(letters: bytes) -> int:
    return column_index_from_string(letters.decode())


def _facts_by_sheet(archive: zipfile.ZipFile, facts: dict[str, _Facts]) -> dict[str, _Facts]:
    """Sheet name → facts, by the relations that the workbook declares."""
    book, relations = (
        archive.read("xl/workbook.xml").decode(),
        archive.read("xl/_rels/workbook.xml.rels").decode(),
    )
    targets = {}
    for tag in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", relations):
        identity, target = re.search(r'\bId="([^"]+)"', tag), re.search(r'\bTarget="([^"]+)"', tag)
        if identity and target:
            targets[identity[1]] = "xl/" + target[1].removeprefix("/xl/").removeprefix("xl/")
    found = {}
    for tag in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", book):
        title, identity = re.search(r'\bname="([^"]*)"', tag), re.search(r'\br:id="([^"]+)"', tag)
        if title and identity and targets.get(identity[1]) in facts:
            name = title[1]
            for entity, sign in (
                ("&quot;", '"'),
                ("&apos;", "'"),
                ("&lt;", "<"),
                ("&gt;", ">"),
                ("&amp;", "&"),
            ):
                name = name.replace(entity, sign)
            found[name] = facts[targets[identity[1]]]
    return found


_REPEATED = re.compile(rb'number-(rows|columns)-repeated="(\d+)"([^>]*?)(/?)>')


def _refuse_repeats(name: str, xml: bytes) -> None:
    """Nothing, or DataError on an OpenDocument sheet that repeats filled cells without end."""
    for found in _REPEATED.finditer(xml):
        times, most = int(found[2]), 1_048_576 if found[1] == b"rows" else 16_384
        after = xml[found.end() : found.end() + 4000]
        row = after.split(b"</table:table-row>")[0]
        filled = found[4] != b"/" and (
            (b"<text:p" in row or b"office:value" in row)
            if found[1] == b"rows"
            else not after.startswith(b"</")
        )
        if times > most or (filled and times > 10_000):
            raise DataError(
                f"Feuille démesurée : {name}.",
                seen=[f"{found[1].decode()} × {times}"],
                todo="supprimez les cellules répétées, ou exportez à nouveau.",
            )


def _by_calamine(path: Path, name: str, content: bytes, facts: dict[str, _Facts]) -> tuple[Grid, ...]:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [(about, book.get_sheet_by_name(about.name)) for about in book.sheets_metadata]
        return tuple(
            _calamine_grid(path, sheet, about.visible != SheetVisibleEnum.Visible, facts.get(about.name))
            for about, sheet in sheets
        )
    except PasswordError as error:
        raise DataError(
            f"Fichier protégé par un mot de passe : {name}.",
            seen=[error],
            todo="enregistrez-le sans mot de passe.",
        ) from error
    except (CalamineError, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _not_read(name, error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # the reader itself gave up
            raise _not_read(name, "contenu abîmé") from error
        raise


def _calamine_grid(path: Path, sheet: Any, hidden: bool, facts: _Facts | None) -> Grid:
    if sheet.total_height * sheet.total_width > MOST_CELLS:
        raise DataError(
            f"Feuille démesurée : {path.name}, « {sheet.name} ».",
            seen=[f"{sheet.total_height} lignes, {sheet.total_width} colonnes"],
            todo="supprimez les cellules perdues au bout de la feuille, ou exportez à nouveau.",
        )
    rows = sheet.to_python(skip_empty_area=False)
    values = pd.DataFrame(rows, dtype=object)
    for (row, column), written in (facts.errors if facts else {}).items():
        if row < values.shape[0] and column < values.shape[1]:
            values.iat[row, column] = written
    merged = tuple((r1, c1, r2, c2) for (r1, c1), (r2, c2) in sheet.merged_cell_ranges or ())
    return Grid(
        path,
        sheet.name,
        values,
        merged,
        facts.formulas if facts else {},
        hidden,
        facts.hidden_rows if facts else frozenset(),
        facts.hidden_columns if facts else frozenset(),
    )


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
            seen=[str(error)[:120]],
            todo="vérifiez le fichier, ou demandez un export en CSV.",
        ) from error
    lists = dict(_lists(whole))
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
    said = [
        whole[key]
        for key in ("total_count", "nhits", "count", "total")
        if isinstance(whole, dict) and key in whole
    ]
    notes = []
    if any(isinstance(number, int) and number > len(rows) for number in said):
        text = f"Export tronqué : le fichier annonce {max(said)} lignes et en contient {len(rows)}."
        notes.append(Note("READ-TRUNCATED", "blocking", text))
    return Grid(path, "", values, encoding="utf-8", notes=tuple(notes))


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
