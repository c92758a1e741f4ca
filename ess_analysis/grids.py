"""Files (.xlsx .xls .ods .csv .tsv .json, and .zip of them) → grids of cells that know their address.

A file is not trusted: an archive that swells, an XML that declares entities, a cell a million rows away are
refused before any reader opens them, and nothing is unpacked on the disk.
"""

from __future__ import annotations

import html
import io
import json
import math
import posixpath
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS
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
    formats: dict[int, frozenset[str]] = field(default_factory=dict)  # of the numbers of each column
    member: str = ""  # the file of the archive that the grid comes from
    struck_rows: frozenset[int] = frozenset()  # rows with a struck-through cell (.xlsx only)

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


_SPOILT = (zipfile.BadZipFile, zipfile.zlib.error, NotImplementedError, OSError, EOFError)  # type: ignore[attr-defined]


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
        raise _not_read(name) from error
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
        return _by_calamine(path, name, content, _xls_facts(name, content))
    with _opened(name, content) as archive:
        try:
            parts = {one: archive.getinfo(one).file_size for one in archive.namelist()}
            if "content.xml" in parts:
                xml = archive.read("content.xml")
                _refuse_repeats(name, xml)
                styles = archive.read("styles.xml") if "styles.xml" in parts else b""
                return _by_calamine(path, name, content, _ods_facts(xml, styles))
            sheets = [one for one in parts if re.fullmatch(r"xl/worksheets/[^/]+\.xml", one)]
            if not sheets:
                raise _not_what_it_says(name, content)
            looks = _Looks(archive.read("xl/styles.xml") if "xl/styles.xml" in parts else b"")
            facts = _by_sheet(archive, {one: _xlsx_facts(name, archive.read(one), looks) for one in sheets})
        except (*_SPOILT, KeyError, ValueError, etree.LxmlError) as error:
            raise _not_read(name) from error
        if sum(parts[one] for one in sheets) <= SMALL:
            return _by_openpyxl(path, name, content, facts)
        return _by_calamine(path, name, content, facts)


def _not_read(name: str, seen: str = "un contenu abîmé, ou coupé en route") -> DataError:
    return DataError(
        f"Classeur illisible : {name}.",
        seen=[seen],
        todo="téléchargez-le à nouveau, ou ouvrez-le dans un tableur et enregistrez-le au format .xlsx, sans mot de passe.",
    )


