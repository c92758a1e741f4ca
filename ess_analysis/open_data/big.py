"""A text file of any size → its sums, in one pass and bounded memory, the same to the cent as a whole reading.

The head of the file is understood like any other; DuckDB then reads every line, strictly, and adds exact
decimals. A line that asks for judgement (a total, a shifted column, a text over several lines) stops it:
`Undecided` sends the file to the reader that holds it whole.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from ess_analysis import french, identifiers, schema
from ess_analysis.delimited import Note, read_delimited, swallows
from ess_analysis.grids import TEXTS, Grid
from ess_analysis.load import KIND_WORDS, MIXED, SHOWN_NOTES, closed_word, distinct_amounts
from ess_analysis.open_data.headers import words
from ess_analysis.open_data.understanding import understand
from ess_analysis.sources import SourceSheet

LARGE = 64 << 20  # bytes from which a text file is added up here
HEAD = 1 << 16  # bytes from which it is understood
MEMORY = "2GB"  # given to DuckDB; beyond, it goes to the disk
KEYS = ("year", "kind", "axis", "funder", "recipient", "programme")

_NEVER = "\x01\x01"  # no cell: a blank stays an empty text
# Amounts whose reading needs no judgement: 1234.5, then 1234,5 · 1 234,50 · 26 956,00 €
_POINT = r"-?[0-9]{1,13}(?:[.][0-9]{1,2})?"
_PLAIN = r"-?(?:[0-9]{1,13}|[0-9]{1,3}(?:[ \x{00a0}\x{202f}][0-9]{3}){1,4})(?:[.,][0-9]{1,2})?(?: ?€)?"


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
    amounts = [column for column in understood.sheet.tables[0].columns if column.role == "amount"]
    if understood.missing or len(amounts) != 1 or not read.encoding.startswith("utf-8") or read.notes:
        raise Undecided
    if any(column.role == "stage" for column in understood.sheet.tables[0].columns):
        raise Undecided
    if understood.sheet.tables[0].skip_lines or amounts[0].kind or amounts[0].unit != 1:
        raise Undecided
    if not _is_utf8(path):
        raise Undecided
    return _Pass(path, understood.sheet, grid, understood.notes).sums(by)


def _is_utf8(path: Path) -> bool:
    """Whether the whole file is UTF-8, read piece by piece."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            while file.read(HEAD):
                pass
    except UnicodeDecodeError:
        return False
    return True


