"""Spoilt files by the thousand: reading either says what the cells say, or refuses in French.

    python benchmarks/fuzz.py --cases 20000 --jobs 2

Each case spoils one file (.xlsx, .ods, .csv, .json): bytes changed anywhere, parts of the archive rewritten,
hostile values in cells, whole hostile constructions (archives that swell, entities that multiply, cells a
million rows away). The file is then loaded with its source sheet (`load`) or read without any (`read`), and
checked, in a process that may use 1 GiB more than it had and 10 seconds. What was read is compared, cell by
cell, with a reading that shares no code with the library.

Outcomes: read · refused (DataError, or a blocking finding) · traceback · hang · memory · wrong sum. Only the
first two are right.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTE = ROOT / "data" / "raw" / "mel_2011-2014" / "note_mel_communes.xlsx"
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the default one reserves 1 GiB of addresses at once
SECONDS, MEMORY, MIB = 10, 1 << 30, 1 << 20

SHEET = """
[file]
path = "{name}"
sha256 = "{digest}"
title = "Aides"
producer = "Ville"
date = "2014"
licence = "Licence Ouverte"
reliability = "bonne"

[[table]]
id = "C"
record_kind = "project"
stage = "awarded"
{sheet}
[table.columns]
"Projet" = "title"
"Bénéficiaire" = "recipient"
"Montant" = {{ role = "amount" }}
"Année" = "year"
"""

AIDES = [
    ("Forum des acteurs", "Anis", "10000", "2012"),
    ("Réemploi, maraîchage", "Le Relais", "5933,50", "2013"),
    ("Accorderie ; réseau", "APES", "", "2013"),
    ('Ciné "cité" social', "Travail et Culture", "4730", ""),
    ("Bus de la création", "BG", "15700,25", "2013"),
    ("Épicerie solidaire", "CCAS", "28345", "2014"),
]


# --- The files before anything happens to them ---------------------------------------------------


@dataclass(frozen=True)
class Base:
    """A file as it should be, and its source sheet, where the checksum is still to be written."""

    name: str
    content: bytes
    sheet: str


def bases() -> list[Base]:
    """One file of each format."""
    note_sheet = re.sub(
        r'sha256 = "[0-9a-f]+"', 'sha256 = "{digest}"', NOTE.with_name(NOTE.name + ".toml").read_text("utf-8")
    )
    note_sheet = note_sheet.replace("{", "{{").replace("}", "}}").replace("{{digest}}", "{digest}")
    head = HEAD
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([head, *AIDES])
    objects = [dict(zip(head, row, strict=True)) for row in AIDES]
    return [
        Base(NOTE.name, NOTE.read_bytes(), note_sheet),
        Base("aides.csv", text.getvalue().encode("utf-8-sig"), _sheet("aides.csv")),
        Base("aides.json", json.dumps(objects, ensure_ascii=False).encode(), _sheet("aides.json")),
        Base("aides.ods", _ods([head, *AIDES]), _sheet("aides.ods", 'sheet = "Aides"')),
        Base("aides.xlsx", _xlsx([head, *AIDES]), _sheet("aides.xlsx", 'sheet = "Aides"')),
    ]


def _sheet(name: str, sheet: str = "") -> str:
    return SHEET.replace("{name}", name).replace("{sheet}", sheet)


_ODS_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content office:version="1.2" '
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
    '<table:table table:name="Aides">'
)


def _ods(rows: list[tuple[str, ...]]) -> bytes:
    lines = [
        "<table:table-row>"
        + "".join(_ods_cell(text, line > 0 and at == 2) for at, text in enumerate(row))
        + "</table:table-row>"
        for line, row in enumerate(rows)
    ]
    tail = "</table:table></office:spreadsheet></office:body></office:document-content>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    entries = [("/", kind), ("content.xml", "text/xml")]
    manifest = (
        f'<?xml version="1.0"?><manifest:manifest xmlns:manifest="{space}">'
        + "".join(
            f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{media}"/>'
            for path, media in entries
        )
        + "</manifest:manifest>"
    )
    return archive(
        {
            "mimetype": kind,
            "content.xml": _ODS_HEAD + "".join(lines) + tail,
            "META-INF/manifest.xml": manifest,
        }
    )


def _ods_cell(text: str, number: bool) -> str:
    if not text:
        return "<table:table-cell/>"
    shown = f"<text:p>{escaped(text)}</text:p></table:table-cell>"
    if number:
        return f'<table:table-cell office:value-type="float" office:value="{text.replace(",", ".")}">{shown}'
    return f'<table:table-cell office:value-type="string">{shown}'


def _xlsx(rows: list[tuple[str, ...]]) -> bytes:
    return xlsx_of(_xlsx_rows(rows))


def _xlsx_rows(rows: list[tuple[str, ...]]) -> str:
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for letter, text in zip("ABCD", row, strict=True):
            if number > 1 and letter in "CD" and text:
                cells.append(f'<c r="{letter}{number}"><v>{escaped(text).replace(",", ".")}</v></c>')
            elif text:
                cells.append(f'<c r="{letter}{number}" t="inlineStr"><is><t>{escaped(text)}</t></is></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return "".join(lines)


def xlsx_of(rows: str, after: str = "", doctype: str = "", parts: dict[str, Any] | None = None) -> bytes:
    """A workbook of one sheet « Aides » from the XML of its rows, and whatever else is asked for."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    head = '<?xml version="1.0" encoding="UTF-8"?>'

    def linked(kind: str, target: str) -> str:
        one = f'<Relationship Id="r1" Type="{links}/{kind}" Target="{target}"/>'
        return f'{head}<Relationships xmlns="{package}/relationships">{one}</Relationships>'

    rels = "application/vnd.openxmlformats-package.relationships+xml"
    types = (
        f'{head}<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="{rels}"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kinds}.worksheet+xml"/></Types>'
    )
    book = f'{head}<workbook xmlns="{main}" xmlns:r="{links}"><sheets>'
    sheet = f'{head}{doctype}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData>{after}</worksheet>'
    return archive(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": linked("officeDocument", "xl/workbook.xml"),
            "xl/workbook.xml": f'{book}<sheet name="Aides" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": linked("worksheet", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml": sheet,
            **(parts or {}),
        }
    )