@dataclass
class _Facts:
    """What a sheet says that a fast reader of its values does not."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    formulas: dict[tuple[int, int], str] = field(
        default_factory=dict
    )  # without a value, and those that add up
    empty_texts: set[tuple[int, int]] = field(default_factory=set)  # formulas whose value is an empty text
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    struck_rows: set[int] = field(default_factory=set)
    formats: dict[int, set[str]] = field(default_factory=dict)

    def shown_as(self, column: int, number_format: str) -> None:
        if number_format and number_format != "General":
            self.formats.setdefault(column, set()).add(number_format)

    def grid(
        self, path: Path, sheet: str, values: pd.DataFrame, merged: Iterable[tuple[int, int, int, int]],
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
            frozenset(self.hidden_rows),
            frozenset(self.hidden_columns),
            formats={at: frozenset(used) for at, used in self.formats.items()},
            struck_rows=frozenset(self.struck_rows),
        )


# --- .xlsx


def _by_openpyxl(path: Path, name: str, content: bytes, facts: dict[str, _Facts]) -> tuple[Grid, ...]:
    try:
        computed = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        written = openpyxl.load_workbook(io.BytesIO(content))
        return tuple(
            _grid(path, computed[name], written[name], facts.get(name, _Facts()))
            for name in computed.sheetnames
        )
    except (MemoryError, RecursionError) as error:
        raise _not_read(name) from error
    except Exception as error:  # openpyxl raises whatever a spoilt XML made it meet
        raise _not_read(name) from error


def _grid(path: Path, computed: Any, written: Any, facts: _Facts) -> Grid:
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
    return facts.grid(path, computed.title, pd.DataFrame(rows, dtype=object), merged, formulas, hidden)


class _Looks:
    """The number format of each style of an .xlsx, and the styles that strike their text through."""

    def __init__(self, xml: bytes) -> None:
        tree = _tree(xml) if xml else etree.Element("none")
        codes = {one.get("numFmtId"): one.get("formatCode") for one in tree.iterfind("{*}numFmts/{*}numFmt")}
        fonts = [font.find("{*}strike") for font in tree.iterfind("{*}fonts/{*}font")]
        struck = {
            str(at)
            for at, font in enumerate(fonts)
            if font is not None and font.get("val", "1") in ("1", "true")
        }
        styles = list(tree.iterfind("{*}cellXfs/{*}xf"))
        ids = [style.get("numFmtId", "0") for style in styles]
        self.formats = [codes.get(one) or BUILTIN_FORMATS.get(int(one), "") for one in ids]
        self.struck = {at for at, style in enumerate(styles) if style.get("fontId") in struck}


def _tree(xml: bytes) -> Any:
    """The XML of a part, its entities left as they are."""
    return etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


_ATTRIBUTE = re.compile(rb'([\w:]+)="([^"]*)"')
_TAG = re.compile(
    rb'<(?:row\b([^>]*)>|c(?: r="([A-Z]{1,3})(\d{1,7})")?(?: s="(\d+)")?(?: t="(\w+)")?(\s[^>]*?)?(/?)>'
    rb"\s*(</c>)?(<f\b[^>]*?(?:/>|>([^<]*)</f>))?\s*(?:<v>([^<]*)</v>)?)"
)
_MERGE = re.compile(rb'<mergeCell\b[^>]*?\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_HIDDEN = (b"1", b"true")


def _xlsx_facts(name: str, xml: bytes, looks: _Looks) -> _Facts:
    """The facts of a sheet; DataError on one that would not fit in memory, from its first filled cell to its last."""
    if prefix := re.search(rb"<(\w+:)worksheet\b", xml[:4096]):
        xml = xml.replace(b"<" + prefix[1], b"<").replace(b"</" + prefix[1], b"</")
    facts, row, column, last_row, last_column, cells = _Facts(), -1, -1, 0, 0, 0
    used: set[tuple[int, bytes | None]] = set()
    for found in _TAG.finditer(xml):
        line, letters, digits, style, kind, rest, closed, empty, formula, written, value = found.groups()
        if line is not None:
            said = dict(_ATTRIBUTE.findall(line))
            row, column = int(said.get(b"r", row + 2)) - 1, -1
            if said.get(b"hidden") in _HIDDEN:
                facts.hidden_rows.add(row)
            continue
        if rest:
            said = dict(_ATTRIBUTE.findall(rest))
            style, kind = style or said.get(b"s"), kind or said.get(b"t")
            if at := re.fullmatch(rb"([A-Z]{1,3})(\d{1,7})", said.get(b"r", b"")):
                letters, digits = at.groups()
        column = _column(letters) - 1 if letters else column + 1
        row = int(digits) - 1 if digits else row
        if closed or empty:
            continue
        cells, last_row, last_column = cells + 1, max(last_row, row + 1), max(last_column, column + 1)
        if kind == b"e" and value:
            facts.errors[row, column] = value.decode("utf-8", "replace")
        elif value and kind in (None, b"n"):
            used.add((column, style))
        if formula and not value and kind == b"str":
            facts.empty_texts.add((row, column))
        elif formula and (not value or re.match(rb"(?:SUM|SUBTOTAL)\(", written or b"", re.IGNORECASE)):
            facts.formulas[row, column] = "=" + html.unescape((written or b"").decode("utf-8", "replace"))
        if style and looks.struck and int(style) in looks.struck:
            facts.struck_rows.add(row)
    covered = sum(
        (int(r2) - int(r1) + 1) * (_column(c2) - _column(c1) + 1) for c1, r1, c2, r2 in _MERGE.findall(xml)
    )
    extent = max(last_row * last_column, covered)
    if extent > MOST_CELLS or (extent > 2_000_000 and extent > 50 * cells):
        raise DataError(
            f"Feuille démesurée : {name}.",
            seen=[f"{last_row} lignes, {last_column} colonnes, {cells} cellules remplies"],
            todo="supprimez les cellules perdues au bout de la feuille, ou exportez à nouveau.",
        )
    for column, style in used:
        if int(style or 0) < len(looks.formats):
            facts.shown_as(column, looks.formats[int(style or 0)])
    for tag in re.findall(rb"<col\b([^>]*)>", xml):
        said = dict(_ATTRIBUTE.findall(tag))
        if said.get(b"hidden") in _HIDDEN:
            first, last = int(said.get(b"min", 1)), int(said.get(b"max", 0))
            facts.hidden_columns |= set(range(first - 1, min(last, 16_384)))
    return facts


@lru_cache(maxsize=20_000)
def _column(letters: bytes) -> int:
    return column_index_from_string(letters.decode())


def _by_sheet(archive: zipfile.ZipFile, facts: dict[str, _Facts]) -> dict[str, _Facts]:
    """Sheet name → facts, by the relations that the workbook declares."""
    targets = {
        one.get("Id"): posixpath.normpath(posixpath.join("/xl", one.get("Target", "")))[1:]
        for one in _tree(archive.read("xl/_rels/workbook.xml.rels"))
    }
    found = {}
    for sheet in _tree(archive.read("xl/workbook.xml")).iter("{*}sheet"):
        link = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
        if targets.get(link) in facts:
            found[sheet.get("name", "")] = facts[targets[link]]
    return found


# --- .ods

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


_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_NUMBER = "{urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_REPEATED_CELL, _FORMULA, _KIND = (
    _TABLE + "number-columns-repeated",
    _TABLE + "formula",
    _OFFICE + "value-type",
)


class _OdsFormats:
    """The number formats of an OpenDocument workbook, written as those of an .xlsx are."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.styles: dict[str, tuple[str, str]] = {}  # style → its number format, its parent

    def add(self, tree: Any) -> None:
        """Adds the styles that a part declares."""
        for one in tree.iter(
            *(_NUMBER + kind for kind in ("number-style", "currency-style", "percentage-style"))
        ):
            name, negative = one.get(_STYLE + "name", ""), one.findall(_STYLE + "map")
            others = [self.codes.get(other.get(_STYLE + "apply-style-name"), "") for other in negative]
            self.codes[name] = ";".join(["".join(map(_written, one)), *filter(None, others)])
        for one in tree.iter(_STYLE + "style"):
            names = one.get(_STYLE + "data-style-name", ""), one.get(_STYLE + "parent-style-name", "")
            self.styles[one.get(_STYLE + "name", "")] = names

    def of(self, style: str) -> str:
        """The number format of a style, or of the first of its parents that has one."""
        for _ in range(10):
            code, parent = self.styles.get(style, ("", ""))
            if code or not parent:
                break
            style = parent
        return self.codes.get(code, "")


