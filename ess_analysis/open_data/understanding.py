"""Grids → the source sheet that a person would write for them, where the file leaves no doubt.

What is understood is a SourceSheet like any other: the same code then reads it. What is not certain stops,
with what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
)
from ess_analysis.open_data import scdl
from ess_analysis.open_data.headers import Meaning, meaning, words
from ess_analysis.sources import ColumnRead, SourceSheet, TableRead

HEADER_WITHIN = 60  # rows: a header further down is not looked for
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

    @property
    def body(self) -> pd.DataFrame:
        return self.grid.values.iloc[self.header[1] :]

    def role(self, role: str) -> list[str]:
        return [header for header, said in self.meanings.items() if said.role == role]


def understand(path: Path, grids: Iterable[Grid], sheet: str | None = None, whole: bool = True) -> Understood:
    """How the file is read. `missing` says what it does not tell; DataError when it holds no table at all.

    Without `whole`, the grids are the head of a file: nothing is told of its rows.
    """
    table, notes = _the_table(path, list(grids), sheet)
    return _Reading(path, table, list(notes), whole).understood()


# --- Which sheet, which header -------------------------------------------------------------------


def _the_table(path: Path, grids: list[Grid], sheet: str | None) -> tuple[_Table, list[Note]]:
    if sheet is not None:
        named = [grid for grid in grids if grid.sheet == sheet]
        if not named:
            raise DataError(
                f"Feuille absente : « {sheet} » dans {path.name}.",
                seen=[grid.sheet for grid in grids],
                todo="choisissez l'une de ces feuilles avec --sheet.",
            )
        grids = named
    found = [table for grid in grids if (table := _table_of(grid)) and not _is_pivot(table)]
    tables = [table for table in found if _has_amounts(table)]
    if found and not tables:
        raise DataError(
            f"Aucun montant sous l'en-tête : {path.name}.",
            seen=[", ".join(table.role("amount")) for table in found],
            todo="vérifiez que le fichier contient des lignes.",
        )
    notes: list[Note] = []
    seen = [table for table in tables if not table.grid.hidden]
    for table in tables:
        if seen and table.grid.hidden:
            notes.append(
                Note("READ-HIDDEN", "alert", f"Feuille masquée « {table.grid.sheet} » : elle n'est pas lue.")
            )
    tables = seen or tables
    kept: list[_Table] = []
    for table in tables:
        twin = next((other for other in kept if _same(other, table)), None)
        if twin is None:
            kept.append(table)
        else:
            message = f"La feuille « {table.grid.sheet} » répète les lignes de « {twin.grid.sheet} » : lue une seule fois."
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
    return kept[0], notes


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
    for row in range(min(HEADER_WITHIN, len(grid.values))):
        if grid.values.iloc[row].map(_blank).sum() > grid.values.shape[1] - 1:
            continue
        for first in {row, max(row - 1, 0)} if _spans(grid, row - 1) else {row}:
            table = _headed(grid, (first + 1, row + 1))
            known = sum(bool(one.role or one.field) for one in table.meanings.values())
            score = (known, not _headed_again(table))
            if table.role("amount") and known >= 2 and (best is None or score > best[0]):
                best = (score, table)
    return best[1] if best else None


def _headed_again(table: _Table) -> bool:
    """Whether the line under the header still names amounts: it is the lower level of the header."""
    below = table.body.iloc[:1]
    texts = [str(value) for header in table.role("amount") for value in below[table.columns[header]]]
    return any(meaning(text).role == "amount" for text in texts)


def _blank(value: object) -> bool:
    return value is None or value != value or str(value).strip() == ""


def _filled(values: pd.Series) -> pd.Series:
    """Whether each cell holds something."""
    if values.dtype == "str":
        return values.str.strip().ne("") & values.notna()
    return ~values.map(_blank).astype("bool")


def _spans(grid: Grid, row: int) -> bool:
    """Whether a cell of the row is merged over several columns: the upper level of a header."""
    return any(r1 <= row <= r2 and c2 > c1 for r1, c1, r2, c2 in grid.merged)


def _headed(grid: Grid, header: tuple[int, int]) -> _Table:
    columns = header_columns(grid, header)
    names = {name: (name if len(name) <= 160 else "") for name in columns}
    return _Table(grid, header, columns, {name: meaning(said) for name, said in names.items()})


def _is_pivot(table: _Table) -> bool:
    """Whether the table is a spreadsheet's summary of another."""
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

    def __init__(self, path: Path, table: _Table, notes: list[Note], whole: bool = True) -> None:
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

    def understood(self) -> Understood:
        self.currency = self._currency()
        amounts = self._amount_columns()
        columns = [*self._fact_columns(), *amounts]
        stage = self._stage(amounts)
        grid, table = self.table.grid, self.table
        for header in table.columns:
            if header not in {column.header for column in columns}:
                self.ignored.setdefault(header, table.meanings[header].why)
        fields: dict[str, str] = {}
        for header, said in table.meanings.items():
            if said.field and said.field not in fields.values():
                fields[header] = said.field
        main = [column.header for column in amounts if not column.kind]
        if self.standard == SCDL and "montant" not in fields.values() and len(main) == 1:
            fields[main[0]] = "montant"
        read = TableRead(
            id="T",
            title=self.path.stem,
            sheet=grid.sheet,
            header=table.header,
            record_kind="project",
            stage=stage,
            year=self._year(columns),
            columns=tuple(columns),
            ignored=self.ignored,
            skip_lines=tuple(row + 1 for row in sorted(self.skipped)),
            doubts="report",
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
        if self.standard == SCDL and self.whole:
            self._tell_scdl(fields, amounts)
        return Understood(sheet, grid, tuple(self.notes), tuple(self.missing))

    def _tell_scdl(self, fields: Mapping[str, str], amounts: list[ColumnRead]) -> None:
        """How the rows depart from the standard, and the grants that several recipients share."""
        rows = self.filled.index[self.filled.any(axis="columns") & ~self.filled.index.isin(self.skipped)]
        grid, columns = self.table.grid, self.table.columns
        self.notes += scdl.departures(grid, columns, fields, rows)
        if amounts:
            self.notes += scdl.shared(grid, columns, fields, rows, self._euros(amounts[0].header)[0])

    # -- amounts

    def _values(self, header: str) -> pd.Series:
        """The cells of a column on the rows that may be data."""
        column = self.body[self.table.columns[header]]
        return column[self.filled[self.table.columns[header]] & ~column.index.isin(self.skipped)]

    def _euros(self, header: str) -> tuple[pd.Series, pd.Series]:
        """The amounts of a column by row, and which cells cannot be read."""
        values = self._values(header)
        codes, distinct = pd.factorize(values)
        read = distinct_amounts(
            distinct, self.decimal, unit=self.table.meanings[header].unit, currency=self.currency
        )
        several = np.isin(codes, list(read.several))
        return pd.Series(read.euros[codes], index=values.index), pd.Series(
            read.unread[codes] | several, index=values.index
        )

    def _amount_columns(self) -> list[ColumnRead]:
        table = self.table
        named = [header for header in table.role("amount") if len(self._values(header))]
        for header in table.role("amount"):
            if header not in named:
                self.ignored[header] = "colonne vide"
        self._skip_repeated_headers(named)
        self.decimal = self._decimal(named)
        self._skip_lines_apart(named)
        read: list[str] = []
        for header in named:
            values = self._values(header)
            if values.empty:
                continue
            unread = self._euros(header)[1].mean()
            if unread > 0.2:
                if not table.meanings[header].kind:
                    if table.meanings[header].sure:
                        self.missing.append(
                            f"« {header} » : {unread:.0%} des cellules ne se lisent pas comme des montants"
                        )
                self.ignored[header] = "texte, sans montant"
            elif table.meanings[header].sure:
                read.append(header)
            else:
                self.ignored[header] = "peut-être un montant : l'en-tête ne le dit pas assez"
        unsure = [header for header, why in self.ignored.items() if why.startswith("peut-être")]
        if not read:
            self.missing.append(
                "la colonne des montants" + (f" (« {' », « '.join(unsure)} » ?)" if unsure else "")
            )
        self._skip_totals(read)
        read = self._without_sums(read)
        self._refuse_rivals(read)
        self._refuse_shift(read)
        return [self._column(header) for header in read]

    def _column(self, header: str) -> ColumnRead:
        said = self.table.meanings[header]
        return ColumnRead(header, "amount", stage=said.stage, kind=said.kind, year=said.year, unit=said.unit)

    def _skip_repeated_headers(self, named: list[str]) -> None:
        """Rows that repeat the header inside the data; their own words may give the axis of what follows."""
        if not named:
            return
        at = self.table.columns[named[0]]
        written = words(self._header_text(at))
        texts = self.body[at].map(lambda value: words(str(value)) if isinstance(value, str) else "")
        rows = texts.index[texts.eq(written) & texts.ne("")]
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

    def _header_text(self, at: int) -> str:
        value = self.table.grid.values.iat[self.table.header[1] - 1, at]
        return "" if _blank(value) else str(value)

    def _decimal(self, named: list[str]) -> str:
        """The decimal sign that the amounts themselves settle, empty where nothing needs it."""
        texts = pd.concat([self._values(header) for header in named]) if named else pd.Series(dtype="object")
        texts = pd.Series(pd.unique(texts[texts.map(lambda value: isinstance(value, str))]), dtype="str")
        bare = texts.str.replace(r"[\s\u00a0\u202f]|€|eur\w*", "", regex=True, case=False)
        doubtful = bare.str.fullmatch(r"[-−(]?[1-9]\d{0,2}[.,]\d{3}\)?").any()
        if not doubtful:
            return ""
        comma = bare.str.fullmatch(
            r"[-−(]?(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{1,3}(?:\.\d{3}){2,})\)?"
        ).any()
        point = bare.str.fullmatch(r"[-−(]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,})\)?").any()
        long = bare.str.fullmatch(r"[-−(]?(?:0|\d{4,})\.\d{3}|\d+\.\d{4,}").any()
        if comma and not point and not long:
            return ","
        if (point or long) and not comma:
            return "."
        self.missing.append(
            f"le signe décimal : « {next(iter(texts[bare.str.fullmatch(r'[1-9][0-9]{0,2}[.,][0-9]{3}')]), '')} » se lit de deux façons"
        )
        return ""

    def _skip_lines_apart(self, named: list[str]) -> None:
        """Rows of one cell without an amount: titles of sections, footers, dates of extraction."""
        amounts = [self.table.columns[header] for header in named]
        count = self.filled.sum(axis="columns")
        alone = (
            count.eq(1) & ~self.filled[amounts].any(axis="columns") & ~self.filled.index.isin(self.skipped)
        )
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

    def _skip_totals(self, read: list[str]) -> None:
        """Rows that add up others: told by their words and by their sum, together."""
        amounts = {self.table.columns[header] for header in self.table.role("amount")}
        at = [column for column in self.table.columns.values() if column not in amounts]
        for header in read:
            euros = self._euros(header)[0].dropna()
            texts = pd.DataFrame(
                {one: _lettered(self.body[one].loc[euros.index]) for one in at}, index=euros.index
            )
            totals = texts.apply(lambda column: column.str.match(_TOTAL).fillna(False).astype("bool"))
            labelled, worded = totals.any(axis="columns"), texts.notna().sum(axis="columns")
            filled = self.filled.loc[euros.index, at].sum(axis="columns")
            few = filled.le(max(1.0, filled.median() / 2 if len(filled) else 0))
            alone = labelled & worded.eq(totals.sum(axis="columns")) & (few | totals.all(axis="columns"))
            labels = pd.Series(None, index=euros.index, dtype="str")
            for one in at:  # the first that says « total »; a fill along rows would go row by row
                labels = labels.where(labels.notna(), texts[one].where(totals[one]))
            self._judge_totals(header, euros, alone | filled.eq(0), labels.reindex(euros.index))
            parts = texts.apply(lambda column: column.str.match(r"\s*dont\s").fillna(False)).any(
                axis="columns"
            )
            if parts.any():
                row = parts.index[parts][0]
                self.missing.append(
                    f"la ligne {row + 1}, « dont… » : le détail d'une autre ligne, ou un montant de plus ?"
                )

    def _judge_totals(self, header: str, euros: pd.Series, candidates: pd.Series, labels: pd.Series) -> None:
        """The candidates that are the sum of the rows above, of their part or of its totals are left out."""
        cents = (euros * 100).round().astype("int64")
        rows = candidates.index[candidates]
        running = cents.where(~candidates, 0).cumsum()
        found: list[int] = []
        since, totals = 0, 0
        for row in rows:
            value, above = int(cents[row]), int(running[row])
            part, first = above - since, not found and above == 0
            label = labels[row] if isinstance(labels[row], str) else ""
            if not first and value in {part, above, totals}:
                found.append(row)
            elif not first and _PLAIN_TOTAL.fullmatch(label):
                found.append(row)
                self._told_gap(row, header, value, above, part)
            elif label:
                self.missing.append(f"la ligne {row + 1}, « {label} » : total ou bénéficiaire ?")
            else:
                self.missing.append(
                    f"la ligne {row + 1} : un montant sans aucun mot, qui n'est la somme d'aucune autre"
                )
            totals += value if value != totals else 0
            since = above
        last = euros.index[-1] if len(euros) else None
        if last is not None and last not in set(rows) and len(euros) > 3 and cents[last]:
            if int(cents[last]) * 2 == int(running.iloc[-1]):
                self.missing.append(
                    f"la ligne {last + 1} : son montant est la somme de tous les autres ; un total ?"
                )
        if found:
            self.skipped |= set(found)
            self.notes.append(
                _about_rows(
                    "READ-TOTAL",
                    "info",
                    pd.Index(found),
                    "est un total : elle n'est pas comptée",
                    "sont des totaux : elles ne sont pas comptées",
                )
            )

    def _told_gap(self, row: int, header: str, value: int, everything: int, since: int) -> None:
        cell = self.table.grid.address(row, self.table.columns[header])
        message = (
            f"Total annoncé {french.euros(value / 100)} en {cell}, qui n'est ni la somme des lignes "
            f"({french.euros(everything / 100)}) ni celle de sa partie ({french.euros(since / 100)})."
        )
        self.notes.append(Note("READ-TOTAL-GAP", "alert", message, cell))

    def _without_sums(self, read: list[str]) -> list[str]:
        """The amount columns, those that only add up the others left out."""
        frames = pd.DataFrame({header: self._euros(header)[0] for header in read})
        if len(read) < 2:
            return read
        money = [header for header in read if not self.table.meanings[header].kind]
        for header in money:
            others = [other for other in money if other != header]
            if not others:
                continue
            total, parts = frames[header], frames[others].sum(axis="columns", min_count=1)
            both = total.notna() & parts.notna()
            if (
                both.mean() > 0.9
                and ((total - parts).abs()[both] < 0.005).all()
                and (len(others) > 1 or "total" in words(header))
            ):
                self.ignored[header] = "somme des autres colonnes"
                return [one for one in read if one != header]
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
        told: dict[tuple[object, ...], str] = {}
        for header in read:
            said = self.table.meanings[header]
            key = (said.stage, said.kind, said.year, said.section)
            if key in told:
                self.missing.append(f"lequel est le montant : « {told[key]} » ou « {header} » ?")
            told[key] = header

    def _refuse_shift(self, read: list[str]) -> None:
        """A decimal comma without quotes, in a file cut at commas, pushes its cents into the next column."""
        if self.table.grid.delimiter != ",":
            return
        named = {at: header for header, at in self.table.columns.items()}
        for header in read:
            beside = named.get(self.table.columns[header] + 1)
            if beside is None:
                continue
            texts = self._values(beside).astype("str").str.strip()
            cents = texts.str.fullmatch(r"\d{1,3}(?:\.\d+)?\s*(?:€|euros?|EUR)?").fillna(False).astype("bool")
            known = beside.startswith("colonne ") or self.table.meanings[beside].role in {
                "kind",
                "title",
                "recipient",
                "funder",
            }
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
        if len(found) > 1:
            self.missing.append(f"la monnaie : {', '.join(sorted(found))} dans le même fichier")
        if found and found != {"EUR"} and len(found) == 1:
            code = next(iter(found))
            self.notes.append(Note("READ-CURRENCY", "alert", f"Montants en {code}, non convertis."))
        return next(iter(sorted(found)), "GBP" if self.standard == GRANTS_360 else "EUR")

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
        if "year" in roles and "date" in roles:
            late = [column.header for column in columns if column.role == "date"]
            columns = [column for column in columns if column.role != "date"]
            self.ignored |= dict.fromkeys(late, "l'année a sa colonne")
        return columns

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
                ("paid", r"\b(vers\w+|mandat\w+|paye\w*)\b"),
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
        for where, text in (
            ("le titre", " ".join(self._titles())),
            ("le nom de la feuille", self.table.grid.sheet),
            ("le nom du fichier", self.table.grid.member or self.path.stem),
        ):
            years = set(re.findall(r"(?<!\d)(?:19[89]\d|20[0-4]\d)(?!\d)", text))
            if len(years) == 1:
                year = int(years.pop())
                self.notes.append(Note("READ-YEAR", "info", f"Année lue dans {where} : {year}."))
                return year
        return None


_TOTAL = re.compile(
    r"\s*(?:(?:sous|s)?[-/ ]*t ?o ?t ?a ?(?:l|ux)\b|montant total\b|(?:ensemble|cumul|somme)\s*:?\s*$)|.*\btotal\s*:?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_PLAIN_TOTAL = re.compile(
    r"\s*(?:sous)?[-/ ]*t ?o ?t ?a ?(?:l|ux)(?: g[ée]n[ée]ra(?:l|ux)| partiel| global| des (?:subventions|montants|aides)"
    r"(?: (?:vers|attribu|accord|vot)[ée]e?s)?)?(?: en| pour)?\s*(?:\d{4})?\s*:?\s*(?:€|en euros)?\s*",
    re.IGNORECASE,
)


def _lettered(values: pd.Series) -> pd.Series:
    """The texts that hold a letter, the other values missing."""
    texts = values.map(lambda value: value if isinstance(value, str) else None).astype("str")
    return texts.where(texts.str.contains(r"[^\W\d_]", regex=True, na=False))


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
