"""A text file of any size → its sums, read piece by piece in bounded memory, the same to the cent as a whole reading.

The head of the file is understood like any other; Arrow then cuts every line, strictly, and adds exact
decimals. A line that asks for judgement (a total, a shifted column, lines swallowed by a quote) stops it:
`Undecided` sends the file to the reader that holds it whole.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ess_analysis import french, identifiers, schema
from ess_analysis.delimited import Note, read_delimited, swallows
from ess_analysis.grids import TEXTS, Grid
from ess_analysis.load import KIND_WORDS, MIXED, SHOWN_NOTES, closed_word, distinct_amounts
from ess_analysis.open_data.headers import words
from ess_analysis.open_data.understanding import understand
from ess_analysis.sources import SourceSheet

LARGE = 64 << 20  # bytes from which a text file is added up here
HEAD = 1 << 16  # bytes from which it is understood
PIECE = 128 << 20  # bytes read at a time
BLOCK = 8 << 20  # bytes that one thread cuts at a time
KEYS = ("year", "kind", "axis", "funder", "recipient", "programme")
CENTS = pa.decimal128(18, 2)
EXACT = 1 << 53  # whole numbers below are exact as floats

# Amounts whose reading needs no judgement: 1234.5, then 1234,5 · 1 234,50 · 26 956,00 €
_POINT = r"^-?[0-9]{1,13}(?:[.][0-9]{1,2})?$"
_PLAIN = r"^-?(?:[0-9]{1,13}|[0-9]{1,3}(?:[ \x{00a0}\x{202f}][0-9]{3}){1,4})(?:[.,][0-9]{1,2})?(?: ?€)?$"
_TOTAL = re.compile(r"\bt ?o ?t ?a ?(?:l|ux)\b", re.IGNORECASE)


class Undecided(Exception):
    """A line that cannot be added up without looking at those around it."""


@dataclass(frozen=True)
class Sums:
    """The sums of a file: lines, amounts, and a table of amounts by each key asked for (and by kind)."""

    sheet: SourceSheet
    lines: int
    amounts: int
    by: dict[str, pd.DataFrame]  # key, kind, amount_eur (exact Decimal), count
    findings: pd.DataFrame

    @property
    def total(self) -> Decimal:
        """The sum of all amounts, kinds together: what the file's own column adds up to."""
        return sum(next(iter(self.by.values()))["amount_eur"], Decimal(0))


def sums(path: str | Path, by: Sequence[str] = ("year", "kind")) -> Sums:
    """The amounts of a delimited file by each of `by` (among KEYS), every line read, none kept.

    Raises DataError on a file that cannot be read with certainty, Undecided on one that must be read whole.
    """
    path = Path(path)
    if path.suffix.lower() not in TEXTS or not set(by) <= set(KEYS):
        raise Undecided
    with path.open("rb") as file:
        head = file.read(HEAD)
    head = head[: head.rfind(b"\n") + 1] if len(head) == HEAD else head
    read = read_delimited(head, path.name)
    grid = Grid(path, "", read.rows, encoding=read.encoding, delimiter=read.delimiter, notes=read.notes)
    understood = understand(path, [grid], whole=False)
    table = understood.sheet.tables[0]
    amounts = [column for column in table.columns if column.role == "amount"]
    if understood.missing or len(amounts) != 1 or not read.encoding.startswith("utf-8") or read.notes:
        raise Undecided
    if any(column.role == "stage" for column in table.columns) or table.skip_lines:
        raise Undecided
    if amounts[0].kind or amounts[0].unit != 1 or understood.sheet.currency != "EUR":
        raise Undecided
    return _Pass(path, understood.sheet, grid, understood.notes).sums(by)


