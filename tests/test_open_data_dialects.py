"""Any table, written in any dialect of published files, reads back the same or stops; never another sum."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import openpyxl
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import ess_analysis as ess
from ess_analysis.errors import DataError

NAMES = (
    st.text(alphabet="abcdeéèàçùœ ÀÉ'-.&()/;,\"0123456789", min_size=1, max_size=14)
    .map(str.strip)
    .filter(lambda text: any(c.isalpha() for c in text))
)
CENTS = st.one_of(st.integers(1, 10**7), st.integers(1, 10**5).map(lambda euros: euros * 100), st.just(None))


@dataclass(frozen=True)
class Dialect:
    """One way of writing a table: bytes, columns, amounts, what stands around the rows."""

    encoding: str
    delimiter: str
    quoting: int
    decimal: str
    thousands: str
    sign: str
    end: str
    title: bool
    total: bool
    footer: bool
    trailing: bool
    header: str


DIALECTS = st.builds(
    Dialect,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    delimiter=st.sampled_from([";", ",", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    decimal=st.sampled_from([",", "."]),
    thousands=st.sampled_from(["", " ", "\u00a0", ".", ","]),
    sign=st.sampled_from(["", " €", "€", " euros"]),
    end=st.sampled_from(["\n", "\r\n"]),
    title=st.booleans(),
    total=st.booleans(),
    footer=st.booleans(),
    trailing=st.booleans(),
    header=st.sampled_from(
        ["montant", "Montant de la subvention", "MONTANT ATTRIBUE", "Subvention accordée"]
    ),
)
TABLES = st.lists(st.tuples(NAMES, NAMES, CENTS), min_size=1, max_size=12)


def amount(cents: int | None, dialect: Dialect) -> str:
    if cents is None:
        return ""
    whole, rest = divmod(cents, 100)
    written = f"{whole:,}".replace(",", dialect.thousands)
    return written + (f"{dialect.decimal}{rest:02d}" if rest else "") + dialect.sign


def as_text(rows: list[tuple[str, str, int | None]], dialect: Dialect, joined: bool = False) -> bytes:
    """The table in the dialect; with `joined`, cells are joined without quotes, as careless hands do."""
    lines = [["Bénéficiaire", "Objet", dialect.header]]
    lines += [[name, title, amount(cents, dialect)] for name, title, cents in rows]
    if dialect.total:
        lines.append(["Total", "", amount(sum(cents or 0 for _, _, cents in rows), dialect)])
    if dialect.trailing:
        lines = [[*line, ""] for line in lines]
    if dialect.title:
        lines.insert(0, ["Subventions aux associations", *[""] * (len(lines[0]) - 1)])
    if joined:
        text = "".join(dialect.delimiter.join(line) + dialect.end for line in lines)
    else:
        out = io.StringIO()
        csv.writer(
            out, delimiter=dialect.delimiter, quoting=dialect.quoting, lineterminator=dialect.end
        ).writerows(lines)
        text = out.getvalue()
    if dialect.footer:
        text += "Extraction du 6 avril"
    return text.encode(dialect.encoding, errors="replace")


def read_back(content: bytes, name: str) -> tuple[int, Decimal] | None:
    """The rows and sum read, None where the reader stops or says that an amount is not read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            tables = ess.read(path)
        except DataError as refused:
            note(str(refused))
            return None
    if (tables.findings["severity"] == "blocking").any():
        return None
    euros = tables.funding["amount_eur"].dropna()
    return len(euros), sum((Decimal(repr(one)) for one in euros), Decimal(0))


def truth(rows: list[tuple[str, str, int | None]]) -> tuple[int, Decimal]:
    known = [cents for _, _, cents in rows if cents is not None]
    return len(known), Decimal(sum(known)) / 100


SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(TABLES, DIALECTS)
def test_a_table_written_in_any_dialect_reads_back_the_same_or_stops(
    rows: list[tuple[str, str, int | None]], dialect: Dialect
) -> None:
    assert read_back(as_text(rows, dialect), "aides.csv") in (None, truth(rows))


@SETTINGS
@given(TABLES, DIALECTS)
def test_a_table_whose_cells_are_joined_without_quotes_reads_back_the_same_or_stops(
    rows: list[tuple[str, str, int | None]], dialect: Dialect
) -> None:
    """Only amounts may hold the delimiter or quotes here: a name that does is another table."""
    bare = [
        ("".join(c for c in name if c not in ';,|\t"\r\n') or "x", "objet", cents) for name, _, cents in rows
    ]
    assert read_back(as_text(bare, dialect, joined=True), "aides.csv") in (None, truth(bare))


@SETTINGS
@given(TABLES, st.booleans(), st.booleans(), st.booleans())
def test_a_workbook_reads_back_the_same_or_stops(
    rows: list[tuple[str, str, int | None]], title: bool, total: bool, as_words: bool
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    if title:
        sheet.append(["Subventions aux associations"])
    sheet.append(["Bénéficiaire", "Objet", "Montant"])
    for name, what, cents in rows:
        value = None if cents is None else cents / 100
        sheet.append(
            [name, what, f"{value:.2f}".replace(".", ",") if as_words and value is not None else value]
        )
    if total:
        sheet.append(["TOTAL", None, sum(cents or 0 for _, _, cents in rows) / 100])
    out = io.BytesIO()
    book.save(out)
    assert read_back(out.getvalue(), "aides.xlsx") in (None, truth(rows))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Anis", "BG", "École"]), st.just("Forum"), st.integers(1, 10**8)), min_size=3, max_size=12),
       st.sampled_from([";", "\t"]), st.sampled_from(["utf-8", "cp1252"]))  # fmt: skip
def test_an_ordinary_french_file_is_read_and_not_refused(
    rows: list[tuple[str, str, int | None]], delimiter: str, encoding: str
) -> None:
    """Strictness is not refusal: with two decimals everywhere, nothing is in doubt."""
    lines = [["Bénéficiaire", "Objet", "Montant"]]
    lines += [
        [f"{name} {n}", what, f"{(cents or 0) / 100:.2f}".replace(".", ",")]
        for n, (name, what, cents) in enumerate(rows)
    ]
    lines.append(["Fin", "x", "0,01"])
    content = "".join(delimiter.join(line) + "\r\n" for line in lines).encode(encoding)
    known = [cents or 0 for _, _, cents in rows]
    assert read_back(content, "aides.csv") == (len(known) + 1, Decimal(sum(known) + 1) / 100)
