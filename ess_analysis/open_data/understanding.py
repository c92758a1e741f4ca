"""Grids → the source sheet that a person would write for them, where the file leaves no doubt.

What is understood is a SourceSheet like any other: the same code then reads it. What is not certain stops,
with what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french, schema
from ess_analysis.delimited import Note
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load import (
    KIND_WORDS,
    SIGNS,
    STAGE_WORDS,
    closed_word,
    distinct_amounts,
    header_columns,
    header_levels,
)
from ess_analysis.open_data import doubts, scdl
from ess_analysis.open_data.headers import IN_KIND_WORDS, PAID_WORDS, Meaning, meaning, words
from ess_analysis.sources import ColumnRead, SourceSheet, TableRead

HEADER_WITHIN = 60  # rows: a header further down is not looked for
LONGEST_HEADER = 160  # characters: a longer text is no header
UNSURE = "peut-être un montant : l'en-tête ne le dit pas assez"
SCDL, GRANTS_360 = "SCDL", "360Giving"
_ONE_EACH = (
    "recipient",
    "funder",
    "title",
    "programme",
    "year",
    "date",
    "axis",
    "places",
    "kind",
    "stage",
    "recipient_id",
    "funder_id",
)


@dataclass(frozen=True)
class Understood:
    """How a file is read: its source sheet, the grid of its table, what is told."""

    sheet: SourceSheet
    grid: Grid
    notes: tuple[Note, ...] = ()
    missing: tuple[str, ...] = ()  # what only a person can say; nothing is read while there is any


@dataclass(frozen=True)
class _Table:
    """A table found in a grid: its header rows, its columns, the columns' meanings."""

    grid: Grid
    header: tuple[int, int]
    columns: Mapping[str, int]
    meanings: Mapping[str, Meaning]
    above: int = 0  # the line of another header above this one, over amounts of its own; 0 for none

    @property
    def body(self) -> pd.DataFrame:
        return self.grid.values.iloc[self.header[1] :]

    def role(self, role: str) -> list[str]:
        return [header for header, said in self.meanings.items() if said.role == role]


def understand(path: Path, grids: Iterable[Grid], sheet: str | None = None, whole: bool = True) -> Understood:
    """How the file is read. `missing` says what it does not tell; DataError when it holds no table at all.

    Without `whole`, the grids are the head of a file: nothing is told of its rows.
    """
    grids = list(grids)
    table, notes = _the_table(path, grids, sheet)
    return _Reading(
        path, table, list(notes), whole, others=[grid for grid in grids if grid is not table.grid]
    ).understood()


# --- Which sheet, which header -------------------------------------------------------------------


def _the_table(path: Path, grids: list[Grid], sheet: str | None) -> tuple[_Table, list[Note]]:
    if sheet is not None:
        named = [grid for grid in grids if sheet == _name(grid)]
        if not named:
            raise DataError(
                f"Feuille absente : « {sheet} » dans {path.name}.",
                seen=[grid.sheet or grid.member or "une table sans nom" for grid in grids],
                todo="choisissez l'une de ces feuilles avec --sheet.",
            )
        grids = named
    found = [table for grid in grids if (table := _table_of(grid)) and not _is_pivot(table)]
    tables = [table for table in found if _has_amounts(table)]
    if found and not tables:
        cells = [
            str(value)
            for table in found
            for header in table.role("amount")
            for value in table.body[table.columns[header]].head(200)
            if not _blank(value)
        ]
        if _uncomputed(found):
            raise DataError(
                f"Formules sans valeur calculée : {path.name}, « {found[0].role('amount')[0]} ».",
                seen=list(found[0].grid.formulas.values())[:3],
                todo="ouvrez le classeur dans un tableur et enregistrez-le.",
            )
        raise DataError(
            f"Aucun montant sous l'en-tête : {path.name}."
            if not cells
            else f"Les montants ne se lisent pas : {path.name}, « {found[0].role('amount')[0]} ».",
            seen=cells or [", ".join(table.role("amount")) for table in found],
            todo="vérifiez que le fichier contient des lignes."
            if not cells
            else "déclarez decimal, thousands, currency ou strip dans une fiche source (ess read FICHIER --draft).",
        )
    notes: list[Note] = []
    seen = [table for table in tables if not table.grid.hidden]
    for table in tables:
        if seen and table.grid.hidden:
            notes.append(
                Note("READ-HIDDEN", "alert", f"Feuille masquée « {_name(table.grid)} » : elle n'est pas lue.")
            )
    tables = seen or tables
    kept: list[_Table] = []
    for table in tables:
        twin = next((other for other in kept if _same(other, table)), None)
        if twin is None or _years_in(_name(twin.grid)) != _years_in(_name(table.grid)):
            kept.append(table)
        else:
            message = f"La feuille « {_name(table.grid)} » répète les lignes de « {_name(twin.grid)} » : lue une seule fois."
            notes.append(Note("READ-SHEET-TWICE", "alert", message))
    if len(kept) > 1:
        raise DataError(
            f"Plusieurs feuilles contiennent une table : {path.name}.",
            seen=[table.grid.sheet or table.grid.member for table in kept],
            todo="choisissez avec --sheet, ou déclarez-les dans une fiche source.",
        )
    if not kept:
        raise DataError(
            f"Aucune table de financements reconnue : {path.name}.",
            seen=_first_words(grids),
            todo="écrivez sa fiche source : « ess read FICHIER --draft » en prépare une.",
        )
    if sheet is None:
        notes += _unread_sheets(grids, [table.grid for table in found], kept[0])
    return kept[0], notes


def _uncomputed(tables: list[_Table]) -> bool:
    """Whether cells of amounts are formulas that hold no value."""
    return any(
        (row, table.columns[header]) in table.grid.formulas
        for table in tables
        for header in table.role("amount")
        for row in range(table.header[1], len(table.grid.values))
    )


def _unread_sheets(grids: list[Grid], tables: list[Grid], read: _Table) -> Iterator[Note]:
    """Told of the sheets in sight that hold rows of numbers and are not read."""
    for grid in grids:
        if grid.hidden or any(grid is one for one in tables):
            continue
        rows = int(sum(doubts.numbers_in(row) for row in grid.values.itertuples(index=False)))
        if rows > 2:
            text = f"La feuille « {_name(grid)} » n'est pas lue : {french.counted(rows, 'ligne')} de nombres"
            more = rows > len(read.body)
            yield Note(
                "READ-SHEET-UNREAD",
                "blocking" if more else "alert",
                f"{text}{', plus que la feuille lue' if more else ''}.",
            )


def _name(grid: Grid) -> str:
    """The sheet of a workbook, or the file of an archive."""
    return grid.sheet or grid.member


def _years_in(text: str) -> set[str]:
    return set(re.findall(r"(?<!\d)(?:19[89]\d|20[0-4]\d)(?!\d)", text))


def _first_words(grids: list[Grid]) -> list[str]:
    """The words of the first filled line of each sheet."""
    said = []
    for grid in grids:
        for _, row in grid.values.iloc[:HEADER_WITHIN].iterrows():
            texts = [str(value) for value in row if value not in (None, "") and value == value]
            if len(texts) > 1:
                said.append(" · ".join(texts)[:160])
                break
    return said or ["aucune ligne de deux cellules ou plus"]