def _written(part: Any) -> str:
    """A part of an OpenDocument number format as an .xlsx writes it: « 0, », « "k€" », « [$CHF-CH] »."""
    text = part.text or ""
    if part.tag == _NUMBER + "number":
        return "0" + "," * round(math.log10(float(part.get(_NUMBER + "display-factor", 1))) / 3)
    if part.tag == _NUMBER + "currency-symbol":
        return f"[${text}-{part.get(_NUMBER + 'country', '')}]"
    return f'"{text}"' if part.tag == _NUMBER + "text" else ""


def _ods_facts(xml: bytes, styles: bytes) -> dict[str, _Facts]:
    """Sheet name → facts of an OpenDocument workbook."""
    formats = _OdsFormats()
    if styles:
        formats.add(_tree(styles))
    found: dict[str, _Facts] = {}
    facts, row, defaults = _Facts(), 0, list[str]()
    tags = [_OFFICE + "automatic-styles", *(_TABLE + one for one in ("table", "table-column", "table-row"))]
    for event, element in etree.iterparse(
        io.BytesIO(xml), ("start", "end"), tag=tags, resolve_entities=False, no_network=True, huge_tree=True
    ):
        kind = element.tag.rpartition("}")[2]
        if kind == "table" and event == "start":
            facts, row, defaults = found.setdefault(element.get(_TABLE + "name", ""), _Facts()), 0, []
        elif event == "end" and kind == "automatic-styles":
            formats.add(element)
        elif event == "end" and kind == "table-column":
            times = min(int(element.get(_TABLE + "number-columns-repeated", 1)), 16_384)
            if element.get(_TABLE + "visibility") in ("collapse", "filter"):
                facts.hidden_columns |= set(range(len(defaults), len(defaults) + times))
            defaults += [element.get(_TABLE + "default-cell-style-name", "")] * times
        elif event == "end" and kind == "table-row":
            times = int(element.get(_TABLE + "number-rows-repeated", 1))
            _ods_row(facts, element, range(row, row + times), defaults, formats)
            row += times
            element.clear()
    return found


