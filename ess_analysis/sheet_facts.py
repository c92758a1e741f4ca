"""What the sheets of a workbook say beyond their values: errors, formulas, formats, what is hidden or struck through.

Each format has its own walk: the XML parts of .xlsx and .ods, the records of .xls.
"""

from __future__ import annotations

import html
import io
import math
import posixpath
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.cell import coordinate_to_tuple

from ess_analysis.errors import DataError

MOST_CELLS = 60_000_000  # of one sheet, blank ones between the first and the last included


def not_read(name: str, seen: str = "un contenu abîmé, ou coupé en route") -> DataError:
    """What is said of a workbook that no reader opens."""
    return DataError(
        f"Classeur illisible : {name}.",
        seen=[seen],
        todo="téléchargez-le à nouveau, ou ouvrez-le dans un tableur et enregistrez-le au format .xlsx, sans mot de passe.",
    )


@dataclass
class Facts:
    """What a sheet says that a fast reader of its values does not."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    formulas: dict[tuple[int, int], str] = field(
        default_factory=dict
    )  # without a value, and those that add up
    empty_texts: set[tuple[int, int]] = field(default_factory=set)  # formulas whose value is an empty text
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    struck_rows: set[int] = field(default_factory=set)
    comments: dict[tuple[int, int], str] = field(default_factory=dict)
    formats: dict[int, set[str]] = field(default_factory=dict)

    def shown_as(self, column: int, number_format: str) -> None:
        """Adds the number format of a cell that holds a number."""
        if number_format and number_format != "General":
            self.formats.setdefault(column, set()).add(number_format)


class Looks:
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


def xlsx_facts(name: str, xml: bytes, looks: Looks) -> Facts:
    """The facts of a sheet; DataError on one that would not fit in memory, from its first filled cell to its last."""
    if prefix := re.search(rb"<(\w+:)worksheet\b", xml[:4096]):
        xml = xml.replace(b"<" + prefix[1], b"<").replace(b"</" + prefix[1], b"</")
    facts, row, column, last_row, last_column, cells = Facts(), -1, -1, 0, 0, 0
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


def xlsx_comments(archive: zipfile.ZipFile, part: str) -> dict[tuple[int, int], str]:
    """What is noted beside the cells of a sheet, by its own relations."""
    folder, name = posixpath.split(part)
    relations = f"{folder}/_rels/{name}.rels"
    found = {}
    for one in _tree(archive.read(relations)) if relations in archive.namelist() else ():
        target = posixpath.normpath(posixpath.join(f"/{folder}", one.get("Target", "")))[1:]
        if one.get("Type", "").endswith("/comments") and target in archive.namelist():
            for comment in _tree(archive.read(target)).iter("{*}comment"):
                row, column = coordinate_to_tuple(comment.get("ref", "A1"))
                found[row - 1, column - 1] = " ".join("".join(comment.itertext()).split())
    return found


def by_sheet(archive: zipfile.ZipFile, facts: dict[str, Facts]) -> dict[str, Facts]:
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


def refuse_repeats(name: str, xml: bytes) -> None:
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


def ods_facts(xml: bytes, styles: bytes) -> dict[str, Facts]:
    """Sheet name → facts of an OpenDocument workbook."""
    formats = _OdsFormats()
    if styles:
        formats.add(_tree(styles))
    found: dict[str, Facts] = {}
    facts, row, defaults = Facts(), 0, list[str]()
    tags = [_OFFICE + "automatic-styles", *(_TABLE + one for one in ("table", "table-column", "table-row"))]
    for event, element in etree.iterparse(
        io.BytesIO(xml), ("start", "end"), tag=tags, resolve_entities=False, no_network=True, huge_tree=True
    ):
        kind = element.tag.rpartition("}")[2]
        if kind == "table" and event == "start":
            facts, row, defaults = found.setdefault(element.get(_TABLE + "name", ""), Facts()), 0, []
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


def _ods_row(facts: Facts, element: Any, rows: range, defaults: list[str], formats: _OdsFormats) -> None:
    """Adds what the cells of a row, repeated or not, say."""
    column, filled = 0, False
    usual = element.get(_TABLE + "default-cell-style-name")
    for cell in element.iterchildren(_TABLE + "table-cell", _TABLE + "covered-table-cell"):
        columns = range(column, min(column + int(cell.get(_REPEATED_CELL, 1)), 16_384))
        column = columns.stop
        kind, formula = cell.get(_KIND), cell.get(_FORMULA)
        filled |= bool(kind or formula)
        if (comment := cell.find(_OFFICE + "annotation")) is not None:
            said = (" ".join(paragraph.itertext()) for paragraph in comment.iter(_TEXT + "p"))
            facts.comments[rows.start, columns.start] = " ".join(" ".join(said).split())
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
    facts: Facts, cell: Any, kind: str | None, formula: str, places: list[tuple[int, int]]
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


def xls_facts(name: str, content: bytes) -> dict[str, Facts]:
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
        raise not_read(name) from error


def _xls_sheet(stream: bytes, start: int, formats: list[str], recent: bool) -> Facts:
    facts = Facts()
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


def _xls_formula(facts: Facts, row: int, column: int, body: bytes, number_format: str, recent: bool) -> None:
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