class _Pass:
    """One reading of the file: its columns by role, what has been added up so far."""

    def __init__(self, path: Path, sheet: SourceSheet, grid: Grid, notes: tuple[Note, ...]) -> None:
        self.path, self.sheet, self.table, self.notes = path, sheet, sheet.tables[0], list(notes)
        self.header = [str(name) for name in grid.values.iloc[self.table.header[1] - 1]]
        at = {words(name): number for number, name in enumerate(self.header)}
        self.at: dict[str, int] = {}
        for column in self.table.columns:
            self.at.setdefault(column.role, at[words(column.header)])
        self.lines = self.unread = 0
        self.lost: list[Note] = []
        self.read: dict[str, Decimal | None] = {}  # amounts that needed the reader of French, by their text

    def sums(self, by: Sequence[str]) -> Sums:
        amount, kind, identity = self.at["amount"], self.at.get("kind"), self.at.get("recipient_id")
        keys = {key: self._key(key) for key in by}
        facts = [
            self.at[role] for role in ("date", "year", "recipient_id", "programme", "axis") if role in self.at
        ]
        worded = [self.at[role] for role in ("recipient", "title", "funder") if role in self.at]
        needed = {amount, *facts, *(one for one in (*keys.values(), kind) if one is not None)}
        needed |= set() if facts else set(worded)
        added: dict[str, dict[tuple[str, str], list[Any]]] = {key: {} for key in by}
        numbers: list[pd.Series] = []
        for table in self._pieces(sorted(needed)):
            self._refuse_doubtful(table, facts, worded)
            cents, more = self._cents(table[f"c{amount}"])
            for key, at in keys.items():
                _add(added[key], _coded(table, at), _coded(table, kind if at != kind else None), cents, more)
            if identity is not None:
                codes, texts = _coded(table, identity)
                numbers.append(pd.Series(np.bincount(codes, minlength=len(texts)), index=texts))
            self.lines += table.num_rows
        findings = [*self.notes, *self._unread_notes(), *self._identifier_notes(numbers, identity)]
        text = "Fichier additionné morceau par morceau, sans être gardé en mémoire : les doublons n'y sont pas cherchés."
        findings.append(Note("READ-BIG", "info", text))
        frames = {key: self._frame(added[key], key, at, kind) for key, at in keys.items()}
        count = int(next(iter(frames.values()))["count"].sum()) if frames else 0
        return Sums(self.sheet, self.lines, count, frames, _findings(findings, self.path.name))

    def _key(self, key: str) -> int | None:
        return self.at.get(key, self.at.get("date")) if key == "year" else self.at.get(key)

    # -- pieces

    def _pieces(self, needed: list[int]) -> Iterator[pa.Table]:
        """The lines of the file, a piece at a time, the columns needed as texts; Undecided on a line not of the table."""
        with self.path.open("rb") as file:  # the map is let go with the last piece that points into it
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 0
        for _ in range(self.table.header[1]):
            start = content.find(b"\n", start) + 1
        while start < len(content):
            end = len(content)
            if start + PIECE < end:
                end = _whole_lines(content, start, start + PIECE)
            yield self._cut(pa.py_buffer(content).slice(start, end - start), needed)
            if hasattr(mmap, "MADV_DONTNEED"):  # the pages read go back to the system
                page = start // mmap.PAGESIZE * mmap.PAGESIZE
                content.madvise(mmap.MADV_DONTNEED, page, end - page)
            start = end

    def _cut(self, piece: pa.Buffer, needed: list[int]) -> pa.Table:
        lines = _counted(piece, b"\n") + (piece.slice(piece.size - 1).to_pybytes() != b"\n")
        try:
            _refuse_bytes(piece)
            table = self._parsed(piece, needed, folded=False)
        except pa.ArrowInvalid:
            table = None
        if table is not None and table.num_rows == lines:
            return table
        try:  # texts over several lines, or lines that are not the table's
            _refuse_bytes(piece)
            table = self._parsed(piece, needed, folded=True)
        except pa.ArrowInvalid as error:
            raise Undecided(str(error)) from error
        self._refuse_swallowed(piece.to_pybytes())
        return table

    def _parsed(self, piece: pa.Buffer, needed: list[int], folded: bool) -> pa.Table:
        """The columns needed of a piece, each with its dictionary; ArrowInvalid on a line of another width."""
        names = [f"c{number}" for number in range(len(self.header))]
        kept = pa.dictionary(pa.int32(), pa.string())
        types = {name: pa.string() if at == self.at["amount"] else kept for at, name in enumerate(names)}
        return pa_csv.read_csv(
            piece,
            pa_csv.ReadOptions(column_names=names, block_size=BLOCK),
            pa_csv.ParseOptions(
                delimiter=self.sheet.delimiter, newlines_in_values=folded, ignore_empty_lines=False
            ),
            pa_csv.ConvertOptions(
                include_columns=[names[at] for at in needed], column_types=types, strings_can_be_null=False
            ),
        ).unify_dictionaries()

    def _refuse_swallowed(self, piece: bytes) -> None:
        """Nothing, if the texts over several lines are texts; Undecided if a quote has swallowed lines."""
        for row in csv.reader(io.StringIO(piece.decode(), newline=""), delimiter=self.sheet.delimiter):
            if any("\n" in text and swallows(text, self.sheet.delimiter, len(self.header)) for text in row):
                raise Undecided

    # -- amounts

    def _cents(self, column: pa.ChunkedArray) -> tuple[np.ndarray, dict[int, Decimal]]:
        """The cents of each line (NaN where there is no amount), and by line those that are no whole cents."""
        written = column.combine_chunks()
        point = pc.match_substring_regex(written, _POINT)
        if pc.all(point).as_py():
            return _whole_cents(pc.cast(written, CENTS)), {}
        plain = pc.match_substring_regex(written, _PLAIN)
        bare = pc.replace_substring(
            pc.replace_substring_regex(written, r"[ \x{00a0}\x{202f}€]", ""), ",", "."
        )
        cents = _whole_cents(pc.cast(pc.if_else(plain, bare, None), CENTS))
        others = np.flatnonzero(~plain.to_numpy(zero_copy_only=False))
        texts = written.take(pa.array(others)).to_pylist()
        self._read_others([text for text in dict.fromkeys(texts) if text.strip()])
        more: dict[int, Decimal] = {}
        for row, text in zip(others.tolist(), texts, strict=True):
            euros = self.read.get(text)
            if euros is not None:
                more[row] = euros
            elif text.strip():
                self._lose(row, text)
        return cents, more

    def _read_others(self, texts: list[str]) -> None:
        """Reads the amounts that Arrow cannot, each distinct text once in the file."""
        new = [text for text in texts if text not in self.read]
        if words(self.header[self.at["amount"]]) in {
            words(text) for text in new if not any(c.isdigit() for c in text)
        }:
            raise Undecided  # the header is repeated in the data
        found = distinct_amounts(
            [text.strip() for text in new], self.sheet.decimal, thousands=self.sheet.thousands
        )
        if found.several:
            raise Undecided
        for code, text in enumerate(new):
            euros = float(found.euros[code])
            self.read[text] = Decimal(repr(euros)) if euros == euros else None
            if found.silent[code]:
                raise Undecided

    def _lose(self, row: int, text: str) -> None:
        """Keeps the cell of an amount that cannot be read; blocking."""
        self.unread += 1
        if len(self.lost) < SHOWN_NOTES:
            at = Grid(self.path, "", pd.DataFrame())
            cell = at.address(self.table.header[1] + self.lines + row, self.at["amount"])
            self.lost.append(Note("READ-AMOUNT", "blocking", f"« {text} » : montant illisible.", cell, text))

    def _unread_notes(self) -> Iterator[Note]:
        yield from self.lost
        if self.unread > len(self.lost):
            rest = french.number(self.unread - len(self.lost))
            yield Note("READ-AMOUNT", "blocking", f"Et {rest} autres cellules de même.")

    def _refuse_doubtful(self, table: pa.Table, facts: list[int], worded: list[int]) -> None:
        """Nothing, if every amount stands beside the facts that only data have; Undecided otherwise.

        A total has no recipient's number, no date, no scheme; where none of these is read, its words tell.
        """
        blank = pc.not_equal(table[f"c{self.at['amount']}"], "").to_numpy()
        for at in facts or worded:
            codes, texts = _coded(table, at)
            empty = np.array([not text.strip() for text in texts] or [True])
            blank &= empty[codes]
            if not facts and any(_TOTAL.search(text) for text in texts):
                raise Undecided
        if blank.any():
            raise Undecided

    # -- what is told

    def _identifier_notes(self, numbers: list[pd.Series], at: int | None) -> Iterator[Note]:
        if at is None or not numbers:
            return
        rows = pd.concat(numbers).groupby(level=0, sort=False).sum()
        texts = pd.Series(rows.index, index=rows.index, dtype="str").str.strip()
        wrong = identifiers.defects(texts.where(texts.ne("")))
        for defect, said in identifiers.DEFECTS.items():
            lines = rows[wrong.eq(defect)]
            if len(lines):
                count = french.counted(int(lines.sum()), "numéro inutilisable", "numéros inutilisables")
                first = str(lines.index[0])
                text = f"« {self.header[at]} » : {count} ({said} : « {first} »), écarté des rapprochements."
                yield Note(f"READ-ID-{defect.upper().replace('_', '-')}", "alert", text, stated=first)

    def _frame(
        self, added: dict[tuple[str, str], list[Any]], key: str, at: int | None, kind: int | None
    ) -> pd.DataFrame:
        """The amounts by one key and by kind, under the names that the tidy tables use."""
        own, kinds = [first for first, _ in added], [first if at == kind else last for first, last in added]
        named = self._named(key, own) if at is not None else [self._constant(key)] * len(own)
        made = pd.DataFrame(
            {
                key: pd.Series(named, dtype="object"),
                "kind": self._named("kind", kinds) if kind is not None else self.table.kind,
                "amount_eur": pd.Series([euros for euros, _ in added.values()], dtype="object"),
                "count": [count for _, count in added.values()],
            }
        )
        missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
        made[key] = made[key].where(made[key].notna(), missing)
        names = [key] if key == "kind" else [key, "kind"]
        return made.groupby(names, as_index=False).agg(
            amount_eur=("amount_eur", "sum"), count=("count", "sum")
        )

    def _constant(self, key: str) -> Any:
        """What the source sheet says of every line."""
        return {"year": self.table.year, "kind": self.table.kind, "funder": self.table.funder or None}.get(
            key
        )

    def _named(self, key: str, texts: list[str]) -> list[Any]:
        """The years, the kinds or the names that texts stand for, each distinct one read once."""
        read: dict[str, Any] = {}
        for text in set(texts):
            written = french.nfc(text.strip())
            if key == "year":
                read[text] = (french.year_of(written) if written else None) or self.table.year
            elif key == "kind":
                word = closed_word(written, KIND_WORDS) if written else None
                read[text] = "cash" if word == MIXED else word or self.table.kind
            else:
                read[text] = written or self._constant(key)
        return [read[text] for text in texts]