def _ods_row(facts: _Facts, element: Any, rows: range, defaults: list[str], formats: _OdsFormats) -> None:
    """Adds what the cells of a row, repeated or not, say."""
    column, filled = 0, False
    usual = element.get(_TABLE + "default-cell-style-name")
    for cell in element.iterchildren(_TABLE + "table-cell", _TABLE + "covered-table-cell"):
        columns = range(column, min(column + int(cell.get(_REPEATED_CELL, 1)), 16_384))
        column = columns.stop
        kind, formula = cell.get(_KIND), cell.get(_FORMULA)
        filled |= bool(kind or formula)
        if formula and len(rows) * len(columns) <= 10_000:
            _ods_formula(facts, cell, kind, formula, [(row, at) for row in rows for at in columns])
        if kind in ("float", "currency", "percentage"):
            style = cell.get(_TABLE + "style-name") or usual
            for at in columns:
                facts.shown_as(at, formats.of(style or (defaults[at] if at < len(defaults) else "")))
                if currency := cell.get(_OFFICE + "currency"):
                    facts.shown_as(at, f"[${currency}]")
    if filled and element.get(_TABLE + "visibility") in ("collapse", "filter"):
        facts.hidden_rows |= set(rows)


def _ods_formula(
    facts: _Facts, cell: Any, kind: str | None, formula: str, places: list[tuple[int, int]]
) -> None:
    """Adds the error that a formula ends in, or the formula if it has no value or adds up."""
    text = cell.findtext(_TEXT + "p") or ""
    if re.fullmatch(r"#[A-ZÉ0-9/ ]+[!?]?|Err ?:\d+", text):
        facts.errors |= dict.fromkeys(places, text)
    elif kind is None or re.match(r"(?:of:)?=(?:SUM|SUBTOTAL)\(", formula):
        written = re.sub(r"\[?\.(\$?[A-Z]+\$?\d+)\]?", r"\1", formula.removeprefix("of:"))
        facts.formulas |= dict.fromkeys(places, written)


# --- .xls

_XLS_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_XLS_SUM = re.compile(  # SUM(area), SUBTOTAL(9, area)
    rb"(?:\x1e\x09\0)?[\x25\x45\x65](.{8})(?:\x19\x10..|[\x22\x42\x62](?:\x01\x04\0|\x02\x58\x01))", re.DOTALL
)


def _xls_facts(name: str, content: bytes) -> dict[str, _Facts]:
    """Sheet name → facts of an .xls, by the records of its one stream."""
    try:
        stream = _xls_stream(content)
        codes, styles, found = dict(BUILTIN_FORMATS), list[int](), {}
        recent = stream[4:6] == b"\0\6"  # BIFF8: Excel 97 and later
        for kind, body in _xls_records(stream, 0):
            if kind == 0x41E:
                codes[_u16(body, 0)] = _xls_text(body, 2, recent, 2 if recent else 1)
            elif kind == 0xE0:
                styles.append(_u16(body, 2))
            elif kind == 0x85 and body[5] == 0:  # a sheet of cells
                at = struct.unpack_from("<I", body)[0]
                found[_xls_text(body, 6, recent, 1)] = _xls_sheet(
                    stream, at, [codes.get(one, "") for one in styles], recent
                )
        return found
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise _not_read(name) from error