def _table_of(grid: Grid) -> _Table | None:
    """The table of a grid: the first line that names an amount and recognises as many columns as any."""
    best: tuple[tuple[int, bool], _Table] | None = None
    first: _Table | None = None
    for row in range(min(HEADER_WITHIN, len(grid.values))):
        texts = [str(value) for value in grid.values.iloc[row].tolist() if not _blank(value)]
        if len(texts) < min(2, grid.values.shape[1]) or (
            best and not grid.merged and _recognised(texts) < best[0][0]
        ):
            continue
        for top in _levels(grid, row):
            table = _headed(grid, (top + 1, row + 1))
            known = sum(bool(one.role or one.field) for one in table.meanings.values())
            score = (known, not _headed_again(table))
            if not table.role("amount") or known < 2:
                continue
            first = first or table
            over = best[1].header if best else (0, 0)  # the levels above this row, taken for a whole header
            upper = top + 1 <= over[0] and over[1] == row
            if best is None or score > best[0] or (upper and score[1] and not best[0][1]):
                best = (score, table)
    if (
        best
        and first
        and first.header[1] < best[1].header[0]
        and _holds_amounts(first, best[1].header[0] - 1)
    ):
        return replace(best[1], above=first.header[1])
    return best[1] if best else None


def _levels(grid: Grid, row: int) -> list[int]:
    """The rows where a header that ends on `row` may begin, the highest first: itself, and merged cells above it."""
    tops = [row]
    while tops[-1] and len(tops) < 4 and _spans(grid, tops[-1] - 1, 1 if len(tops) == 1 else 2):
        tops.append(tops[-1] - 1)
    return tops[::-1]


def _holds_amounts(table: _Table, end: int) -> bool:
    """Whether two amounts or more stand under a header, above the row `end`."""
    body = table.grid.values.iloc[table.header[1] : end]
    values = [
        value for header in table.role("amount") for value in body[table.columns[header]] if not _blank(value)
    ]
    return int(np.isfinite(distinct_amounts(values, ".").euros[:-1]).sum()) > 1 if values else False


def _recognised(texts: Iterable[str]) -> int:
    """How many texts mean something as the header of a column."""
    read = [meaning(text) for text in texts if len(text) <= LONGEST_HEADER]
    return sum(bool(one.role or one.field) for one in read)


def _headed_again(table: _Table) -> bool:
    """Whether the line under the header has words where amounts should be: it is the lower level of the header."""
    below = table.body.iloc[:1]
    cells = [value for header in table.role("amount") for value in below[table.columns[header]]]
    texts = [str(value) for value in cells if not _blank(value)]
    years = len(texts) > 1 and all(re.fullmatch(r"(?:19|20)\d\d(?:\.0)?", text) for text in texts)
    return (
        (years and len(set(texts)) == len(texts))
        or any(re.search(r"[^\W\d_]{3}", text) and not re.search(r"\d", text) for text in texts)
        or any(meaning(text).role == "amount" for text in texts)
    )


def _blank(value: object) -> bool:
    return value is None or value != value or str(value).strip() == ""


def _filled(values: pd.Series) -> pd.Series:
    """Whether each cell holds something."""
    if values.dtype == "str":
        return values.str.strip().ne("") & values.notna()
    return ~values.map(_blank).astype("bool")


def _spans(grid: Grid, row: int, least: int) -> bool:
    """Whether cells of the row are merged over several columns, `least` of them: an upper level of a header."""
    return sum(r1 <= row <= r2 and c2 > c1 for r1, c1, r2, c2 in grid.merged) >= least


def _headed(grid: Grid, header: tuple[int, int]) -> _Table:
    """The table under a header; a name that says nothing alone is read with the levels above it."""
    columns = header_columns(grid, header)
    meanings = {}
    for name, at in columns.items():
        levels = " ".join(dict.fromkeys(text for text in header_levels(grid, header, at) if text))
        read = [meaning(text) if len(text) <= LONGEST_HEADER else Meaning() for text in (name, levels)]
        meanings[name] = read[0] if header[0] == header[1] or read[0].role not in ("", "amount") else read[1]
    return _Table(grid, header, columns, meanings)


def _is_pivot(table: _Table) -> bool:
    """Whether the table is a spreadsheet's summary of another."""
    if table.role("recipient"):
        return False
    said = " ".join(words(header) for header in table.columns)
    return bool(
        re.search(
            r"\b(somme|nombre|count|sum|moyenne) (de|of) |\betiquettes de lignes\b|\brow labels\b", said
        )
    )


def _has_amounts(table: _Table) -> bool:
    """Whether one cell at least, under a header of amounts, reads as an amount."""
    columns = [table.body[table.columns[header]] for header in table.role("amount")]
    values = [value for column in columns for value in pd.unique(column.iloc[:5000]) if not _blank(value)]
    return any(
        np.isfinite(distinct_amounts(values, ".", currency=one).euros).any() for one in ("EUR", *SIGNS)
    )


def _same(one: _Table, other: _Table) -> bool:
    if list(one.columns) != list(other.columns) or len(one.body) != len(other.body):
        return False
    left, right = (
        table.body[list(table.columns.values())]
        .astype("str")
        .apply(lambda row: "\x1f".join(map(str, row)), axis="columns")
        for table in (one, other)
    )
    return sorted(left) == sorted(right)


# --- What the columns and the rows say -----------------------------------------------------------