def escaped(text: str) -> str:
    """The text inside XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def archive(parts: dict[str, Any]) -> bytes:
    """A zip archive of these parts; a part given as (head, unit, times, tail) swells without being held."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for name, part in parts.items():
            if not isinstance(part, tuple):
                zipped.writestr(name, part)
                continue
            head, unit, times, tail = part
            with zipped.open(name, "w", force_zip64=True) as file:
                file.write(head)
                for _ in range(times):
                    file.write(unit)
                file.write(tail)
    return content.getvalue()


def parts_of(content: bytes) -> dict[str, bytes]:
    """The parts of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


# --- Spoiling ------------------------------------------------------------------------------------

HOSTILE = [
    *" 0 -0 -1 1e308 1e999 NaN Infinity -Infinity 0x1F 1_000 ٣٤ ½ 1.2.3 1.234,56".split(" "),
    *"1,234.56 5.000 99999999999999999999 =1+1 =cmd|'/C!A0 +33320000000 @SUM(A1:A9)".split(" "),
    *"../../etc/passwd TOTAL Total Projet −5000 (5000) 5000- true None null #REF! #N/A".split(" "),
    *"2013-02-31 31/12/2013 é 5000€ 5k€ 5000$ <script>alert(1)</script>".split(" "),
    *["\u202e5000", "5\u200b000", "5\u00a0000,50", "5\u202f000", "\ufeff5000", "e\u0301", "\U0001f4a9"],
    *[" ", "12 34", "1 234 567,89", "5 000 €", "5 000 € 5 000 €", "5 000 € (dont 2 000 €)", "- 5000"],
    *["9" * 400, "1" + "0" * 5000, "a" * 40000, "1" * 30 + " 000" * 3000],
    *["5000\n6000", "5000\r", "5000\t6000"],
]


def _bytes_spoilt(content: bytes, draw: Random) -> bytes:
    """A few bytes flipped, cut, repeated, exchanged or inserted."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 5, 20])):
        at = draw.randrange(len(data)) if data else 0
        size = draw.choice([1, 2, 4, 16, 200])
        kind = draw.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at:at] = draw.randbytes(size)
        elif kind == 3:
            data[at:at] = data[at : at + size] * draw.choice([1, 2, 50])
        elif kind == 4:
            del data[at:]
        else:
            data[at : at + size] = bytes([draw.choice([0, 9, 10, 13, 34, 44, 59, 60, 255])]) * size
    return bytes(data)