def _xls_sheet(stream: bytes, start: int, formats: list[str], recent: bool) -> _Facts:
    facts = _Facts()
    for kind, body in _xls_records(stream, start):
        row, column = (_u16(body, 0), _u16(body, 2)) if len(body) > 5 else (0, 0)
        if kind == 0x208 and _u16(body, 12) & 0x20:
            facts.hidden_rows.add(row)
        elif kind == 0x7D and _u16(body, 8) & 1:
            facts.hidden_columns |= set(range(row, column + 1))  # this record's first and last columns
        elif kind == 0xBD:
            for number in range((len(body) - 6) // 6):
                facts.shown_as(column + number, formats[_u16(body, 4 + 6 * number)])
        elif kind in (0x203, 0x27E):
            facts.shown_as(column, formats[_u16(body, 4)])
        elif kind == 0x205 and body[7]:
            facts.errors[row, column] = _XLS_ERRORS.get(body[6], "#N/A")
        elif kind in (0x06, 0x206, 0x406):
            _xls_formula(facts, row, column, body, formats[_u16(body, 4)], recent)
    return facts


def _xls_formula(facts: _Facts, row: int, column: int, body: bytes, number_format: str, recent: bool) -> None:
    """Adds what the cell of a formula says: its error, its lack of a value, the cells it adds up."""
    result, written = body[6:14], body[22:]
    text = result[6:] == b"\xff\xff"
    if not text:
        facts.shown_as(column, number_format)
    elif result[0] == 2:
        facts.errors[row, column] = _XLS_ERRORS.get(result[2], "#N/A")
    if recent and (added := _XLS_SUM.fullmatch(written)):
        top, low, left, right = struct.unpack("<4H", added[1])
        ends = (f"{get_column_letter((at & 0xFF) + 1)}{line + 1}" for at, line in ((left, top), (right, low)))
        facts.formulas[row, column] = f"=SUM({':'.join(ends)})"
    elif text and result[0] == 3 and b"\x17\0\0"[: 2 + recent] not in written:  # no "" in it: never computed
        facts.formulas[row, column] = "=…"


def _xls_records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The records of a sheet (or of what is common to them all), without those of the charts it holds."""
    depth = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        depth += (kind in (0x809, 0x409, 0x209)) - (kind == 0x0A)
        if depth == 1:
            yield kind, stream[at + 4 : at + 4 + size]
        elif depth == 0:
            return
        at += 4 + size


def _u16(body: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", body, at)[0])


def _xls_text(body: bytes, at: int, recent: bool, width: int) -> str:
    """The text whose length stands at a place, on one byte or two."""
    length, at = int.from_bytes(body[at : at + width], "little"), at + width
    if not recent:
        return body[at : at + length].decode("cp1252", "replace")
    wide = body[at] & 1
    return body[at + 1 : at + 1 + length * (1 + wide)].decode("utf-16-le" if wide else "latin-1")


def _xls_stream(content: bytes) -> bytes:
    """The stream « Workbook » of a compound file: the sectors that its tables chain, put end to end."""
    size, small = 1 << _u16(content, 30), 1 << _u16(content, 32)
    first, _, least, first_small, _, more = struct.unpack_from("<6I", content, 48)
    per = size // 4

    def sector(number: int) -> bytes:
        return content[(number + 1) * size : (number + 2) * size]

    def table(numbers: Iterable[int]) -> list[int]:
        return [one for number in numbers for one in struct.unpack(f"<{per}I", sector(number))]

    def chained(number: int, following: list[int]) -> list[int]:
        found: list[int] = []
        while number < len(following) and len(found) <= len(following):
            found.append(number)
            number = following[number]
        return found

    allocated = list(struct.unpack_from("<109I", content, 76))
    while more < 0xFFFFFFFA and len(allocated) * size < len(content) + 109 * size:
        *numbers, more = struct.unpack(f"<{per}I", sector(more))
        allocated += numbers
    following = table(one for one in allocated if one < 0xFFFFFFFA)
    directory = b"".join(map(sector, chained(first, following)))
    entries = {}
    for at in range(0, len(directory) - 127, 128):
        title = directory[at : at + max(_u16(directory, at + 64) - 2, 0)].decode("utf-16-le", "replace")
        entries[title] = struct.unpack_from("<II", directory, at + 116)
    start, length = entries.get("Workbook") or entries.get("Book") or (0xFFFFFFFF, 0)
    if length >= least:
        return b"".join(map(sector, chained(start, following)))[:length]
    pieces = b"".join(map(sector, chained(entries["Root Entry"][0], following)))
    places = chained(start, table(chained(first_small, following)))
    return b"".join(pieces[at * small : (at + 1) * small] for at in places)[:length]


# --- Values, by calamine


def _by_calamine(path: Path, name: str, content: bytes, facts: dict[str, _Facts]) -> tuple[Grid, ...]:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [(about, book.get_sheet_by_name(about.name)) for about in book.sheets_metadata]
        return tuple(
            _calamine_grid(
                path, sheet, about.visible != SheetVisibleEnum.Visible, facts.get(about.name, _Facts())
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
        raise _not_read(name) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # the reader itself gave up
            raise _not_read(name) from error
        raise


def _calamine_grid(path: Path, sheet: Any, hidden: bool, facts: _Facts) -> Grid:
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
    return facts.grid(path, sheet.name, values, merged, facts.formulas, hidden)


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
