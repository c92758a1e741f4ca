"""The rows of a table: which are data, and which are titles, headers repeated, totals or remarks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.delimited import Note
from ess_analysis.grids import Grid
from ess_analysis.load.amounts import distinct_amounts
from ess_analysis.load.headers import in_brackets
from ess_analysis.open_data import doubts
from ess_analysis.open_data.choosing import Table, blank, filled
from ess_analysis.open_data.headers import meaning, words
from ess_analysis.totals import TOTAL

_PART = re.compile(r"[\W_]*(?:dont|y compris|soit|incl|inclus|including|of which)\b", re.IGNORECASE)
_EXACT_TOTAL = re.compile(r"\s*(?:sous[- ]?)?total(?: g[ée]n[ée]ral)?\s*:?\s*$", re.IGNORECASE)
_PLAIN_TOTAL = re.compile(
    r"\s*(?:sous|sub|grand)?[-/ ]*t ?o ?t ?a ?(?:ls?|ux)(?: g[ée]n[ée]ra(?:l|ux)| partiel| global| des (?:subventions|montants|aides)"
    r"(?: (?:vers|attribu|accord|vot)[ée]e?s)?)?(?: en| pour)?\s*(?:\d{4})?\s*:?\s*(?:€|en euros)?\s*",
    re.IGNORECASE,
)


_NAMING = ("recipient", "title", "axis", "programme")


class Lines:
    """A table being understood: its rows, those left out, what is told and what is asked; each step adds to them."""

    def __init__(
        self, path: Path, table: Table, notes: list[Note], whole: bool = True, others: Iterable[Grid] = ()
    ) -> None:
        self.others = list(others)
        self.path, self.table, self.notes, self.whole = path, table, notes, whole
        self.missing: list[str] = []
        self.ignored: dict[str, str] = {}
        self.skipped: set[int] = set()
        self.section_rows = ""
        body = table.body
        self.body = body.set_axis(pd.RangeIndex(table.header[1], table.header[1] + len(body)), axis=0)
        self.filled = pd.DataFrame({at: filled(self.body[at]) for at in self.body})
        self.decimal, self.currency = "", "EUR"
        said = (value for header in table.role("amount") for value in pd.unique(self._values(header)))
        self.no_amount = tuple(
            dict.fromkeys(str(value).strip() for value in said if doubts.says_no_amount(value))
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

    def _header_text(self, at: int) -> str:
        value = self.table.grid.values.iat[self.table.header[1] - 1, at]
        return "" if blank(value) else str(value)

    @cached_property
    def _labels(self) -> dict[int, str]:
        """The words of each row: its texts, in order."""
        rows = zip(*(self.body[at].tolist() for at in self.body), strict=True)
        words_of = (" · ".join(one for one in row if isinstance(one, str) and one.strip()) for row in rows)
        return dict(zip(self.body.index.tolist(), words_of, strict=True))

    def _words_of(self, row: int) -> str:
        return self._labels[row]

    def _titles(self) -> list[str]:
        """The cells above the header."""
        above = self.table.grid.values.iloc[: self.table.header[0] - 1]
        return [str(value) for value in above.to_numpy().ravel() if not blank(value)]

    def _title_rows(self) -> list[str]:
        """The rows above the header, as they are read: « Exercice : 2013 », « Enveloppe : 2010 € »."""
        above = self.table.grid.values.iloc[: self.table.header[0] - 1]
        rows = (
            " ".join(str(value).removesuffix(".0") for value in row if not blank(value))
            for row in above.to_numpy()
        )
        return [row for row in rows if row]

    def _skip_numbered(self) -> None:
        """The rows of column numbers under the header."""
        rows = list(doubts.numbered(self.body))
        if rows:
            self.skipped |= set(rows)
            self.notes.append(
                about_rows(
                    "READ-NOT-DATA",
                    "info",
                    pd.Index(rows),
                    "numérote les colonnes",
                    "numérotent les colonnes",
                )
            )

    def _skip_repeated_headers(self, named: list[str]) -> None:
        """Rows that repeat the header inside the data; their own words may give the axis of what follows."""
        if not named:
            return
        at = self.table.columns[named[0]]
        written = words(self._header_text(at))
        wordy = self.body[at][self.filled[at] & (~digits(self.body[at]) | bool(re.search(r"\d", written)))]
        rows = wordy.index[[words(str(value)) == written for value in wordy]]
        other = [row for row in rows if not self._repeats_header(row)]
        if other:
            self.missing.append(f"la ligne {other[0] + 1} : l'en-tête d'une seconde table, sous la première")
        if not len(rows):
            return
        self.skipped |= set(rows)
        self.notes.append(
            about_rows("READ-HEADER-REPEATED", "info", rows, "répète l'en-tête", "répètent l'en-tête")
        )
        heads = self.body.loc[rows].to_numpy().tolist()
        if not self.table.role("axis") and all(map(in_brackets, heads)):
            self.section_rows = "header"

    def _repeats_header(self, row: int) -> bool:
        """Whether the cells of a row are the header's own, words in brackets apart; it may name one more column."""
        said = {int(str(at)): _bare(value) for at, value in self.body.loc[row].items() if not blank(value)}
        return all(text == _bare(self._header_text(at)) for at, text in said.items() if self._header_text(at))

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
        sums = set().union(*(doubts.vertical_sums(self.table.grid.formulas, at) for at in amounts))
        formulas = [row for row, at in self.table.grid.formulas if at in amounts and row not in sums]
        alone &= ~self.filled.index.isin([*covered, *formulas])  # such an amount is refused where it is read
        if self.filled.shape[1] < 2 or not alone.any():
            return
        rows = self.filled.index[alone]
        self.skipped |= set(rows)
        data = self.filled.index[self.filled[amounts].any(axis="columns")]
        heads = len(data) > 0 and bool(
            (rows < data[-1]).any()
        )  # what they say of the lines under them is not read
        first = self.body.loc[rows[0]]
        text = str(next(value for value in first if not blank(value)))[:120]
        self.notes.append(
            about_rows(
                "READ-NOT-DATA",
                "alert" if heads else "info",
                rows,
                f"n'est pas une donnée (« {text} »)",
                f"ne sont pas des données (« {text} »…)",
            )
        )

    def _values_rows(self, amounts: list[int]) -> list[int]:
        """The rows of two cells or more whose amounts are words or blanks, where a header could stand."""
        wordy = pd.Series(True, index=self.body.index)
        for at in amounts:
            wordy &= ~digits(self.body[at])
        several = self.filled.sum(axis="columns").gt(1)
        rows = self.body.index[wordy & several & ~self.body.index.isin(self.skipped)]
        return [int(row) for row in rows[:2000]]

    def _skip_totals(self, read: list[str]) -> None:
        """Rows that add up others: told by their words and by their sum, together."""
        amounts = {self.table.columns[header] for header in self.table.role("amount")}
        at = [
            column
            for header, column in self.table.columns.items()
            if column not in amounts and not doubts.derived(words(header))
        ]
        for header in read:
            euros = self._euros(header)[0].dropna()
            texts = {one: lettered(self.body[one].loc[euros.index]) for one in at}
            totals = {one: _matching(texts[one], TOTAL) for one in at}
            worded = _how_many((texts[one].notna() for one in at), euros.index)
            said = _how_many(totals.values(), euros.index)
            filled = _how_many((self.filled[one].loc[euros.index] for one in at), euros.index)
            few = filled.le(max(1.0, filled.median() / 2 if len(filled) else 0))
            alone = said.gt(0) & worded.eq(said) & (few | said.eq(len(at)))
            labels = pd.Series(None, index=euros.index, dtype="str")
            for one in at:  # the first that says « total »; a fill along rows would go row by row
                if totals[one].any():
                    labels = labels.where(labels.notna(), texts[one].where(totals[one]))
            exact = _how_many((_matching(texts[one], _EXACT_TOTAL) for one in at), euros.index).gt(0)
            labels = labels.where(labels.notna() | ~exact, "Total")
            self._judge_totals(
                header, euros, alone | filled.eq(0) | exact, labels.reindex(euros.index), filled
            )
            first = pd.Series([self._words_of(row) for row in euros.index], index=euros.index, dtype="str")
            named = [self.table.columns[one] for role in _NAMING for one in self.table.role(role)]
            parts = _matching(first, _PART)
            for one in named:  # a remark in a column of comments details nothing
                parts |= _matching(texts[one], _PART) if one in texts else False
            if parts.any():
                listed = numbered_rows(parts.index[parts])
                self.missing.append(
                    f"« dont… » ({listed}) : le détail d'une autre ligne, ou un montant de plus ?"
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
        self.missing += asked.values()
        left = cents[~cents.index.isin([*found, *asked])]
        self._skip_families(left, filled)
        listed = left[~left.index.isin(self.skipped)]
        if gap and gap[1] != int(listed.sum()):
            self._told_gap(header, *gap)
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
            about_rows(
                "READ-TOTAL",
                "info",
                pd.Index(rows),
                "est un total : elle n'est pas comptée",
                "sont des totaux : elles ne sont pas comptées",
            )
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

    def _skip_families(self, cents: pd.Series, filled: pd.Series) -> None:
        """Rows that each add up those beside them, over the whole table: sections if they are bare, asked if not."""
        cents = cents[cents.ne(0)]
        rows = doubts.parents(cents) or doubts.parents(cents, below=False)
        if not rows:
            apart = self._apart(filled.loc[cents.index])
            if (row := doubts.sums_beside(cents, apart)) is not None:
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
                f"les lignes {listed} : chacune est la somme de ses voisines ; lesquelles compter ?"
            )

    def _apart(self, filled: pd.Series) -> set[int]:
        """The rows that look like headings: emptier than the others, or the few in capitals."""
        labels = {int(row): self._words_of(row) for row in filled.index}
        loud = [row for row, label in labels.items() if doubts.of_many(label)]
        loud = loud or [row for row, label in labels.items() if doubts.in_capitals(label)]
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
            first = filled.index[:1]  # a total that comes first ends nothing
            under = last is not None and bool((first < last).any())
            after = [row for row in filled.index if under and last is not None and row > last]
            after = after if len(after) < max(4, len(filled) / 10) else []
        for row in list(dict.fromkeys([*after, *named, *doubts.thin_tail(filled)]))[:3]:
            self.missing.append(
                f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : bien moins remplie que les autres, est-ce une donnée ?"
            )