def _part_spoilt(content: bytes, draw: Random) -> bytes:
    """One part of the archive spoilt, the archive itself sound."""
    parts = parts_of(content)
    name = draw.choice(list(parts))
    kind = draw.randrange(4)
    if kind == 0:
        parts[name] = _bytes_spoilt(parts[name], draw)
    elif kind == 1:
        del parts[name]
    else:
        parts[name] = _xml_spoilt(parts[name].decode("utf-8", "replace"), draw).encode()
    return archive(parts)


def _xml_spoilt(text: str, draw: Random) -> str:
    """Values, references and elements of an XML part changed for hostile ones."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        kind = draw.randrange(5)
        pattern = [
            r">[^<>]+<",
            r'"[^"<>]*"',
            r"<[^<>/]+/>",
            r"<(\w[\w:]*)[^<>]*>[^<>]*</\1>",
            r'(?:ref|r)="[A-Z]+\d+[^"]*"',
        ][kind]
        found = list(re.finditer(pattern, text))
        if not found:
            continue
        one = draw.choice(found)
        value = escaped(draw.choice(HOSTILE))
        far = draw.choice(
            ["A0", "XFD1048576", "A1:XFD1048576", "ZZZZ99", "A1", "C3:C9", "-1", "A1:A1048576", "B99999"]
        )
        new = [
            f">{value}<",
            f'"{draw.choice([value, "-1", "99999999", "str", "e", "b", "d", "n", "inlineStr"])}"',
            draw.choice(["", one.group() * 3]),
            draw.choice(["", one.group() * 2]),
            f'{one.group().split("=")[0]}="{far}"',
        ][kind]
        text = text[: one.start()] + new + text[one.end() :]
    return text


def _values_spoilt(base: Base, draw: Random) -> bytes:
    """Cells of the small table replaced by hostile values, then written soundly in the base's format."""
    head = ["Projet", "Bénéficiaire", "Montant", "Année"]
    rows = [list(row) for row in AIDES]
    for _ in range(draw.choice([1, 1, 2, 3])):
        draw.choice(rows)[draw.choice([0, 1, 2, 2, 2, 3])] = draw.choice(HOSTILE)
    if draw.random() < 0.1:
        draw.shuffle(head)
    if draw.random() < 0.1:
        rows.append(["TOTAL", "", "64708,75", ""])
    if draw.random() < 0.1:
        rows.insert(draw.randrange(len(rows)), draw.choice([["", "", "", ""], head, ["x"], ["a"] * 7]))
    return _written(base, [head, *rows], draw)