def _whole_lines(content: mmap.mmap, start: int, end: int) -> int:
    """Where the last whole line of a piece ends: after a line end that no quote holds."""
    cut = content.rfind(b"\n", start, end) + 1
    inside = _counted(pa.py_buffer(content).slice(start, cut - start), b'"') % 2 if cut else 1
    for _ in range(10_000):
        if cut and not inside:
            return cut
        before = content.rfind(b"\n", start, cut - 1) + 1
        if not before:
            break
        inside = (inside + content[before:cut].count(b'"')) % 2
        cut = before
    raise Undecided


def _counted(piece: pa.Buffer, sign: bytes) -> int:
    """How many times a byte occurs."""
    found = np.frombuffer(piece, dtype=np.uint8)
    step = 1 << 18  # stays in the processor's cache
    return sum(int(np.count_nonzero(found[at : at + step] == ord(sign))) for at in range(0, len(found), step))


def _refuse_bytes(piece: pa.Buffer) -> None:
    """Nothing, if every byte is UTF-8, those of columns that are not read too; ArrowInvalid otherwise."""
    bounds = pa.array([0, piece.size], pa.int64()).buffers()[1]
    pa.Array.from_buffers(pa.large_string(), 1, [None, bounds, piece]).validate(full=True)


def _coded(table: pa.Table, at: int | None) -> tuple[np.ndarray, list[str]]:
    """The code of each line in a column, and the texts that codes stand for; one blank text for no column."""
    if at is None:
        return np.zeros(table.num_rows, dtype=np.int64), [""]
    column = table[f"c{at}"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column.indices.to_numpy().astype(np.int64), column.dictionary.to_pylist()


def _whole_cents(euros: pa.Array) -> np.ndarray:
    """The cents of decimals as floats, exact below EXACT; NaN where missing."""
    words = np.frombuffer(euros.buffers()[1], dtype=np.int64)[
        euros.offset * 2 : (euros.offset + len(euros)) * 2 : 2
    ]
    cents = words.astype("float64")
    if np.abs(cents).sum() >= EXACT:
        raise Undecided
    return (
        np.where(euros.is_null().to_numpy(zero_copy_only=False), np.nan, cents) if euros.null_count else cents
    )


def _add(
    added: dict[tuple[str, str], list[Any]],
    own: tuple[np.ndarray, list[str]],
    kinds: tuple[np.ndarray, list[str]],
    cents: np.ndarray,
    more: dict[int, Decimal],
) -> None:
    """Adds the amounts of a piece, by key and kind, to those of the pieces before it."""
    (codes, texts), (seconds, kind_texts) = own, kinds
    both = codes * len(kind_texts) + seconds
    known = ~np.isnan(cents)
    size = len(texts) * len(kind_texts)
    sums = np.bincount(both, np.where(known, cents, 0), minlength=size)
    counts = np.bincount(both[known], minlength=size)
    for code in np.flatnonzero(np.bincount(both, minlength=size)).tolist():
        key = texts[code // len(kind_texts)], kind_texts[code % len(kind_texts)]
        total = added.setdefault(key, [Decimal(0), 0])
        total[0] += Decimal(int(sums[code])) / 100
        total[1] += int(counts[code])
    for row, euros in more.items():
        total = added[texts[codes[row]], kind_texts[seconds[row]]]
        total[0] += euros
        total[1] += 1


def _findings(notes: list[Note], source: str) -> pd.DataFrame:
    rows = [{"code": one.code, "severity": one.severity, "message": one.message, "cell": one.cell, "stated": one.stated,
             "source": source} for one in notes]  # fmt: skip
    return schema.conform(pd.DataFrame(rows), "findings")
