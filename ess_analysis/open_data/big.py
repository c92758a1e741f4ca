"""A text file of any size → its sums, read piece by piece in bounded memory, the same to the cent as a whole reading.

The head of the file is understood like any other; Arrow then cuts every line, strictly, and adds exact
decimals, a piece on each processor. A line that asks for judgement (a total, a shifted column, lines swallowed by a quote) stops it:
`Undecided` sends the file to the reader that holds it whole.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, reduce
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
from ess_analysis.load.amounts import distinct_amounts
from ess_analysis.load.notes import SHOWN_NOTES
from ess_analysis.load.words import MIXED, kind_of
from ess_analysis.open_data import doubts
from ess_analysis.open_data.headers import words
from ess_analysis.open_data.understanding import understand
from ess_analysis.sources import SourceSheet

LARGE = 64 << 20  # bytes from which a text file is added up here
HEAD = 1 << 16  # bytes from which it is understood
PIECE = 32 << 20  # bytes that one thread reads at a time
BLOCK = 4 << 20  # bytes cut at a time
KEYS = ("year", "kind", "axis", "funder", "recipient", "programme")
FACTS = ("date", "year", "recipient_id", "programme", "axis")  # what only data have
NUMBERS = "numbers"  # beside the keys: the recipients' numbers that are not plainly sound
FOLDED = 16  # pieces after which their sums are added to each other
CENTS = pa.decimal128(38, 2)
# What is asked of lines, by the name it is given.
SUMS = {"euros": ("euros", "sum"), "amounts": ("euros", "count")}
LINES: dict[str, tuple[Any, str]] = {"lines": ([], "count_all")}

# Amounts whose reading needs no judgement: 1234.5, then 1234,5 · 1 234,50 · 26 956,00 €
_POINT = r"^-?[0-9]{1,13}(?:[.][0-9]{1,2})?$"
_PLAIN = r"^-?(?:[0-9]{1,13}|[0-9]{1,3}(?:[ \x{00a0}\x{202f}][0-9]{3}){1,4})(?:[.,][0-9]{1,2})?(?: ?€)?$"
_TOTAL = r"(?i)\bt ?o ?t ?a ?(?:l|ux)\b"


class Undecided(Exception):
    """A line that cannot be added up without looking at those around it."""


class _Folded(Undecided):
    """A text over several lines, or what looks like one: quotes are to be counted from the start."""


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
    begun = partial(_Pass, path, understood.sheet, grid, understood.notes, by)
    if head.count(b"\n") == len(read.rows):
        with suppress(_Folded):
            return begun(folded=False).sums()
    return begun(folded=True).sums()


@dataclass(frozen=True)
class _Piece:
    """Some lines of the file, added up; those whose amount asks for the reader of French are kept, with their row."""

    lines: int
    # For each key asked for: its texts and those of the kind, the sum and count of amounts. For NUMBERS: the lines.
    by: dict[str, pa.Table]
    words: dict[int, list[str]]  # the distinct texts of the columns that sort lines
    others: pa.Table


class _Pass:
    """One reading of the file: pieces are added up on their own, on each processor, then put together in order.

    Unless `folded`, each piece must hold as many rows as lines: only then need quotes not be counted to cut it.
    """

    def __init__(
        self,
        path: Path,
        sheet: SourceSheet,
        grid: Grid,
        notes: tuple[Note, ...],
        by: Sequence[str],
        folded: bool,
    ) -> None:
        self.folded = folded
        self.path, self.sheet, self.table, self.notes = path, sheet, sheet.tables[0], list(notes)
        self.header = [str(name) for name in grid.values.iloc[self.table.header[1] - 1]]
        at = {words(name): number for number, name in enumerate(self.header)}
        self.at: dict[str, int] = {}
        for column in self.table.columns:
            self.at.setdefault(column.role, at[words(column.header)])
        self.keys = {key: self._key(key) for key in by}
        self.facts = [self.at[role] for role in FACTS if role in self.at]
        self.worded = [self.at[role] for role in ("recipient", "title", "funder") if role in self.at]
        body = grid.values.iloc[self.table.header[1] :]
        self.sorting = {  # columns that sort lines: a word met further down may say that lines are no grants
            at: name for at, name in enumerate(self.header) if doubts.sorts_lines(body[at])
        }
        self.words: dict[int, set[str]] = {at: set() for at in self.sorting}
        self.lines = self.unread = 0
        self.lost: list[Note] = []
        self.read: dict[str, Decimal | None] = {}  # amounts that needed the reader of French, by their text

    def sums(self) -> Sums:
        found: dict[str, list[pa.Table]] = {key: [] for key in (*self.keys, NUMBERS)}
        more: list[tuple[pa.Table, list[Decimal | None]]] = []
        for piece in self._added_up():
            for key, table in piece.by.items():
                found[key] = _together([*found[key], table])
            if piece.others.num_rows:
                more.append((piece.others, self._judged(piece.others)))
            for column, texts in piece.words.items():
                self._refuse_words(column, texts)
            self.lines += piece.lines
        findings = [*self.notes, *self._unread_notes(), *self._identifier_notes(found[NUMBERS])]
        text = "Fichier additionné morceau par morceau, sans être gardé en mémoire : les doublons n'y sont pas cherchés."
        findings.append(Note("READ-BIG", "info", text))
        frames = {key: self._frame(key, found[key], more) for key in self.keys}
        count = int(next(iter(frames.values()))["count"].sum()) if frames else 0
        return Sums(self.sheet, self.lines, count, frames, _findings(findings, self.path.name))

    def _key(self, key: str) -> int | None:
        return self.at.get(key, self.at.get("date")) if key == "year" else self.at.get(key)

    # -- pieces

    def _added_up(self) -> Iterator[_Piece]:
        """The pieces of the file in order, a few at work at a time; Undecided on a line not of the table."""
        workers = os.cpu_count() or 1
        at_work: deque[tuple[Future[_Piece], Callable[[], None]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for piece, let_go in self._pieces():
                at_work.append((pool.submit(self._add_up, piece), let_go))
                while len(at_work) > workers:
                    yield _done(at_work)
            while at_work:
                yield _done(at_work)

    def _pieces(self) -> Iterator[tuple[pa.Buffer, Callable[[], None]]]:
        """Whole lines of the file, and what gives their pages back to the system."""
        with self.path.open("rb") as file:  # the map is let go with the last piece that points into it
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 0
        for _ in range(self.table.header[1]):
            start = content.find(b"\n", start) + 1
        while start < len(content):
            end = min(start + PIECE, len(content))
            if end < len(content):
                end = content.rfind(b"\n", start, end) + 1
            end = _whole_lines(content, start, end) if self.folded else _plain_lines(content, start, end)
            yield pa.py_buffer(content).slice(start, end - start), partial(_let_go, content, start, end)
            start = end

    def _add_up(self, piece: pa.Buffer) -> _Piece:
        """The sums of a piece; nothing of the reading is touched, several are made at the same time."""
        table = self._cut(piece)
        self._refuse_doubtful(table)
        euros, others = _euros(table[f"c{self.at['amount']}"])
        rows = pa.array(others)
        kept = table.take(rows).append_column("row", rows)
        table = table.append_column("euros", euros)
        by = {key: _grouped(table, self._columns(key), SUMS) for key in self.keys}
        if "recipient_id" in self.at:
            numbers = table.select([f"c{self.at['recipient_id']}"])
            sound = identifiers.sound(numbers[0].combine_chunks())
            by[NUMBERS] = _grouped(numbers.filter(pa.array(~sound)), numbers.column_names, LINES)
        words = {at: pc.unique(table[f"c{at}"]).to_pylist() for at in self.sorting}
        return _Piece(table.num_rows, by, words, kept)

    def _columns(self, key: str) -> list[str]:
        """The columns of a key and of the kind, once each."""
        both = (self.keys[key], self.at.get("kind"))
        return list(dict.fromkeys(f"c{at}" for at in both if at is not None))

    def _cut(self, piece: pa.Buffer) -> pa.Table:
        """The lines of a piece, the columns needed as texts; Undecided on a line not of the table."""
        needed = {self.at["amount"], *self.facts, *([] if self.facts else self.worded)}
        needed |= {at for at in (*self.keys.values(), self.at.get("kind")) if at is not None} | {
            *self.sorting
        }
        try:
            _refuse_bytes(piece)
            table = self._parsed(piece, sorted(needed))
        except pa.ArrowInvalid as error:  # a byte that is not UTF-8, a line of another width
            raise _Folded(str(error)) from error
        lines = _counted(piece, b"\n") + (piece.slice(piece.size - 1).to_pybytes() != b"\n")
        if table.num_rows != lines:
            if not self.folded:
                raise _Folded
            self._refuse_swallowed(piece)
        return table

    def _parsed(self, piece: pa.Buffer, columns: Iterable[int]) -> pa.Table:
        """Columns of a piece, as texts; ArrowInvalid on a line of another width."""
        names = [f"c{at}" for at in range(len(self.header))]
        return pa_csv.read_csv(
            piece,
            pa_csv.ReadOptions(column_names=names, block_size=BLOCK, use_threads=False),
            pa_csv.ParseOptions(
                delimiter=self.sheet.delimiter, newlines_in_values=True, ignore_empty_lines=False
            ),
            pa_csv.ConvertOptions(
                include_columns=[names[at] for at in columns],
                column_types=dict.fromkeys(names, pa.string()),
                check_utf8=False,  # every byte of the piece was looked at
            ),
        )

    def _refuse_swallowed(self, piece: pa.Buffer) -> None:
        """Nothing, if the texts over several lines are texts; Undecided if a quote has swallowed lines."""
        for column in self._parsed(piece, range(len(self.header))).columns:
            for text in column.filter(pc.match_substring(column, "\n")).to_pylist():
                if swallows(text, self.sheet.delimiter, len(self.header)):
                    raise Undecided

    # -- amounts

    def _judged(self, others: pa.Table) -> list[Decimal | None]:
        """What the reader of French reads of the amounts that Arrow does not; the cells lost are kept to be told."""
        texts = others[f"c{self.at['amount']}"].to_pylist()
        self._read_others([text for text in dict.fromkeys(texts) if text.strip()])
        read = [self.read.get(text) for text in texts]
        for row, text, euros in zip(others["row"].to_pylist(), texts, read, strict=True):
            if euros is None and text.strip():
                self._lose(row, text)
        return read

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

    def _refuse_words(self, column: int, texts: list[str]) -> None:
        """Undecided on the words of a column that sorts lines, where they say refused, lent or another stage."""
        if self.words[column] >= {*texts}:
            return
        self.words[column] |= {*texts}
        said = pd.Series(sorted(self.words[column]), dtype="object")
        role = next((role for role, at in self.at.items() if at == column), "")
        if doubts.not_granted(words(self.header[column]), said) or doubts.stages_told(said):
            raise Undecided
        if role != "kind" and (doubts.other_kind(said) or any(map(doubts.speaks_of_other, said))):
            raise Undecided

    def _refuse_doubtful(self, table: pa.Table) -> None:
        """Nothing, if every amount stands beside the facts that only data have; Undecided otherwise.

        A total has no recipient's number, no date, no scheme; where none of these is read, its words tell.
        """
        doubtful = pc.not_equal(table[f"c{self.at['amount']}"], "")
        if not pc.all(doubtful).as_py():  # a line of one text alone is a title, which may change what follows
            filled = [pc.cast(pc.not_equal(column, ""), pa.int16()) for column in table.columns]
            if pc.any(pc.and_(pc.invert(doubtful), pc.less(reduce(pc.add, filled), 2))).as_py():
                raise Undecided
        for at in self.facts or self.worded:
            texts = table[f"c{at}"]
            if not self.facts and pc.any(pc.match_substring_regex(texts, _TOTAL)).as_py():
                raise Undecided
            doubtful = pc.and_(doubtful, pc.or_(pc.equal(texts, ""), pc.utf8_is_space(texts)))
            if self.facts and not pc.any(doubtful).as_py():
                return
        if pc.any(doubtful).as_py():
            raise Undecided

    # -- what is told

    def _identifier_notes(self, found: list[pa.Table]) -> Iterator[Note]:
        if not found:
            return
        at, distinct = self.at["recipient_id"], _whole(found)
        texts = [text.strip() or None for text in distinct[f"c{at}"].to_pylist()]
        rows = pd.Series(distinct["lines"].to_numpy(), index=texts)
        wrong = identifiers.defects(pd.Series(texts, index=texts, dtype="object"))
        for defect in identifiers.DEFECTS:
            lines = rows[wrong.eq(defect)]
            if len(lines):
                first = str(lines.index[0])
                text = identifiers.told(self.header[at], int(lines.sum()), defect, first)
                yield Note(f"READ-ID-{defect.upper().replace('_', '-')}", "alert", text, stated=first)

    def _frame(
        self, key: str, found: list[pa.Table], more: list[tuple[pa.Table, list[Decimal | None]]]
    ) -> pd.DataFrame:
        """The amounts by one key and by kind, under the names that the tidy tables use."""
        whole = [_whole(found)] if found else []
        tables = [(table, table["euros"].to_pylist(), table["amounts"].to_pylist()) for table in whole]
        tables += [(table, read, [int(one is not None) for one in read]) for table, read in more]
        added: dict[tuple[Any, ...], list[Any]] = {}
        names = [key] if key == "kind" else [key, "kind"]
        for table, euros, amounts in tables:
            said = zip(*(self._names(name, table) for name in names), strict=True)
            for one, amount, count in zip(said, euros, amounts, strict=True):
                total = added.setdefault(one, [Decimal(0), 0])
                total[0] += amount or 0
                total[1] += count
        rows = [(*one, *added[one]) for one in sorted(added, key=_years_first)]
        return pd.DataFrame(rows, columns=[*names, "amount_eur", "count"])

    def _names(self, key: str, table: pa.Table) -> list[Any]:
        """The year, the kind or the name that each line of a table stands for, each distinct text read once."""
        at = self._key(key)
        if at is None:
            return [self._unsaid(key)] * table.num_rows
        texts = table[f"c{at}"].to_pylist()
        read = {text: self._name(key, french.nfc(text.strip())) or self._unsaid(key) for text in set(texts)}
        return [read[text] for text in texts]

    def _name(self, key: str, written: str) -> Any:
        if key == "year":
            return french.year_of(written)
        if key == "kind":
            word = kind_of(written)
            return "cash" if word == MIXED else word
        return written

    def _unsaid(self, key: str) -> Any:
        """What the source sheet says of the lines that say nothing; the words for it where it says nothing either."""
        told = {"year": self.table.year, "kind": self.table.kind, "funder": self.table.funder}.get(key)
        return told or schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)


def _years_first(names: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    """By which names are sorted, « non daté » after the years."""
    return [(isinstance(name, str), name) for name in names]


def _plain_lines(content: mmap.mmap, start: int, end: int) -> int:
    """The end of a piece of whole lines; `_Folded` if a quote is left open in the last, the one place rows do not tell."""
    last = max(start, content.rfind(b"\n", start, end - 1) + 1)
    if end <= start or content[last:end].count(b'"') % 2:
        raise _Folded
    return end


def _whole_lines(content: mmap.mmap, start: int, end: int) -> int:
    """Where the last whole line of a piece ends: after a line end that no quote holds."""
    inside = _counted(pa.py_buffer(content).slice(start, end - start), b'"') % 2 if end > start else 1
    for _ in range(10_000):
        if end > start and not inside:
            return end
        before = content.rfind(b"\n", start, end - 1) + 1
        if before <= start:
            break
        inside = (inside + content[before:end].count(b'"')) % 2
        end = before
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


def _euros(written: pa.ChunkedArray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """The amount of each line as an exact decimal, missing where it is not plain; the rows of those."""
    if pc.all(pc.match_substring_regex(written, _POINT)).as_py():
        return pc.cast(written, CENTS), np.array([], dtype=np.int64)
    plain = pc.match_substring_regex(written, _PLAIN)
    bare = pc.replace_substring(pc.replace_substring_regex(written, r"[ \x{00a0}\x{202f}€]", ""), ",", ".")
    return pc.cast(pc.if_else(plain, bare, None), CENTS), np.flatnonzero(~plain.to_numpy())


def _grouped(table: pa.Table, columns: list[str], asked: Mapping[str, tuple[Any, str]]) -> pa.Table:
    """What is asked of the lines, SUMS or LINES, for each text of the columns."""
    found = pa.TableGroupBy(table, columns, use_threads=False).aggregate([*asked.values()])
    return found.rename_columns([*columns, *asked])


def _together(tables: list[pa.Table]) -> list[pa.Table]:
    """The sums of several pieces, added to each other once they are many: what is kept does not grow with the file."""
    return tables if len(tables) < FOLDED else [_whole(tables)]


def _whole(tables: list[pa.Table]) -> pa.Table:
    names = tables[0].column_names
    added = [name for name in names if name in {*SUMS, *LINES}]
    columns = [name for name in names if name not in added]
    return _grouped(pa.concat_tables(tables), columns, {name: (name, "sum") for name in added})


def _done(at_work: deque[tuple[Future[_Piece], Callable[[], None]]]) -> _Piece:
    """The first of the pieces at work, once it is added up."""
    future, let_go = at_work.popleft()
    try:
        return future.result()
    finally:
        let_go()


def _let_go(content: mmap.mmap, start: int, end: int) -> None:
    """Gives the pages of a piece that was read back to the system."""
    if hasattr(mmap, "MADV_DONTNEED"):
        page = start // mmap.PAGESIZE * mmap.PAGESIZE
        content.madvise(mmap.MADV_DONTNEED, page, end - page)


def _findings(notes: list[Note], source: str) -> pd.DataFrame:
    rows = [{"code": one.code, "severity": one.severity, "message": one.message, "cell": one.cell, "stated": one.stated,
             "source": source} for one in notes]  # fmt: skip
    return schema.conform(pd.DataFrame(rows), "findings")