def _written(base: Base, rows: list[list[str]], draw: Random) -> bytes:
    if base.name.endswith(".csv"):
        text = io.StringIO()
        delimiter = draw.choice([";", ";", ";", ",", "\t", "|"])
        quoting: Any = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        csv.writer(
            text, delimiter=delimiter, quoting=quoting, lineterminator=draw.choice(["\n", "\r\n"])
        ).writerows(rows)
        encoding = draw.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16", "latin-1"])
        return text.getvalue().encode(encoding, "replace")
    clean = [[re.sub(r"[\x00-\x08\x0b-\x1f]", "", value) for value in row] for row in rows]
    if base.name.endswith(".json"):
        records: list[Any] = [dict(zip(clean[0], row, strict=False)) for row in clean[1:]]
        if draw.random() < 0.2:
            records.insert(0, draw.choice([None, 3, [], "x", {"Montant": {"a": [1]}}, {"Montant": 1e300}]))
        return json.dumps(records, ensure_ascii=draw.random() < 0.5).encode()
    wide = [tuple([*row, "", "", "", ""][:4]) for row in clean]
    if base.name.endswith(".ods"):
        return _ods(wide)
    if base.name.endswith(".xlsx"):
        return _xlsx(wide)
    return base.content


HEAD = ("Projet", "Bénéficiaire", "Montant", "Année")
_ENTITIES = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12))
_BOMB = f'<!DOCTYPE x [<!ENTITY a "ha">{_ENTITIES}]>'
_FROM_DISK = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


def _good(after: str = "", doctype: str = "", parts: dict[str, Any] | None = None, more: str = "") -> bytes:
    """A workbook that reads well, and something hostile beside its rows."""
    return xlsx_of(_xlsx_rows([HEAD, *AIDES]) + more, after, doctype, parts)


def _with_text(text: str, doctype: str) -> bytes:
    rows = _xlsx_rows([HEAD, *AIDES]).replace("Forum des acteurs", text)
    return xlsx_of(rows, doctype=doctype)


def _swollen(part: str, head: bytes, unit: bytes, tail: bytes) -> bytes:
    """A good workbook with one part of 1 000 MiB or so."""
    return _good(parts={part: (head, unit, 1000, tail)})


_MAIN = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
_FAR = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
_WHOLE = '<mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
_REPEATED_CELL = (
    '<table:table-cell table:number-columns-repeated="1000000000" office:value-type="string">'
    "<text:p>x</text:p></table:table-cell>"
)