class _Pass:
    """One reading of the file by DuckDB: its columns by role, the expression of its amounts."""

    def __init__(self, path: Path, sheet: SourceSheet, grid: Grid, notes: tuple[Note, ...]) -> None:
        self.path, self.sheet, self.table, self.notes = path, sheet, sheet.tables[0], list(notes)
        self.header = [str(name) for name in grid.values.iloc[self.table.header[1] - 1]]
        self.at = {words(name): number for number, name in enumerate(self.header)}
        self.engine = duckdb.connect()
        self.spill = tempfile.TemporaryDirectory()
        self.engine.execute(f"SET memory_limit='{MEMORY}'; SET temp_directory='{self.spill.name}'")
        self.engine.execute("SET enable_progress_bar=false; SET preserve_insertion_order=false")
        self.amount = f"c{self._column('amount')}"

    def _column(self, role: str) -> int | None:
        found = [column.header for column in self.table.columns if column.role == role]
        return self.at[words(found[0])] if found else None

    @property
    def lines(self) -> str:
        """The table function that reads every line as texts, and stops at one that is not of the table."""
        columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(self.header)))
        name = str(self.path).replace("'", "''")
        return (
            f"read_csv('{name}', columns={{{columns}}}, delim='{self.sheet.delimiter}', quote='\"', escape='\"', "
            f"header=false, skip={self.table.header[1]}, auto_detect=false, strict_mode=true, null_padding=false, "
            f"ignore_errors=false, max_line_size=4000000, nullstr='{_NEVER}')"
        )

    def sums(self, by: Sequence[str]) -> Sums:
        keys = {key: self._key(key) for key in by}
        kind = self._column("kind")
        identity = self._column("recipient_id")
        columns = {f"c{at}" for at in [*keys.values(), kind, identity] if at is not None}
        sets = [
            f"({', '.join(sorted({f'c{at}' for at in (at, kind) if at is not None}))})"
            for at in keys.values()
        ]
        sets += [f"(c{identity})"] if identity is not None else []
        with ThreadPoolExecutor(1) as beside:
            ends = beside.submit(self._ends)
            rows = self._grouped(sorted(columns), list(dict.fromkeys([*sets, "()"])), self._known({}))
        if rows["unread"].max() > 0:
            texts = self._unread_texts()
            rows = self._grouped(sorted(columns), list(dict.fromkeys([*sets, "()"])), self._known(texts))
        whole = rows[rows["level"].eq(rows["level"].max())].iloc[0]
        lines, unread = int(whole["lines"]), int(whole["unread"])
        if whole["doubtful"]:
            self._judge(self._doubtful(columns))
        if ends.result() != lines + self.table.header[1]:
            self._refuse_swallowed()
        findings = [*self.notes, *self._unread_notes(unread)]
        if identity is not None:
            findings += self._identifier_notes(
                rows[rows["level"].eq(self._level(sorted(columns), {f"c{identity}"}))], identity
            )
        frames = {}
        for key, at in keys.items():
            own = {f"c{one}" for one in (at, kind) if one is not None}
            frames[key] = self._frame(
                rows[rows["level"].eq(self._level(sorted(columns), own))], key, at, kind
            )
        text = "Fichier additionné ligne à ligne, sans être gardé en mémoire : les doublons n'y sont pas recherchés."
        findings.append(Note("READ-BIG", "info", text))
        return Sums(self.sheet, lines, int(whole["amounts"]), frames, _findings(findings, self.path.name))

    def _key(self, key: str) -> int | None:
        return next(
            (
                at
                for role in ((key, "date") if key == "year" else (key,))
                if (at := self._column(role)) is not None
            ),
            None,
        )

    @staticmethod
    def _level(columns: list[str], own: set[str]) -> int:
        """What GROUPING() gives for the set of `own` columns: one bit for each column left out."""
        return int("".join("0" if column in own else "1" for column in columns) or "0", 2)

    def _known(self, texts: dict[str, Decimal]) -> str:
        """The amount of a line as a decimal, or NULL: plain ones, and those that `texts` gives."""
        self.engine.execute("CREATE OR REPLACE TEMP TABLE known(text VARCHAR, euros DECIMAL(18, 6))")
        if texts:
            self.engine.executemany("INSERT INTO known VALUES (?, ?)", list(texts.items()))
        bare = f"translate(replace({self.amount}, ',', '.'), ' €\u00a0\u202f', '')"
        plain = (
            f"CASE WHEN regexp_full_match({self.amount}, '{_POINT}') THEN TRY_CAST({self.amount} AS DECIMAL(18, 6)) "
            f"WHEN regexp_full_match({self.amount}, '{_PLAIN}') THEN TRY_CAST({bare} AS DECIMAL(18, 6)) END"
        )
        return f"coalesce({plain}, (SELECT euros FROM known WHERE text = {self.amount}))" if texts else plain

    def _grouped(self, columns: list[str], sets: list[str], known: str) -> pd.DataFrame:
        named = ", ".join(columns)
        level = f"grouping({named})" if columns else "0"
        query = (
            f"WITH read AS (SELECT {', '.join([*columns, self.amount + ' AS written'])}, {known} AS euros, "
            f"{self._doubtful(columns)} AS doubtful FROM {self.lines}) "
            f"SELECT {level} AS level, {named + ',' if columns else ''} count(*) AS lines, count(euros) AS amounts, "
            "sum(euros) AS euros, count(*) FILTER (euros IS NULL AND written <> '' AND trim(written) <> '') AS unread, "
            "count(*) FILTER (doubtful) AS doubtful "
            f"FROM read GROUP BY GROUPING SETS ({', '.join(sets)})"
        )
        return self._asked(query)

    def _asked(self, query: str) -> pd.DataFrame:
        """The answer, its decimals kept exact; a line that DuckDB refuses is for the other reader."""
        try:
            answer = self.engine.execute(query)
            names = [one[0] for one in answer.description or []]
            return pd.DataFrame(answer.fetchall(), columns=names).astype("object")
        except duckdb.Error as error:
            raise Undecided(str(error)) from error

    def _unread_texts(self) -> dict[str, Decimal]:
        """The amounts that need the reader of French, by their text."""
        query = f"SELECT DISTINCT {self.amount} AS text FROM {self.lines} WHERE NOT regexp_full_match({self.amount}, '{_PLAIN}')"
        texts = [text for text in self._asked(query)["text"] if text and text.strip()]
        if words(self.header[int(self.amount[1:])]) in {words(text) for text in texts}:
            raise Undecided  # the header is repeated in the data
        read = distinct_amounts(
            [text.strip() for text in texts], self.sheet.decimal, currency=self.sheet.currency
        )
        if read.several:
            raise Undecided
        self.illegible = [text for code, text in enumerate(texts) if read.unread[code]]
        return {
            text: Decimal(repr(float(read.euros[code])))
            for code, text in enumerate(texts)
            if read.euros[code] == read.euros[code]
        }

    def _doubtful(self, read: Iterable[str]) -> str:
        """The condition of a line that holds an amount and none of the facts that only data have.

        A total has no recipient's number, no date, no scheme; where none of these is read, its words tell.
        """
        own = {f"c{at}" for role in ("date", "year", "recipient_id", "programme", "axis")
               if (at := self._column(role)) is not None}  # fmt: skip
        facts = sorted(own & set(read))
        if facts:
            blank = " AND ".join(f"{fact} = ''" for fact in facts)
            return f"({self.amount} <> '' AND {blank})"
        worded = [
            f"c{at}" for role in ("recipient", "title", "funder") if (at := self._column(role)) is not None
        ]
        blank = " AND ".join(f"{column} = ''" for column in worded) or "true"
        totals = " OR ".join([f"contains(lower({column}), 'total')" for column in worded] or ["false"])
        return f"({self.amount} <> '' AND (({blank}) OR {totals}))"

    def _judge(self, condition: str) -> None:
        """Nothing, if the doubtful lines are as filled as data are; Undecided otherwise."""
        found = self._asked(f"SELECT * FROM {self.lines} WHERE {condition} LIMIT 100000")
        filled = found.map(lambda text: bool(str(text or "").strip())).sum(axis="columns")
        if (filled <= len(self.header) / 2).any():
            raise Undecided

    def _ends(self) -> int:
        """How many lines the file has, those inside quotes included."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            ends = sum(content[at : at + (1 << 20)].count(b"\n") for at in range(0, len(content), 1 << 20))
            return ends + (content[-1:] != b"\n")

    def _refuse_swallowed(self) -> None:
        """Nothing, if the texts over several lines are texts; Undecided if a quote has swallowed lines."""
        several = " OR ".join(f"contains(c{at}, chr(10))" for at in range(len(self.header)))
        folded = self._asked(f"SELECT * FROM {self.lines} WHERE {several}")
        for row in folded.itertuples(index=False):
            texts = [text for text in row if text and "\n" in text]
            if any(swallows(text, self.sheet.delimiter, len(self.header)) for text in texts):
                raise Undecided

    def _unread_notes(self, unread: int) -> Iterator[Note]:
        """Each amount that cannot be read, with its cell; blocking."""
        if not unread:
            return
        self.engine.execute("SET preserve_insertion_order=true")
        self.engine.execute("CREATE OR REPLACE TEMP TABLE lost(text VARCHAR)")
        self.engine.executemany("INSERT INTO lost VALUES (?)", [[text] for text in self.illegible] or [[""]])
        query = (
            f"SELECT line, written FROM (SELECT row_number() OVER () AS line, {self.amount} AS written FROM {self.lines}) "
            f"WHERE written IN (SELECT text FROM lost) ORDER BY line LIMIT {SHOWN_NOTES}"
        )
        column = int(self.amount[1:])
        for row in self._asked(query).itertuples():
            cell = Grid(self.path, "", pd.DataFrame()).address(
                int(str(row.line)) + self.table.header[1] - 1, column
            )
            yield Note(
                "READ-AMOUNT", "blocking", f"« {row.written} » : montant illisible.", cell, str(row.written)
            )
        if unread > SHOWN_NOTES:
            yield Note(
                "READ-AMOUNT",
                "blocking",
                f"Et {french.number(unread - SHOWN_NOTES)} autres cellules de même.",
            )

    def _identifier_notes(self, rows: pd.DataFrame, at: int) -> Iterator[Note]:
        numbers = rows[f"c{at}"].fillna("").astype("str").str.strip()
        wrong = identifiers.defects(numbers.where(numbers.ne("")))
        for defect, said in identifiers.DEFECTS.items():
            lines = rows.loc[wrong.eq(defect), "lines"]
            if len(lines):
                first = numbers[lines.index[0]]
                count = french.counted(int(lines.sum()), "numéro inutilisable", "numéros inutilisables")
                text = f"« {self.header[at]} » : {count} ({said} : « {first} »), écartés des rapprochements."
                yield Note(f"READ-ID-{defect.upper().replace('_', '-')}", "alert", text, stated=first)

    def _frame(self, rows: pd.DataFrame, key: str, at: int | None, kind: int | None) -> pd.DataFrame:
        """The amounts by one key and by kind, under the names that the tidy tables use."""
        made = pd.DataFrame(
            {
                key: pd.Series(self._named(key, rows[f"c{at}"]), index=rows.index, dtype="object")
                if at is not None
                else self._constant(key),
                "kind": self._named("kind", rows[f"c{kind}"]) if kind is not None else self.table.kind,
                "amount_eur": [euros or Decimal(0) for euros in rows["euros"]],
                "count": rows["amounts"].astype("int64").to_numpy(),
            }
        )
        missing = schema.MISSING_LABELS.get(key, schema.MISSING_LABEL)
        made[key] = made[key].astype("object").where(made[key].notna(), missing)
        names = [key] if key == "kind" else [key, "kind"]
        return made.groupby(names, as_index=False).agg(
            amount_eur=("amount_eur", "sum"), count=("count", "sum")
        )

    def _constant(self, key: str) -> Any:
        """What the source sheet says of every line."""
        return {"year": self.table.year, "kind": self.table.kind, "funder": self.table.funder or None}.get(
            key
        )

    def _named(self, key: str, texts: pd.Series) -> list[Any]:
        """The years, the kinds or the names that texts stand for, each distinct one read once."""
        read: dict[Any, Any] = {}
        for text in texts.unique():
            written = french.nfc((text or "").strip())
            if key == "year":
                read[text] = (french.year_of(written) if written else None) or self.table.year
            elif key == "kind":
                word = closed_word(written, KIND_WORDS) if written else None
                read[text] = "cash" if word == MIXED else word or self.table.kind
            else:
                read[text] = written or self._constant(key)
        return [read[text] for text in texts]


def _findings(notes: list[Note], source: str) -> pd.DataFrame:
    rows = [{"code": one.code, "severity": one.severity, "message": one.message, "cell": one.cell, "stated": one.stated,
             "source": source} for one in notes]  # fmt: skip
    return schema.conform(pd.DataFrame(rows), "findings")