def _bare(text: object) -> str:
    """The words of a header without those in brackets."""
    return words(re.sub(r"\([^()]*\)", "", str(text)))


def digits(values: pd.Series) -> pd.Series:
    """Whether each cell holds a digit."""
    if values.dtype == "str":
        return values.str.contains("[0-9]", regex=True, na=False)
    return values.map(lambda value: not blank(value) and bool(re.search(r"\d", str(value)))).astype("bool")


def lettered(values: pd.Series) -> pd.Series:
    """The texts that hold a letter, the other values missing."""
    if values.dtype != "str":
        values = values.map(lambda value: value if isinstance(value, str) else None).astype("str")
    return values.where(values.str.contains(r"[^0-9\W_]", regex=True, na=False))


def _matching(texts: pd.Series, pattern: re.Pattern[str]) -> pd.Series:
    """Whether each text begins as the pattern does; each distinct one is tried once."""
    codes, distinct = pd.factorize(texts)
    found = np.array([*(bool(pattern.match(text)) for text in distinct), False])
    return pd.Series(found[codes], index=texts.index)


def _how_many(columns: Iterable[pd.Series], rows: pd.Index) -> pd.Series:
    """In how many of the columns each row is true; added outside pandas, which would align each of them."""
    nothing = np.zeros(len(rows), dtype="int64")
    return pd.Series(sum((column.to_numpy(dtype="int64") for column in columns), nothing), index=rows)


def numbered_rows(rows: pd.Index) -> str:
    """« ligne 12 », « lignes 12, 40… »: as a person counts them."""
    numbers = [str(row + 1) for row in rows]
    listed = ", ".join(numbers[:12]) + ("…" if len(numbers) > 12 else "")
    return f"{'ligne' if len(numbers) == 1 else 'lignes'} {listed}"


def about_rows(code: str, severity: str, rows: pd.Index, one: str, several: str) -> Note:
    """« Ligne 12 répète l'en-tête », « 21 lignes répètent l'en-tête (12, 40…) »."""
    numbers = [str(row + 1) for row in rows[:5]]
    if len(rows) == 1:
        return Note(code, severity, f"La ligne {numbers[0]} {one}.", f"A{numbers[0]}")
    rest = "…" if len(rows) > 5 else ""
    return Note(code, severity, f"{french.number(len(rows))} lignes {several} ({', '.join(numbers)}{rest}).")