class _Reading:
    """The understanding of one table, step by step; each step adds what it found to the notes or to `missing`."""

    def __init__(
        self, path: Path, table: _Table, notes: list[Note], whole: bool = True, others: Iterable[Grid] = ()
    ) -> None:
        self.others = list(others)
        self.path, self.table, self.notes, self.whole = path, table, notes, whole
        self.missing: list[str] = []
        self.ignored: dict[str, str] = {}
        self.skipped: set[int] = set()
        self.section_rows = ""
        body = table.body
        self.body = body.set_axis(pd.RangeIndex(table.header[1], table.header[1] + len(body)), axis=0)
        self.filled = pd.DataFrame({at: _filled(self.body[at]) for at in self.body})
        self.standard = _standard(table)
        self.decimal, self.currency = "", "EUR"
        said = (value for header in table.role("amount") for value in pd.unique(self._values(header)))
        self.no_amount = tuple(
            dict.fromkeys(str(value).strip() for value in said if doubts.says_no_amount(value))
        )

    def understood(self) -> Understood:
        self._skip_numbered()
        self._amounts_by_content()
        self._keep_total()
        self._refuse_headers()
        self.currency = self._currency()
        amounts = self._amount_columns()
        columns = [*self._fact_columns(), *amounts]
        self._refuse_units(amounts)
        self._refuse_other_lines(columns)
        self._refuse_named_otherwise(amounts)
        self._refuse_struck()
        stage = self._stage(amounts)
        grid, table = self.table.grid, self.table
        for header in table.columns:
            if header not in {column.header for column in columns}:
                self.ignored.setdefault(header, table.meanings[header].why)
        self._refuse_unread(amounts)
        fields: dict[str, str] = {}
        for header, said in table.meanings.items():
            if said.field and said.field not in fields.values():
                fields[header] = said.field
        main = [column.header for column in amounts if not column.kind]
        if self.standard == SCDL and "montant" not in fields.values() and len(main) == 1:
            fields[main[0]] = "montant"
        year = self._year(columns)
        self._tell_undated(columns, year)
        read = TableRead(
            id="T",
            title=self.path.stem,
            sheet=_name(grid) if self.others else grid.sheet,
            header=table.header,
            record_kind="project",
            stage=stage,
            year=year,
            columns=tuple(columns),
            ignored=self.ignored,
            skip_lines=tuple(row + 1 for row in sorted(self.skipped)),
            doubts="report",
            no_amount=self.no_amount,
            section_rows=self.section_rows,
        )
        sheet = SourceSheet(
            path=self.path,
            sha256="",
            title=self.path.stem,
            producer="",
            date="",
            licence="",
            reliability="lu sans fiche source",
            currency=self.currency,
            encoding=grid.encoding,
            delimiter=grid.delimiter,
            decimal=self.decimal,
            tables=(read,),
            scdl_columns=fields,
            standard=scdl.version(fields) if self.standard == SCDL else self.standard,
        )
        if self.whole and amounts:
            self._tell_scdl(fields, amounts)
        return Understood(sheet, grid, tuple(self.notes), tuple(self.missing))

    def _tell_scdl(self, fields: Mapping[str, str], amounts: list[ColumnRead]) -> None:
        """How the rows depart from the standard, and the grants that several recipients share."""
        rows = self.filled.index[self.filled.any(axis="columns") & ~self.filled.index.isin(self.skipped)]
        grid, columns = self.table.grid, self.table.columns
        if self.standard == SCDL:
            self.notes += scdl.departures(grid, columns, fields, rows)
        main = {**fields, amounts[0].header: "montant"}
        amount = self._euros(amounts[0].header)[0]
        self.notes += scdl.shared(grid, columns, main, rows, amount, self.currency)

    # -- amounts

    def _amounts_by_content(self) -> None:
        """A column of numbers named by a stage, a year, a section or « total » alone is an amount, beside one that says so."""
        meanings = dict(self.table.meanings)
        for header, said in self.table.meanings.items():
            in_kind = not said.role and said.why == IN_KIND_WORDS
            unsaid = not said.role and not said.field and said.why == Meaning().why
            if not (in_kind or unsaid or (said.role == "amount" and not said.sure)):
                continue
            full = meaning(f"montant {header}")
            if in_kind:
                full = replace(said, role="amount", section=words(header))
            if full.role == "amount" and (
                in_kind or (full.sure and not unsaid) or doubts.names_amount(words(header))
            ):
                if doubts.are_numbers(self._values(header)):
                    meanings[header] = replace(full, field="")
            elif unsaid and not full.role and full.why != Meaning().why:
                meanings[header] = full
        self.table = replace(self.table, meanings=meanings)

    def _keep_total(self) -> None:
        """The column that adds up all the others, where their names do not say that they are amounts: it is the amount."""
        meanings = self.table.meanings
        numbers = {
            header: self._euros(header)[0]
            for header, said in meanings.items()
            if (said.role == "amount" and not said.kind)
            or (
                said.role in ("", "title")
                and said.why == Meaning().why
                and not doubts.other_numbers(words(header))
            )
            if doubts.are_numbers(self._values(header))
        }
        frames = pd.DataFrame(numbers)
        for header in [one for one in self.table.role("amount") if one in frames]:
            parts = frames.drop(columns=header)
            named = [one for one in map(str, parts) if meanings[one].role == "amount" and meanings[one].sure]
            if parts.shape[1] < 2 or len(named) == parts.shape[1]:
                continue
            gap = (frames[header] - parts.sum(axis="columns", min_count=1)).dropna().abs()
            if len(gap) > 1 and len(gap) >= 0.9 * len(frames) and gap.lt(0.005).all():
                part = Meaning(why=f"détail de « {header} »")
                self.table = replace(
                    self.table, meanings={**meanings, **dict.fromkeys(map(str, parts), part)}
                )
                return

    def _refuse_headers(self) -> None:
        """Another table above this one, or a level of the header taken for its first row."""
        if self.table.above:
            self.missing.append(
                f"la ligne {self.table.above} : l'en-tête d'une autre table, au-dessus de celle-ci"
            )
        for first in self.body.iloc[:1].to_dict(orient="records"):
            texts = [str(value).removesuffix(".0") for value in first.values() if not _blank(value)]
            texts = [text for text in texts if not re.fullmatch(r"\(.*\)|en (?:€|euros?)", text.strip())]
            years = len(set(texts)) > 1 and all(re.fullmatch(r"(?:19|20)\d\d", text) for text in texts)
            over = [first[self.table.columns[header]] for header in self.table.role("amount")]
            words_over = any(
                not _blank(value) and re.fullmatch(r"\D*[^\W\d_]\D*", str(value)) for value in over
            )
            if years or (texts and words_over and not any(re.search(r"\d", text) for text in texts)):
                self._ask_level(texts)

    def _ask_level(self, texts: list[str]) -> None:
        row = self.table.header[1] + 1
        self.missing.append(f"la ligne {row} ({', '.join(texts)[:80]}) : un second niveau d'en-tête ?")

    def _refuse_unread(self, amounts: list[ColumnRead]) -> None:
        """Numbers that look like amounts, in a column that the table reads under no name."""
        for header, why in self.ignored.items():
            if (
                why == Meaning().why
                and amounts
                and doubts.look_like_amounts(words(header), self._values(header))
            ):
                self.missing.append(
                    f"« {header} » : des nombres qui ressemblent à des montants, à lire ou à laisser ?"
                )

    def _values(self, header: str) -> pd.Series:
        """The cells of a column on the rows that may be data."""
        column = self.body[self.table.columns[header]]
        return column[self.filled[self.table.columns[header]] & ~column.index.isin(self.skipped)]

    def _euros(self, header: str) -> tuple[pd.Series, pd.Series]:
        """The amounts of a column by row, and which cells cannot be read."""
        values = self._values(header)
        codes, distinct = pd.factorize(values)
        read = distinct_amounts(
            distinct,
            self.decimal,
            self.no_amount,
            unit=self.table.meanings[header].unit,
            currency=self.currency,
        )
        several = np.isin(codes, list(read.several))
        return pd.Series(read.euros[codes], index=values.index), pd.Series(
            read.unread[codes] | several, index=values.index
        )

    def _amount_columns(self) -> list[ColumnRead]:
        table = self.table
        named = [
            header
            for header in table.role("amount")
            if not self._values(header).map(doubts.says_no_amount).all()
        ]
        for header in table.role("amount"):
            if header not in named:
                self.ignored[header] = "colonne vide"
        self._skip_repeated_headers(named)
        self.decimal = self._decimal(named)
        self._skip_lines_apart(named)
        read: list[str] = []
        unsure: list[str] = []
        wordy: list[tuple[str, float]] = []
        for header in named:
            values = self._values(header)
            if values.empty:
                continue
            unread = self._euros(header)[1].mean()
            if unread <= 0.2 and table.meanings[header].sure:
                read.append(header)
            elif unread <= 0.2:
                unsure.append(header)
            elif table.meanings[header].sure:
                wordy.append((header, unread))
            if unread > 0.2:
                self.ignored[header] = "texte, sans montant"
        for header, unread in wordy:
            digits = self._values(header).map(lambda value: bool(re.search(r"\d", str(value)))).any()
            if digits or not read:
                self.missing.append(
                    f"« {header} » : {unread:.0%} des cellules ne se lisent pas comme des montants"
                )
        if read and unsure:
            kept = self._without_sums([*read, *unsure], ask=False)
            read, unsure = [one for one in read if one in kept], [one for one in unsure if one in kept]
        if len(unsure) == 1 and not read and not wordy and self._alone(unsure[0]):
            text = f"« {unsure[0]} » est lu comme le montant : c'est la seule colonne de sommes."
            self.notes.append(Note("READ-AMOUNT-COLUMN", "alert", text))
            read, unsure = unsure, []
        asked = f" (« {' », « '.join(unsure)} » ?)" if unsure else ""
        if not read:
            self.missing.append(f"la colonne des montants{asked}")
        elif unsure:
            self.missing.append(f"ce que sont les autres montants{asked}")
        self.ignored |= dict.fromkeys(unsure, UNSURE)
        self._skip_totals(read)
        read = self._without_sums(read)
        self._refuse_rivals(read)
        self._refuse_shift(read)
        return [self._column(header) for header in read]

    def _alone(self, header: str) -> bool:
        """Whether no other column of the table holds sums, read or not."""
        if doubts.unit([words(header)]):
            return False
        others = [
            one
            for one, said in self.table.meanings.items()
            if one != header and (said.role == "amount" or (not said.role and said.why == Meaning().why))
        ]
        return not any(
            doubts.are_numbers(self._values(one)) and not doubts.other_numbers(words(one)) for one in others
        )

    def _column(self, header: str) -> ColumnRead:
        said = self.table.meanings[header]
        return ColumnRead(header, "amount", stage=said.stage, kind=said.kind, year=said.year, unit=said.unit)

    def _skip_repeated_headers(self, named: list[str]) -> None:
        """Rows that repeat the header inside the data; their own words may give the axis of what follows."""
        if not named:
            return
        at = self.table.columns[named[0]]
        written = words(self._header_text(at))
        wordy = self.body[at][self.filled[at] & (~_digits(self.body[at]) | bool(re.search(r"\d", written)))]
        rows = wordy.index[[words(str(value)) == written for value in wordy]]
        other = [row for row in rows if not self._repeats_header(row)]
        if other:
            self.missing.append(f"la ligne {other[0] + 1} : l'en-tête d'une seconde table, sous la première")
        if not len(rows):
            return
        self.skipped |= set(rows)
        self.notes.append(
            _about_rows("READ-HEADER-REPEATED", "info", rows, "répète l'en-tête", "répètent l'en-tête")
        )
        heads = self.body.loc[rows].to_numpy().tolist()
        if not self.table.role("axis") and all(
            re.search(r"\([^()]+\)", " ".join(map(str, row))) for row in heads
        ):
            self.section_rows = "header"

    def _repeats_header(self, row: int) -> bool:
        """Whether half of the cells of a row, or more, are the header's own, words in brackets apart."""
        said = {
            at: re.sub(r"\([^()]*\)", "", str(value))
            for at, value in self.body.loc[row].items()
            if not _blank(value)
        }
        same = [
            words(text) == words(re.sub(r"\([^()]*\)", "", self._header_text(int(str(at)))))
            for at, text in said.items()
        ]
        return sum(same) * 2 >= len(same)

    def _header_text(self, at: int) -> str:
        value = self.table.grid.values.iat[self.table.header[1] - 1, at]
        return "" if _blank(value) else str(value)

    def _decimal(self, named: list[str]) -> str:
        """The decimal sign that the amounts themselves settle, empty where nothing needs it."""
        texts = pd.concat([self._values(header) for header in named]) if named else pd.Series(dtype="object")
        texts = pd.Series(pd.unique(texts[texts.map(lambda value: isinstance(value, str))]), dtype="str")
        if self.currency in ("GBP", "USD"):
            return "."
        bare = texts.str.replace(r"[\s\u00a0\u202f€£$]|eur\w*", "", regex=True, case=False)
        signs = {
            sign: bare.str.fullmatch(rf"[-−(]?[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}\)?").any()
            for sign in ",."
        }
        if not any(signs.values()):
            return ""
        says = {}
        for sign, other in ((",", "."), (".", ",")):
            s, o = re.escape(sign), re.escape(other)
            long = bare.str.fullmatch(rf"[-−(]?(?:(?:0|\d{{4,}}){s}\d{{3}}|\d+{s}\d{{4,}})\)?").any()
            cents = bare.str.fullmatch(rf"[-−(]?\d+{s}\d{{1,2}}\)?").any() and not signs[sign]
            grouped = bare.str.fullmatch(
                rf"[-−(]?(?:\d{{1,3}}(?:{o}\d{{3}})+{s}\d+|\d{{1,3}}(?:{o}\d{{3}}){{2,}})\)?"
            ).any()
            says[sign] = bool(long or cents or (grouped and not signs[sign]))
        if says[","] != says["."]:
            return "," if says[","] else "."
        self.missing.append(
            f"le signe décimal : « {next(iter(texts[bare.str.fullmatch(r'[1-9][0-9]{0,2}[.,][0-9]{3}')]), '')} » se lit de deux façons"
        )
        return ""

    def _skip_lines_apart(self, named: list[str]) -> None:
        """Rows of one cell without an amount: titles of sections, footers, dates of extraction."""
        amounts = [self.table.columns[header] for header in named]
        count = self.filled.sum(axis="columns")
        for row in self._values_rows(amounts):
            said = [
                meaning(str(value))
                for value in self.body.loc[row]
                if isinstance(value, str) and len(value) < 60
            ]
            if any(one.role == "amount" for one in said) and sum(bool(one.role) for one in said) > 1:
                self.missing.append(f"la ligne {row + 1} : l'en-tête d'une seconde table, sous la première")
                break
        alone = (
            count.eq(1) & ~self.filled[amounts].any(axis="columns") & ~self.filled.index.isin(self.skipped)
        )
        named_at = [self.table.columns[header] for header in self.table.role("recipient")]
        covered = [
            row
            for r1, c1, r2, c2 in self.table.grid.merged
            if any(c1 <= at <= c2 for at in amounts)
            for row in self.filled.index.intersection([*range(r1, r2 + 1)])
            if self.filled.loc[row, named_at].any()
        ]
        alone &= ~self.filled.index.isin(covered)  # such an amount is refused where it is read
        if self.filled.shape[1] < 2 or not alone.any():
            return
        rows = self.filled.index[alone]
        self.skipped |= set(rows)
        first = self.body.loc[rows[0]]
        text = str(next(value for value in first if not _blank(value)))[:120]
        self.notes.append(
            _about_rows(
                "READ-NOT-DATA",
                "info",
                rows,
                f"n'est pas une donnée (« {text} »)",
                f"ne sont pas des données (« {text} »…)",
            )
        )

    def _values_rows(self, amounts: list[int]) -> list[int]:
        """The rows of two cells or more whose amounts are words or blanks, where a header could stand."""
        wordy = pd.Series(True, index=self.body.index)
        for at in amounts:
            wordy &= ~_digits(self.body[at])
        several = self.filled.sum(axis="columns").gt(1)
        rows = self.body.index[wordy & several & ~self.body.index.isin(self.skipped)]
        return [int(row) for row in rows[:2000]]

    def _skip_totals(self, read: list[str]) -> None:
        """Rows that add up others: told by their words and by their sum, together."""
        amounts = {self.table.columns[header] for header in self.table.role("amount")}
        at = [column for column in self.table.columns.values() if column not in amounts]
        for header in read:
            euros = self._euros(header)[0].dropna()
            texts = {one: _lettered(self.body[one].loc[euros.index]) for one in at}
            totals = {one: _matching(texts[one], _TOTAL) for one in at}
            nothing = pd.Series(0, index=euros.index)
            worded = sum((texts[one].notna().astype("int64") for one in at), nothing)
            said = sum((totals[one].astype("int64") for one in at), nothing)
            filled = sum((self.filled[one].loc[euros.index].astype("int64") for one in at), nothing)
            few = filled.le(max(1.0, filled.median() / 2 if len(filled) else 0))
            alone = said.gt(0) & worded.eq(said) & (few | said.eq(len(at)))
            labels = pd.Series(None, index=euros.index, dtype="str")
            for one in at:  # the first that says « total »; a fill along rows would go row by row
                labels = labels.where(labels.notna(), texts[one].where(totals[one]))
            exact = sum((_matching(texts[one], _EXACT_TOTAL).astype("int64") for one in at), nothing).gt(0)
            labels = labels.where(labels.notna() | ~exact, "Total")
            self._judge_totals(
                header, euros, alone | filled.eq(0) | exact, labels.reindex(euros.index), filled
            )
            parts = sum((_matching(texts[one], _PART).astype("int64") for one in at), nothing).gt(0)
            if parts.any():
                row = parts.index[parts][0]
                self.missing.append(
                    f"la ligne {row + 1}, « dont… » : le détail d'une autre ligne, ou un montant de plus ?"
                )

    def _judge_totals(
        self, header: str, euros: pd.Series, candidates: pd.Series, labels: pd.Series, filled: pd.Series
    ) -> None:
        """The candidates that are the sum of the rows above, of their part or of its totals are left out."""
        cents = (euros * 100).round().astype("int64")
        formulas = doubts.vertical_sums(self.table.grid.formulas, self.table.columns[header]) & set(
            euros.index
        )
        candidates = candidates | candidates.index.isin(sorted(formulas))
        rows = candidates.index[candidates]
        running = cents.where(~candidates, 0).cumsum()
        whole = int(running.iloc[-1]) if len(running) else 0
        found: list[int] = []
        asked: dict[int, str] = {}
        grand = gap = None
        since, totals = 0, 0
        for row in rows:
            value, above = int(cents[row]), int(running[row])
            part, first = above - since, not found and above == 0
            label = labels[row] if isinstance(labels[row], str) else ""
            plain = bool(_PLAIN_TOTAL.fullmatch(label))
            summed = (
                (not first and value in {part, above, totals})
                or row in formulas
                or bool(first and label and value == whole)
            )
            total = summed or (not first and plain)
            if total:
                found.append(row)
                gap = gap if summed else (row, value, above, part)
            elif label:
                asked[row] = f"la ligne {row + 1}, « {label} » : total ou bénéficiaire ?"
            else:
                asked[row] = (
                    f"la ligne {row + 1} : un montant sans aucun mot, qui n'est la somme d'aucune autre"
                )
            if total and (plain or value == above) and value > part:
                grand = row
            totals += value if value != totals else 0
            since = above
        named = [row for row in asked if isinstance(labels[row], str)]
        if gap and named and gap[1] == gap[2] + int(cents[[row for row in named if row < gap[0]]].sum()):
            asked, gap = (
                {row: why for row, why in asked.items() if row not in named},
                None,
            )  # data, the total says so
        if gap:
            self._told_gap(header, *gap)
        self.missing += asked.values()
        left = cents[~cents.index.isin([*found, *asked])]
        self._skip_families(left, filled)
        listed = left[~left.index.isin(self.skipped)]
        row = doubts.detailed(
            pd.Series([self._words_of(one) for one in listed.index], index=listed.index, dtype="object"),
            listed,
        )
        if row is not None:
            self.missing.append(
                f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : le total des lignes qui la suivent ?"
            )
        self._refuse_thin(filled[filled.index.isin(left.index)], grand, found[-1] if found else None)
        half = left[(left * 2 == left.sum()) & left.ne(0) & ~left.index.isin(self.skipped)]
        if left.gt(0).sum() > 3 and len(half):
            self.missing.append(
                f"la ligne {half.index[0] + 1} : son montant est la somme de tous les autres ; un total ?"
            )
        if found:
            self.skipped |= set(found)
            self._tell_totals(found)

    def _tell_totals(self, rows: list[int]) -> None:
        self.notes.append(
            _about_rows(
                "READ-TOTAL",
                "info",
                pd.Index(rows),
                "est un total : elle n'est pas comptée",
                "sont des totaux : elles ne sont pas comptées",
            )
        )

    def _skip_families(self, cents: pd.Series, filled: pd.Series) -> None:
        """Rows that each add up those beside them, over the whole table: sections if they are bare, asked if not."""
        cents = cents[cents.ne(0)]
        rows = doubts.parents(cents) or doubts.parents(cents, below=False)
        if not rows:
            apart = self._apart(filled.loc[cents.index])
            if row := doubts.sums_beside(cents, apart):
                self.missing.append(
                    f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : la somme de lignes voisines ?"
                )
            return
        if (filled[rows] < filled.median()).all():
            self.skipped |= set(rows)
            self._tell_totals(rows)
        else:
            listed = ", ".join(str(row + 1) for row in rows[:5])
            self.missing.append(
                f"les lignes {listed} : chacune est la somme des suivantes, ne faut-il pas choisir ?"
            )

    def _apart(self, filled: pd.Series) -> set[int]:
        """The rows that look like headings: emptier than the others, or the few in capitals."""
        loud = [int(row) for row in filled.index if doubts.in_capitals(self._words_of(row))]
        thin = [int(row) for row in filled.index[filled.lt(filled.median())]] if len(filled) else []
        return {*thin, *(loud if len(loud) * 2 < len(filled) else [])}

    def _refuse_thin(self, filled: pd.Series, grand: int | None, last: int | None) -> None:
        """Rows much emptier than the others, under them or under the grand total, or named as summaries are."""
        filled = filled[~filled.index.isin(self.skipped)]
        usual = filled.median() if len(filled) else 0
        bare = filled.lt(usual)
        after = [row for row in filled.index[bare] if grand is not None and row > grand]
        named = [row for row in filled.index[filled.le(usual / 2)] if doubts.is_summary(self._words_of(row))]
        if usual < 2:  # a list of names and amounts: only words and place tell
            named = [row for row in filled.index if doubts.begins_summary(self._words_of(row))]
            after = [row for row in filled.index if last is not None and row > last]
            after = after if len(after) < max(4, len(filled) / 10) else []
        for row in list(dict.fromkeys([*after, *named, *doubts.thin_tail(filled)]))[:3]:
            self.missing.append(
                f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : bien moins remplie que les autres, est-ce une donnée ?"
            )

    def _words_of(self, row: int) -> str:
        return " · ".join(
            str(value) for value in self.body.loc[row] if isinstance(value, str) and value.strip()
        )

    def _told_gap(self, header: str, row: int, value: int, everything: int, since: int) -> None:
        cell = self.table.grid.address(row, self.table.columns[header])
        total, lines, part = (
            french.money(cents / 100, currency=self.currency) for cents in (value, everything, since)
        )
        message = (
            f"Total annoncé {total} en {cell}, qui n'est ni la somme des lignes ({lines}) ni celle de sa "
            f"partie ({part})."
        )
        rounding = min(abs(value - everything), abs(value - since)) <= 100
        self.notes.append(Note("READ-TOTAL-GAP", "alert" if rounding else "blocking", message, cell))

    def _without_sums(self, read: list[str], ask: bool = True) -> list[str]:
        """The amount columns, those that only add up the others left out."""
        frames = pd.DataFrame({header: self._euros(header)[0] for header in read})
        if len(read) < 2:
            return read
        money = [header for header in read if not self.table.meanings[header].kind]
        partial: list[tuple[str, int]] = []
        for header in money:
            own = self.table.meanings[header].stage
            others = [other for other in money if other != header]
            if own and {self.table.meanings[other].stage for other in others} - {own, ""}:
                continue  # what was voted is not the sum of what was paid, though it is as much
            if not others:
                continue
            total, parts = frames[header], frames[others].sum(axis="columns", min_count=1)
            both = total.notna() & parts.notna()
            equal = (total - parts).abs()[both] < 0.005
            summing = len(others) > 1 or "total" in words(header)
            if summing and both.mean() > 0.9 and equal.all():
                self.ignored[header] = "somme des autres colonnes"
                return [one for one in read if one != header]
            if "total" in words(header) and 0.5 < equal.mean() < 1 and both.mean() > 0.5:
                partial.append((header, equal.index[~equal][0]))
            if len(others) == 1 and not both.any() and self._is_parent(total, parts):
                self.ignored[header] = "montant des lignes mères, détaillé par les lignes filles"
                self.skipped |= set(total.dropna().index)
                self.notes.append(
                    _about_rows(
                        "READ-PARENT",
                        "info",
                        total.dropna().index,
                        "est une ligne mère, détaillée dessous",
                        "sont des lignes mères, détaillées dessous",
                    )
                )
                return [one for one in read if one != header]
        if ask and partial:
            header, row = partial[0]
            self.missing.append(
                f"la ligne {row + 1} : « {header} » n'y est pas la somme des autres colonnes, comme ailleurs"
            )
        return read

    def _is_parent(self, total: pd.Series, parts: pd.Series) -> bool:
        """Whether each parent's amount is the sum of its lines: those below it, or those of the same recipient."""
        rows = total.index
        families: list[pd.Series[Any]] = [total.notna().cumsum()]
        for header in [*self.table.role("recipient_id"), *self.table.role("recipient")]:
            families.append(self.body[self.table.columns[header]].loc[rows].astype("str"))
        for family in families:
            gap = (total.groupby(family).sum() - parts.groupby(family).sum()).abs()
            if len(total.dropna()) > 1 and gap.lt(0.005).all():
                return True
        return False

    def _refuse_rivals(self, read: list[str]) -> None:
        """Two columns that could each be *the* amount, with nothing to tell them apart."""
        for at, header in enumerate(read):
            said = self.table.meanings[header]
            for other in read[:at]:
                beside = self.table.meanings[other]
                apart = said.stage and beside.stage and said.stage != beside.stage
                apart = (
                    apart
                    or (said.year and beside.year and said.year != beside.year)
                    or said.kind != beside.kind
                )
                apart = apart or (said.section and beside.section and said.section != beside.section)
                if not apart:
                    self.missing.append(f"lequel est le montant : « {other} » ou « {header} » ?")

    def _refuse_pushed(self) -> None:
        """A delimiter inside a text pushes the line by one column: the last one, blank elsewhere, is filled."""
        if not self.table.grid.delimiter or len(self.body) < 2:
            return
        columns = [int(str(at)) for at in self.body]
        count = {at: int(self.filled[at].sum()) for at in columns}
        rare = [at for at in columns if 0 < count[at] <= max(1, len(self.body) // 50)]
        full = [at for at in columns if count[at] >= 0.9 * len(self.body)]
        pushed = self.filled[rare].any(axis="columns") & ~self.filled.index.isin(self.skipped)
        for at in full if rare else []:
            if not _digits(self.body[at][~pushed]).mean() > 0.9:
                continue
            texts = _lettered(self.body[at][pushed]).dropna()
            for row, text in texts[~texts.str.contains("[0-9]", regex=True)].head(1).items():
                said = f"« {str(text).strip()} » dans une colonne de nombres, une ligne décalée ?"
                self.missing.append(f"la ligne {int(str(row)) + 1} : {said}")
                return

    def _refuse_shift(self, read: list[str]) -> None:
        """A decimal comma without quotes, in a file cut at commas, pushes its cents into the next column."""
        self._refuse_pushed()
        if self.table.grid.delimiter != ",":
            return
        named = {at: header for header, at in self.table.columns.items()}
        for header in read:
            beside = named.get(self.table.columns[header] + 1)
            if beside is None or self.table.meanings[beside].role == "amount":
                continue
            texts = self._values(beside).astype("str").str.strip()
            cents = texts.str.fullmatch(r"\d{1,3}(?:\.\d+)?\s*(?:€|euros?|EUR)?").fillna(False).astype("bool")
            known = not re.search(_NUMERIC, words(beside)) or beside.startswith("colonne ")
            if cents.any() and (known or not cents.all()):
                row = texts.index[cents][0]
                self.missing.append(
                    f"la ligne {row + 1} : « {texts[row]} » à droite du montant, des centimes décalés ?"
                )

    def _currency(self) -> str:
        """The one currency that a header, a column or the signs in the cells say."""
        amounts = self.table.role("amount")
        found = {self.table.meanings[header].currency for header in amounts} - {""}
        for header in self.table.role("currency"):
            codes = {str(value).strip().upper() for value in self._values(header)}
            found |= {
                {"€": "EUR", "EURO": "EUR", "EUROS": "EUR", "£": "GBP"}.get(code, code) for code in codes
            }
        for header in amounts if not found else []:
            texts = (
                self._values(header).map(lambda value: value if isinstance(value, str) else "").astype("str")
            )
            signs = {"EUR": r"€|\beuros?\b", **SIGNS}
            found |= {
                code for code, sign in signs.items() if texts.str.contains(sign, regex=True, case=False).any()
            }
        shown = doubts.shown_currencies(self._formats())
        found = found or shown
        for sign in sorted(sign for sign in shown if not re.fullmatch("[A-Z]{3}", sign)):
            self.missing.append(f"la monnaie : le format des montants montre « {sign} »")
        around = doubts.currencies(self._titles()) | shown
        if around and not found:
            found = around
        elif around - found:
            self.missing.append(
                f"la monnaie : {', '.join(sorted(around | found))} selon l'endroit du fichier"
            )
        english = any(re.search(r"\b(amount|paid|award\w*|grants?)\b", words(header)) for header in amounts)
        if english and not found:
            self.missing.append("la monnaie : les en-têtes sont en anglais et rien ne la dit")
        if len(found) > 1:
            self.missing.append(f"la monnaie : {', '.join(sorted(found))} dans le même fichier")
        if found and found != {"EUR"} and len(found) == 1:
            code = next(iter(found))
            self.notes.append(Note("READ-CURRENCY", "alert", f"Montants en {code}, non convertis."))
        return next(iter(sorted(found)), "EUR")

    def _formats(self) -> list[str]:
        """The number formats of the columns of amounts, as far as the file tells."""
        formats = self.table.grid.formats
        at = [self.table.columns[header] for header in self.table.role("amount")]
        return [one for column in at for one in formats.get(column, ())]

    def _refuse_units(self, amounts: list[ColumnRead]) -> None:
        """Thousands, millions or cents said anywhere but in the header of the amount."""
        if any(column.unit != 1 for column in amounts):
            return
        filled = self.filled.loc[sorted(self.skipped)].sum(axis="columns")
        thin = self.body.loc[filled.index[filled < 3]].to_numpy().ravel()
        skipped = [str(value) for value in thin if isinstance(value, str)]
        elsewhere = [
            str(value)
            for grid in self.others
            for value in grid.values.iloc[:200].to_numpy().ravel()
            if isinstance(value, str) and re.search(r"\ben (?:milliers|k ?€|k ?euros)", value, re.IGNORECASE)
        ]
        found = doubts.unit([*self._titles(), *skipped, *elsewhere, self.table.grid.sheet, self.path.stem])
        found = found or doubts.shown_unit(self._formats())
        amounts_at = {self.table.columns[column.header] for column in amounts}
        for header, at in self.table.columns.items():
            if not found and at not in amounts_at:
                found = (
                    doubts.unit([header])
                    if self.table.meanings[header].role == "" and len(header) < 40
                    else None
                )
                found = found or doubts.unit_alone(pd.unique(self._values(header))[:50])
        if found:
            self.missing.append(f"l'unité des montants : « {found} » est écrit hors de leur en-tête")

    def _refuse_other_lines(self, columns: list[ColumnRead]) -> None:
        """Lines that another column says refused, cancelled, lent or guaranteed: they are not grants."""
        read = {column.header: column.role for column in columns}
        for header in self.table.columns:
            role = read.get(header, "")
            if role in {
                "amount",
                "recipient",
                "funder",
                "recipient_id",
                "funder_id",
                "places",
                "date",
                "year",
            }:
                continue
            values = self._values(header)
            refused = doubts.not_granted(words(header), values)
            other = doubts.other_kind(values) if role != "kind" else None
            if refused and role != "title":
                self.missing.append(f"« {header} » dit « {refused} » : faut-il compter ces lignes ?")
            elif other and role not in {"title", "axis", "programme"}:
                self.missing.append(f"« {header} » dit « {other} » : est-ce la forme de l'aide ?")
            elif role not in {"kind", "stage"} and (stages := doubts.stages_told(values)):
                self.missing.append(f"« {header} » distingue « {stages} » : quelles lignes compter ?")
            elif role != "kind":
                self._tell_other_lines(header, values)

    def _tell_other_lines(self, header: str, values: pd.Series) -> None:
        """Told of the lines whose free words speak of a refusal, a loan, a guarantee: a person looks at them."""
        rows = values.index[[doubts.speaks_of_other(str(value)) for value in values]]
        if len(rows):
            said = str(values[rows[0]])[:60]
            self.notes.append(
                _about_rows(
                    "READ-OTHER-LINE",
                    "alert",
                    rows,
                    f"dit « {said} » (« {header} ») : comptée comme les autres, à vérifier",
                    f"parlent d'un refus, d'un prêt ou d'une garantie (« {header} » : « {said} »…) : comptées, à vérifier",
                )
            )

    def _refuse_named_otherwise(self, amounts: list[ColumnRead]) -> None:
        """A title, a sheet's name or the row over a section that speaks of loans, guarantees, refusals, receipts."""
        if any(column.kind for column in amounts) or "kind" in {
            one.role for one in self.table.meanings.values()
        }:
            return
        data = self.filled.index[~self.filled.index.isin(self.skipped)]
        over = [row for row in sorted(self.skipped) if row + 1 in data]
        sections = [self._words_of(row) for row in over if self.filled.loc[row].sum() == 1]
        decided = all(column.stage for column in amounts)
        for text in [*self._titles(), *sections, self.table.grid.sheet, self.path.stem]:
            if len(text) < 100 and doubts.named_otherwise(text, decided):
                self.missing.append(
                    f"« {text.strip()[:60]} » : ces montants sont-ils des subventions accordées ?"
                )
                return

    def _refuse_struck(self) -> None:
        """Lines struck through: crossed out by the one who keeps the workbook."""
        rows = [
            row for row in self.filled.index if row in self.table.grid.struck_rows and row not in self.skipped
        ]
        if rows:
            listed = ", ".join(str(row + 1) for row in rows[:5])
            self.missing.append(
                f"les lignes barrées ({listed}{'…' if len(rows) > 5 else ''}) : faut-il les compter ?"
            )

    def _skip_numbered(self) -> None:
        """The rows of column numbers under the header."""
        rows = list(doubts.numbered(self.body))
        if rows:
            self.skipped |= set(rows)
            self.notes.append(
                _about_rows(
                    "READ-NOT-DATA",
                    "info",
                    pd.Index(rows),
                    "numérote les colonnes",
                    "numérotent les colonnes",
                )
            )

    # -- the other facts

    def _fact_columns(self) -> list[ColumnRead]:
        columns = []
        for role in _ONE_EACH:
            for number, header in enumerate(
                sorted(self.table.role(role), key=lambda h: not self.table.meanings[h].field)
            ):
                values = self._values(header)
                if values.empty:
                    self.ignored[header] = "colonne vide"
                elif role == "recipient_id":
                    columns.append(ColumnRead(header, role))
                elif number and any(column.role == role for column in columns):
                    self.ignored[header] = "une autre colonne le dit déjà"
                    if role == "recipient":
                        self._refuse_second_list(
                            header, next(one.header for one in columns if one.role == role)
                        )
                elif role == "kind" and not _kinds(values):
                    self.ignored[header] = "ne dit pas la forme de l'aide (numéraire, nature, prêt)"
                elif role == "stage" and not _stages(values):
                    self.ignored[header] = "ne dit pas l'étape (accordé, versé)"
                elif (
                    role == "year"
                    and not values.map(lambda value: french.year_of(str(value)) is not None).mean() > 0.9
                ):
                    self.ignored[header] = "ne se lit pas comme une année"
                else:
                    columns.append(ColumnRead(header, role))
        roles = {column.role for column in columns}
        for header, said in self.table.meanings.items():
            if "kind" not in roles and said.role in ("", "kind") and doubts.all_kinds(self._values(header)):
                columns.append(ColumnRead(header, "kind"))
                self.ignored.pop(header, None)
                roles.add("kind")
        if "year" in roles and "date" in roles:
            late = [column.header for column in columns if column.role == "date"]
            columns = [column for column in columns if column.role != "date"]
            self.ignored |= dict.fromkeys(late, "l'année a sa colonne")
        return columns

    def _refuse_second_list(self, header: str, read: str) -> None:
        """The same header over other recipients, with amounts between: two lists side by side."""
        at, first = self.table.columns[header], self.table.columns[read]
        between = [one for one in self.table.role("amount") if first < self.table.columns[one] < at]
        alike = words(self._header_text(at)) == words(self._header_text(first))
        if alike and between and self._values(header).tolist() != self._values(read).tolist():
            self.missing.append(f"« {header} » : une seconde liste à côté de la première ?")

    def _tell_undated(self, columns: list[ColumnRead], year: int | None) -> None:
        """Told of amounts that no year bears: the breakdowns by year will not hold them."""
        dated = [column for column in columns if column.role in {"year", "date"}]
        if year or any(column.year for column in columns):
            return
        if not dated:
            text = "Aucune année : ni colonne, ni titre, ni nom de fichier ne la dit ; les montants restent non datés."
            self.notes.append(Note("READ-UNDATED", "alert", text))
            return
        money = [self.table.columns[column.header] for column in columns if column.role == "amount"]
        at = [self.table.columns[column.header] for column in dated]
        bare = self.filled[money].any(axis="columns") & ~self.filled[at].any(axis="columns")
        rows = self.filled.index[bare & ~self.filled.index.isin(self.skipped)]
        if len(rows):
            self.notes.append(
                _about_rows(
                    "READ-UNDATED", "alert", rows, "a un montant sans année", "ont un montant sans année"
                )
            )

    def _stage(self, amounts: list[ColumnRead]) -> str:
        """The stage that the standard, a title or the file name says; empty, and told, when nothing does."""
        if self.standard:
            return "awarded"
        if any(_stages(self._values(header)) for header in self.table.role("stage")):
            return ""
        if all(column.stage for column in amounts):
            return ""
        said = words(" ".join([self.path.stem, self.table.grid.sheet, *self._titles()]))
        found = [
            stage
            for stage, pattern in (
                ("paid", rf"\b({PAID_WORDS})\b"),
                ("awarded", r"\b(attrib\w+|accord\w+|vot\w+|octroy\w+|conventions?)\b"),
            )
            if re.search(pattern, said)
        ]
        if len(found) == 1:
            label = schema.STAGE_LABELS[found[0]]
            self.notes.append(
                Note("READ-STAGE", "info", f"Étape lue dans le titre ou le nom du fichier : {label}.")
            )
            return found[0]
        self.notes.append(
            Note(
                "READ-STAGE",
                "alert",
                "Le fichier ne dit pas si les montants sont votés ou versés : étape laissée vide.",
            )
        )
        return ""

    def _titles(self) -> list[str]:
        above = self.table.grid.values.iloc[: self.table.header[0] - 1]
        return [str(value) for value in above.to_numpy().ravel() if not _blank(value)]

    def _year(self, columns: list[ColumnRead]) -> int | None:
        if any(column.role in {"year", "date"} or column.year for column in columns):
            return None
        found: dict[int, str] = {}
        for where, texts in (
            (
                "le titre",
                [text for text in self._titles() if re.search(r"[^\W\d_]{3}|^\s*\d{4}(?:\.0)?\s*$", text)],
            ),
            ("le nom de la feuille", [self.table.grid.sheet]),
            ("le nom du fichier", [self.table.grid.member or self.path.stem]),
        ):
            years = {year for text in texts for year in doubts.years_of(text)}
            if len(years) == 1:
                found.setdefault(years.pop(), where)
        sections = {
            year: row
            for row in sorted(self.skipped)
            if self.filled.loc[row].sum() == 1
            for year in doubts.years_of(self._words_of(row))
        }
        if sections.keys() - found.keys():
            year, row = next((year, row) for year, row in sections.items() if year not in found)
            self.missing.append(
                f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : l'année des lignes qui suivent ?"
            )
        if len(found) > 1:
            told = french.listing(f"{year} selon {where}" for year, where in found.items())
            self.notes.append(Note("READ-YEAR", "alert", f"Année laissée vide : {told}."))
        if len(found) != 1:
            return None
        year, where = next(iter(found.items()))
        self.notes.append(Note("READ-YEAR", "info", f"Année lue dans {where} : {year}."))
        return year


_NUMERIC = (  # headers under which whole numbers of one to three digits are at home
    r"\b(code|n|no|num|numero|dep|departement|dept|insee|cp|postal|nombre|nb|taux|pourcentage|pct|age|mois|jour|annee|an|"
    r"chapitre|article|fonction|sous fonction|section|classe|rang|ordre|id|identifiant|ref|reference|duree|canton|axe|"
    r"version|lot|tranche|note|effectif|adherents|quantite|number|count)\b|%"
)
_TOTAL = re.compile(
    r"\s*(?:s ?/ ?t\b|(?:sous|s)?[-/ ]*t ?o ?t ?a ?(?:l|ux)\b|montant total\b|(?:ensemble|cumul|somme)\s*:?\s*$)|.*\btotal\s*:?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_PART = re.compile(r"[\W_]*(?:dont|y compris|soit|incl|inclus|including|of which)\b", re.IGNORECASE)
_EXACT_TOTAL = re.compile(r"\s*(?:sous[- ]?)?total(?: g[ée]n[ée]ral)?\s*:?\s*$", re.IGNORECASE)
_PLAIN_TOTAL = re.compile(
    r"\s*(?:sous)?[-/ ]*t ?o ?t ?a ?(?:l|ux)(?: g[ée]n[ée]ra(?:l|ux)| partiel| global| des (?:subventions|montants|aides)"
    r"(?: (?:vers|attribu|accord|vot)[ée]e?s)?)?(?: en| pour)?\s*(?:\d{4})?\s*:?\s*(?:€|en euros)?\s*",
    re.IGNORECASE,
)


def _digits(values: pd.Series) -> pd.Series:
    """Whether each cell holds a digit."""
    if values.dtype == "str":
        return values.str.contains("[0-9]", regex=True, na=False)
    return values.map(lambda value: not _blank(value) and bool(re.search(r"\d", str(value)))).astype("bool")


def _lettered(values: pd.Series) -> pd.Series:
    """The texts that hold a letter, the other values missing."""
    if values.dtype != "str":
        values = values.map(lambda value: value if isinstance(value, str) else None).astype("str")
    return values.where(values.str.contains(r"[^0-9\W_]", regex=True, na=False))


def _matching(texts: pd.Series, pattern: re.Pattern[str]) -> pd.Series:
    """Whether each text begins as the pattern does; each distinct one is tried once."""
    codes, distinct = pd.factorize(texts)
    found = np.array([*(bool(pattern.match(text)) for text in distinct), False])
    return pd.Series(found[codes], index=texts.index)


def _kinds(values: pd.Series) -> bool:
    """Whether a column tells cash from kind: at least half of its cells are words of kinds."""
    return bool(values.map(lambda value: closed_word(str(value), KIND_WORDS) is not None).mean() >= 0.5)


def _stages(values: pd.Series) -> bool:
    """Whether every cell of a column is a word of stages."""
    return len(values) > 0 and bool(values.map(lambda value: str(value).lower().strip() in STAGE_WORDS).all())


def _standard(table: _Table) -> str:
    """The standard that the headers follow, if they do."""
    fields = {one.field for one in table.meanings.values() if one.field}
    joined = {words(header) for header in table.columns}
    if any(header.startswith("recipient org") for header in joined) and any(
        header.startswith("amount awarded") for header in joined
    ):
        return GRANTS_360
    amount = any(one.role == "amount" for one in table.meanings.values())
    return SCDL if amount and len(fields) >= 6 and {"nomBeneficiaire", "nomAttribuant"} & fields else ""


def _about_rows(code: str, severity: str, rows: pd.Index, one: str, several: str) -> Note:
    """« Ligne 12 répète l'en-tête », « 21 lignes répètent l'en-tête (12, 40…) »."""
    numbers = [str(row + 1) for row in rows[:5]]
    if len(rows) == 1:
        return Note(code, severity, f"La ligne {numbers[0]} {one}.", f"A{numbers[0]}")
    rest = "…" if len(rows) > 5 else ""
    return Note(code, severity, f"{french.number(len(rows))} lignes {several} ({', '.join(numbers)}{rest}).")