# Whole hostile files by name: the file name, and what makes the content.
CONSTRUCTIONS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an image that swells": ("aides.xlsx", lambda: _swollen("xl/media/image1.bin", b"", b"\0" * MIB, b"")),
    "a sheet that swells": (
        "aides.xlsx",
        lambda: _swollen("xl/worksheets/sheet1.xml", _MAIN, b" " * MIB, b"</sheetData></worksheet>"),
    ),
    "shared strings that swell": (
        "aides.xlsx",
        lambda: _swollen("xl/sharedStrings.xml", b"<sst>", b"<si><t>a</t></si>" * 65536, b"</sst>"),
    ),
    "entities that multiply": ("aides.xlsx", lambda: _with_text("&m;", _BOMB)),
    "an entity read from the disk": ("aides.xlsx", lambda: _with_text("&a;", _FROM_DISK)),
    "entities in an ods": ("aides.ods", lambda: archive({"content.xml": _BOMB + "<x>&m;</x>"})),
    "a cell at the end of the sheet": ("aides.xlsx", lambda: _good(more=_FAR)),
    "a merge of the whole sheet": ("aides.xlsx", lambda: _good(_WHOLE)),
    "a dimension of the whole sheet": ("aides.xlsx", lambda: _good('<dimension ref="A1:XFD1048576"/>')),
    "two hundred thousand rows": (
        "aides.xlsx",
        lambda: _good(
            more="".join(f'<row r="{n}"><c r="C{n}"><v>1</v></c></row>' for n in range(8, 200_000))
        ),
    ),
    "rows repeated a billion times in an ods": (
        "aides.ods",
        lambda: _repeated_ods(
            '<table:table-row table:number-rows-repeated="1000000000">', "<table:table-cell/>"
        ),
    ),
    "cells repeated a billion times in an ods": (
        "aides.ods",
        lambda: _repeated_ods("<table:table-row>", _REPEATED_CELL),
    ),
    "full rows repeated a billion times in an ods": (
        "aides.ods",
        lambda: _repeated_ods(
            '<table:table-row table:number-rows-repeated="1000000000">', _ods_cell("1", True)
        ),
    ),
    "names that climb": ("aides.xlsx", lambda: _good(parts={"../../evil.txt": "x", "/abs.txt": "x"})),
    "an archive that is no workbook": ("aides.xlsx", lambda: archive({"a.zip": archive({"b.xlsx": b"\0"})})),
    "macros": ("aides.xlsx", lambda: _good(parts={"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0" + b"\0" * 600})),
    "external links": (
        "aides.xlsx",
        lambda: _good(parts={"xl/externalLinks/externalLink1.xml": "<externalLink/>"}),
    ),
    "brackets without end in json": ("aides.json", lambda: b"[" * 1_000_000),
    "objects without end in json": ("aides.json", lambda: b'{"a":' * 100_000),
    "a number without end in json": ("aides.json", lambda: b'[{"Montant": ' + b"9" * 1_000_000 + b"}]"),
    "half a character in json": ("aides.json", lambda: b'[{"Projet": "\\ud800", "Montant": 1}]'),
    "a line without end": ("aides.csv", lambda: _csv_head() + b"a" * (50 << 20)),
    "a quote never closed": ("aides.csv", lambda: _csv_head() + b'"a;' + b"b\n" * 500_000),
    "columns without end": ("aides.csv", lambda: b";".join(b"c%d" % n for n in range(200_000)) + b"\n"),
    "zeros": ("aides.csv", lambda: b"\0" * 1_000_000),
    "zeros as a workbook": ("aides.xlsx", lambda: b"\0" * 1_000_000),
    "digits and spaces without end": (
        "aides.csv",
        lambda: _csv_head() + b"a;b;" + b"111 " * 20_000 + b";2013\n",
    ),
    "three hundred thousand lines": ("aides.csv", lambda: _csv_head() + b"Forum;Anis;10,50;2013\n" * 300_000),
}


def _csv_head() -> bytes:
    return ";".join(HEAD).encode() + b"\n"


def _repeated_ods(row: str, cell: str) -> bytes:
    tail = "</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": _ODS_HEAD + row + cell + tail,
        }
    )


def spoilt(number: int, seed: int, made: list[Base]) -> tuple[str, str, bytes, str]:
    """Case `number`: how it was made, its file name, its content, its source sheet ("" for one in three)."""
    draw = Random(f"{seed}/{number}")
    alone = number % 3 == 2  # read as a file found anywhere, without a source sheet
    base = draw.choice(made)
    ways: list[tuple[str, Callable[[], bytes]]] = [("octets", lambda: _bytes_spoilt(base.content, draw))]
    if base.name.endswith((".xlsx", ".ods")):
        ways += [("partie", lambda: _part_spoilt(base.content, draw))] * 2
    if base.name != NOTE.name:
        ways += [("valeurs", lambda: _values_spoilt(base, draw))] * 2
    way, make = draw.choice(ways)
    return f"{way}, sans fiche" if alone else way, base.name, make(), "" if alone else base.sheet


# --- Reading apart -------------------------------------------------------------------------------


def cells_apart(name: str, content: bytes) -> dict[tuple[str, str], Any] | None:
    """(sheet, cell) → value, read without the library; None where this reader gives up."""
    try:
        if name.endswith(".xlsx"):
            import openpyxl

            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            return {
                (sheet.title, cell.coordinate): cell.value
                for sheet in book.worksheets
                if sheet.max_row < 10_000 and sheet.max_column < 1_000
                for row in sheet.iter_rows()
                for cell in row
                if cell.value is not None
            }
    except Exception:
        return None
    return None


def amount_apart(value: object) -> Decimal | None:
    """The euros of a cell that holds one plain number or amount; None for anything less plain."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return Decimal(str(value))
    text = re.sub(r"[ \u00a0\u202f\u2009]", "", str(value))
    if re.fullmatch(r"[-−]?\d{1,3}[.,]\d{3}€?", text):
        return None  # « 5.000 »: five, or five thousand
    plain = re.fullmatch(r"[-−]?\d+(?:[.,]\d+)?(?:€)?", text)
    try:
        return Decimal(text.rstrip("€").replace(",", ".").replace("−", "-")) if plain else None
    except InvalidOperation:
        return None


def differences(tables: Any, name: str, content: bytes) -> list[str]:
    """The amounts read that are not what their cell says, and the plain amounts of the column left unread."""
    funding = tables.funding
    if name.endswith((".csv", ".json")):
        return _differences_in_text(funding, name, content)
    cells = cells_apart(name, content)
    if cells is None:
        return []
    said = []
    known = {sheet for sheet, _ in cells}
    for row in funding[funding["amount_eur"].notna() & funding["sheet"].isin(known)].itertuples():
        value = cells.get((row.sheet, row.cell))
        expected = amount_apart(value)
        if value is None or (
            expected is not None and abs(expected - Decimal(str(row.amount_eur))) > Decimal("0.005")
        ):
            said.append(f"{row.sheet}!{row.cell} : lu {row.amount_eur}, écrit {value!r}")
    return said


def _differences_in_text(funding: Any, name: str, content: bytes) -> list[str]:
    """For a text file: the sum of plain amounts, when every amount of the file is plain and alone.

    A row that says « total » may be counted or left out, as its place tells.
    """
    try:
        if name.endswith(".json"):
            rows = [(row.get("Montant"), list(row.values())) for row in json.loads(content)]
        else:
            text = content.decode("utf-8-sig")
            lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True))
            at = lines[0].index("Montant")
            if any(len(line) != len(lines[0]) for line in lines):
                return []
            rows = [(line[at], line) for line in lines[1:]]
    except Exception:
        return []
    sums = {Decimal(0)}  # what the file may be said to make, each row of total counted or not
    for value, cells in rows:
        if value in (None, ""):
            continue
        amount = amount_apart(value)
        if amount is None:
            return []
        either = "total" in {str(cell).strip().lower() for cell in cells}
        sums = {total + amount for total in sums} | (sums if either else set())
    read = Decimal(str(round(float(funding["amount_eur"].sum()), 2)))
    if any(abs(total - read) <= Decimal("0.005") for total in sums):
        return []
    return [f"somme lue {read}, écrite {max(sums)}"]


# --- One case, many cases ------------------------------------------------------------------------


class Hang(BaseException):
    """Raised when a case takes too long; no `except Exception` may swallow it."""


def outcome(name: str, content: bytes, sheet: str, folder: Path) -> tuple[str, str]:
    """What became of one file, with its source sheet or without (""): its outcome, and why if it is wrong."""
    from ess_analysis.checks import check
    from ess_analysis.errors import DataError
    from ess_analysis.load import load
    from ess_analysis.open_data import read

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    if sheet:
        digest = sha256(content).hexdigest()
        (folder / f"{name}.toml").write_text(sheet.format(digest=digest), encoding="utf-8")
    signal.signal(signal.SIGPROF, _too_long)  # seconds of this process: a busy machine is no hang
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)
    try:
        tables = load(folder) if sheet else read(folder / name)
        if (check(tables)["severity"] == "blocking").any():
            return "refused", ""  # nothing can be built from it, and it says why
    except DataError as refused:
        lines = str(refused).splitlines()
        good = len(lines) >= 3 and "Vu :" in str(refused) and "À faire :" in str(refused)
        return ("refused", "") if good else ("traceback", f"message incomplet : {refused}")
    except Hang:
        return "hang", f"plus de {SECONDS} s"
    except MemoryError:
        return "memory", "plus de 1 Gio"
    except BaseException:
        return "traceback", traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    wrong = differences(tables, name, content)
    return ("wrong sum", " ; ".join(wrong[:3])) if wrong else ("read", "")


def _too_long(*_: object) -> None:
    raise Hang


def limited() -> None:
    """The process may use 1 GiB more than it has now."""
    warnings.simplefilter("ignore")
    import ess_analysis.checks
    import ess_analysis.load
    import ess_analysis.open_data  # noqa: F401

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(cases: int, seed: int, jobs: int) -> Iterator[tuple[str, str, str, str]]:
    """(way, file name, outcome, why) of each case."""
    if not cases:
        return
    with get_context("spawn").Pool(jobs, initializer=limited) as pool:
        yield from pool.imap_unordered(_one, [(number, seed) for number in range(cases)], chunksize=50)


def construction(name: str, alone: bool = False) -> tuple[str, str, int]:
    """Outcome of one hostile construction, why, and the memory it took (MiB above what the process had).

    `alone`: without a source sheet.
    """
    file, make = CONSTRUCTIONS[name]
    content = make()
    sheet = "" if file.endswith((".csv", ".json")) else 'sheet = "Aides"'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        described = "" if alone else _sheet(file, sheet)
        result, why = outcome(file, content, described, Path(folder) / "raw")
    return result, why, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024


def _one(case: tuple[int, int]) -> tuple[str, str, str, str]:
    way, name, content, sheet = spoilt(*case, made=_made())
    with tempfile.TemporaryDirectory() as folder:
        result, why = outcome(name, content, sheet, Path(folder) / "raw")
    return way, name, result, f"[{case[0]}] {why}" if why else ""


_MADE: list[Base] = []


def _made() -> list[Base]:
    if not _MADE:
        _MADE.extend(bases())
    return _MADE


def main(arguments: list[str] | None = None) -> int:
    """Zero when no case ends otherwise than read or refused."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--constructions", action="store_true", help="the whole hostile files alone")
    parser.add_argument("--show", type=int, default=5, help="wrong outcomes shown in full, of each kind")
    options = parser.parse_args(arguments)
    options.cases = 0 if options.constructions else options.cases
    counts: Counter[tuple[str, str, str]] = Counter()
    shown: Counter[str] = Counter()
    for way, name, result, why in run(options.cases, options.seed, options.jobs):
        counts[name, way, result] += 1
        if why and shown[why[-120:]] < 1 and len(shown) < options.show * 4:
            shown[why[-120:]] += 1
            print(f"{result} · {name} · {way} · {why}")
    for name, alone in product(CONSTRUCTIONS, (False, True)):
        with get_context("spawn").Pool(1, initializer=limited) as pool:
            result, why, took = pool.apply(construction, (name, alone))
        counts["constructions", "sans fiche" if alone else "entières", result] += 1
        where = f"{name}{', sans fiche' if alone else ''}"
        print(
            f"{result:10}{took:5} Mio  {where}" + (f" · {why}" if result not in ("read", "refused") else "")
        )
    options.cases += 2 * len(CONSTRUCTIONS)
    outcomes = ["read", "refused", "traceback", "hang", "memory", "wrong sum"]
    print(f"{'fichier':26}{'façon':20}" + "".join(f"{one:>11}" for one in outcomes))
    for name, way in sorted({key[:2] for key in counts}):
        print(f"{name:26}{way:20}" + "".join(f"{counts[name, way, one]:11}" for one in outcomes))
    whole: Counter[str] = Counter()
    for (_, _, result), count in counts.items():
        whole[result] += count
    print(f"{'TOTAL':46}" + "".join(f"{whole[one]:11}" for one in outcomes))
    return 0 if whole["read"] + whole["refused"] == options.cases else 1


if __name__ == "__main__":
    sys.exit(main())
