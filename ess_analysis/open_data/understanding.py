"""Grids → the source sheet that a person would write for them, where the file leaves no doubt.

What is understood is a SourceSheet like any other: the same code then reads it. What is not certain stops,
with what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ess_analysis import french, schema
from ess_analysis.delimited import Note
from ess_analysis.grids import Grid
from ess_analysis.load.words import STAGE_WORDS, kind_of
from ess_analysis.open_data import doubts, scdl
from ess_analysis.open_data.choosing import Table, the_table
from ess_analysis.open_data.grants import DATED, Grants
from ess_analysis.open_data.headers import IN_KIND_WORDS, PAID_WORDS, Meaning, words
from ess_analysis.open_data.lines import about_rows, digits, lettered
from ess_analysis.sources import ColumnRead, SourceSheet, TableRead

SCDL, GRANTS_360 = "SCDL", "360Giving"
_ONE_EACH = ("recipient", "funder", "title", "programme", "year", "date", "axis", "places", "kind", "stage",
             "recipient_id", "funder_id")  # fmt: skip
_OTHER_YEAR = r"creation|agrement|naissance|fondation|labellisation|adhesion|debut|fin|demande|depot|construction|derniere"


@dataclass(frozen=True)
class Understood:
    """How a file is read: its source sheet, the grid of its table, what is told."""

    sheet: SourceSheet
    grid: Grid
    notes: tuple[Note, ...] = ()
    missing: tuple[str, ...] = ()  # what only a person can say; nothing is read while there is any


def understand(path: Path, grids: Iterable[Grid], sheet: str | None = None, whole: bool = True) -> Understood:
    """How the file is read. `missing` says what it does not tell; DataError when it holds no table at all.

    Without `whole`, the grids are the head of a file: nothing is told of its rows.
    """
    grids = list(grids)
    table, notes = the_table(path, grids, sheet)
    return _Reading(
        path, table, list(notes), whole, others=[grid for grid in grids if grid is not table.grid]
    ).understood()


class _Reading(Grants):
    """The understanding of one table, step by step; each step adds what it found to the notes or to `missing`."""

    standard = ""

    def understood(self) -> Understood:
        self._skip_numbered()
        self._sort_givers()
        self._years_by_content()
        self._dates_of_payment()
        self.standard = _standard(self.table)
        self._amounts_by_content()
        self._keep_total()
        self._refuse_headers()
        self.currency = self._currency()
        amounts = self._amount_columns()
        columns = [*self._fact_columns(), *amounts]
        self._refuse_units(amounts)
        self._refuse_yearly(amounts)
        self._refuse_other_lines(columns)
        self._refuse_named_otherwise(amounts)
        self._refuse_repeated(columns)
        self._tell_repeated(columns)
        self._refuse_struck()
        self._refuse_comments()
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
        self._tell_recipients(columns)
        read = TableRead(
            id="T",
            title=self.path.stem,
            sheet=grid.name if self.others else grid.sheet,
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

    def _fact_columns(self) -> list[ColumnRead]:
        columns = []
        for role in _ONE_EACH:
            for number, header in enumerate(
                sorted(self.table.role(role), key=lambda h: _rank(self.table.meanings[h]))
            ):
                values = self._values(header)
                if values.empty:
                    self.ignored[header] = "colonne vide"
                elif role == "recipient_id":
                    columns.append(ColumnRead(header, role))
                elif number and any(column.role == role for column in columns):
                    self.ignored[header] = "une autre colonne le dit déjà"
                    read = next(one.header for one in columns if one.role == role)
                    if role == "recipient" and self._completes(header, read):
                        columns.append(ColumnRead(header, role))
                        self.ignored.pop(header)
                    elif role == "recipient":
                        self._refuse_second_list(header, read)
                    elif role == "date":
                        self._tell_other_dates(header, read)
                elif role == "kind" and not _kinds(values):
                    self.ignored[header] = "ne dit pas la forme de l'aide (numéraire, nature, prêt)"
                elif role == "stage" and not _stages(values):
                    self.ignored[header] = "ne dit pas l'étape (accordé, versé)"
                elif (
                    role == "year"
                    and not values.isin([one for one in pd.unique(values) if french.year_of(str(one))]).mean()
                    > 0.9
                ):
                    self.ignored[header] = "ne se lit pas comme une année"
                else:
                    columns.append(ColumnRead(header, role))
        roles = {column.role for column in columns}
        for header, said in self.table.meanings.items():
            spoken = (
                said.role in ("", "kind") and said.why != IN_KIND_WORDS
            )  # « Prestations en nature » is told beside the grant
            if "kind" not in roles and spoken and doubts.all_kinds(self._values(header)):
                columns.append(ColumnRead(header, "kind"))
                self.ignored.pop(header, None)
                roles.add("kind")
        if "year" in roles and "date" in roles:
            late = [column.header for column in columns if column.role == "date"]
            columns = [column for column in columns if column.role != "date"]
            self.ignored |= dict.fromkeys(late, "l'année a sa colonne")
        return columns

    def _completes(self, header: str, read: str) -> bool:
        """Whether a column names those that another leaves blank, and no other: organisations, then individuals."""
        own, first = self._values(header).index, self._values(read).index
        return len(own) > 0 and own.intersection(first).empty

    def _sort_givers(self) -> None:
        """Giver and recipient told by their values, where the same words are said of both (« attributaire »).

        A name alike on every line is the giver's if another varies; identifiers that are names are the recipients.
        """
        meanings = dict(self.table.meanings)
        for role, giver in (("recipient", "funder"), ("recipient_id", "funder_id")):
            cells = {header: self._values(header) for header in self.table.role(role)}
            named = {header: values for header, values in cells.items() if len(values)}
            alike = [header for header, values in named.items() if len(values) > 1 and values.nunique() == 1]
            if len(alike) == len(named):
                continue
            for header in alike:
                taken = any(said.role == giver for said in meanings.values())
                meanings[header] = Meaning(why="le même à chaque ligne") if taken else Meaning(giver)
        if not self.table.role("recipient"):
            for header in self.table.role("recipient_id"):
                if not digits(self._values(header)).mean() > 0.2:
                    meanings[header] = Meaning("recipient")
        if "recipient" not in {said.role for said in meanings.values()}:
            for header in self.table.role("funder"):
                values = self._values(header)
                if words(header).startswith("collectivite") and values.nunique() * 2 > len(values) > 1:
                    meanings[header] = Meaning("recipient")
        self.table = replace(self.table, meanings=meanings)

    def _years_by_content(self) -> None:
        """A column whose header speaks of a year, and that holds nothing but years, is the year."""
        if self.table.role("year"):
            return
        for header, said in self.table.meanings.items():
            if not said.role and re.search(
                r"\b(annee|exercice)\b(?!.*\b(" + _OTHER_YEAR + r")\b)", words(header)
            ):
                values = self._values(header).astype("str").str.removesuffix(".0")
                if len(values) and values.str.fullmatch(r"(?:19|20)\d\d").all():
                    self.table = replace(
                        self.table, meanings={**self.table.meanings, header: Meaning("year")}
                    )
                    return

    def _dates_of_payment(self) -> None:
        """The date of payment is the date of what was paid, and of what no other date bears."""
        meant = self.table.meanings
        paid = {said.stage for said in meant.values() if said.role == "amount" and not said.kind} == {"paid"}
        others = [header for role in ("date", "year") for header in self.table.role(role)]
        for header, said in meant.items():
            payment = re.fullmatch(
                r"date (?:(?:de |du |d )?(?:versement|paiement|mandat|mandatement))", words(header)
            )
            if not payment or (others and not paid):
                continue
            days = set(self._values(header).astype("str"))
            if days and all(map(french.year_of, days)):
                why = Meaning(why="la date du versement est lue")
                dated = {one: why for one in others if one != header and meant[one].role == "date"}
                self.table = replace(
                    self.table, meanings={**meant, **dated, header: replace(said, role="date", why="")}
                )
                return

    def _tell_recipients(self, columns: list[ColumnRead]) -> None:
        """Told where no column is read as the recipient's name, with the texts left out."""
        if any(column.role == "recipient" for column in columns):
            return
        texts = [header for header in self.ignored if lettered(self._values(header)).notna().mean() > 0.5]
        left = f" ; laissées de côté : « {' », « '.join(texts[:6])} »" if texts else ""
        self.notes.append(
            Note("READ-NO-RECIPIENT", "alert", f"Aucune colonne n'est reconnue comme le bénéficiaire{left}.")
        )

    def _tell_other_dates(self, header: str, read: str) -> None:
        """Told where a second column of dates gives other years than the one read."""
        years = [self._values(one).astype("str").map(french.year_of).dropna() for one in (header, read)]
        both = years[0].index.intersection(years[1].index)
        rows = both[(years[0][both] != years[1][both]).to_numpy()]
        if len(rows):
            one, several = (
                f"{verb} une autre année selon « {header} » que selon « {read} », lue"
                for verb in ("a", "ont")
            )
            self.notes.append(about_rows("READ-TWO-DATES", "alert", rows, one, several))

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
            left = [one for one in self.ignored if re.search(DATED, words(one))]
            cells = (str(value) for one in left for value in self._values(one).head(1))
            why = (
                f"« {' », « '.join(left)} » n'est pas lu comme l'année de la décision (« {next(cells, '')} »)"
                if left
                else "ni colonne, ni titre, ni nom de fichier ne la dit"
            )
            text = f"Aucune année : {why} ; les montants restent non datés."
            self.notes.append(Note("READ-UNDATED", "alert", text))
            return
        money = [self.table.columns[column.header] for column in columns if column.role == "amount"]
        at = [self.table.columns[column.header] for column in dated]
        bare = self.filled[money].any(axis="columns") & ~self.filled[at].any(axis="columns")
        rows = self.filled.index[bare & ~self.filled.index.isin(self.skipped)]
        if len(rows):
            self.notes.append(
                about_rows(
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
                ("planned", r"\b(previsionnel\w*|prevue?s?)\b"),
            )
            if re.search(pattern, said)
        ]
        if len(found) == 1:
            label = schema.STAGE_LABELS[found[0]]
            self.notes.append(
                Note("READ-STAGE", "info", f"Étape lue dans le titre ou le nom du fichier : {label}.")
            )
            return found[0]
        if found and any(column.year for column in amounts):  # « versées (2024 : prévisionnel) »
            told = french.listing(schema.STAGE_LABELS[stage] for stage in found)
            self.missing.append(f"l'étape de chaque année : le titre dit à la fois {told}")
        self.notes.append(
            Note(
                "READ-STAGE",
                "alert",
                "Le fichier ne dit pas si les montants sont votés ou versés : étape laissée vide.",
            )
        )
        return ""

    def _year(self, columns: list[ColumnRead]) -> int | None:
        if any(column.role in {"year", "date"} or column.year for column in columns):
            return None
        found: dict[int, str] = {}
        for where, texts in (
            ("le titre", self._title_rows()),
            ("le nom de la feuille", [self.table.grid.sheet]),
            ("le nom du fichier", [self.table.grid.member or self.path.stem]),
        ):
            years = {year for text in texts for year in doubts.years_of(text)}
            if len(years) == 1:
                found.setdefault(years.pop(), where)
        sections = {year: row for row in self._sections() for year in doubts.years_of(self._words_of(row))}
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


def _rank(said: Meaning) -> tuple[bool, bool]:
    """Which of the columns of one role is read first: that of the standard, then the one that says it best."""
    return not said.field, not said.sure


def _kinds(values: pd.Series) -> bool:
    """Whether a column tells cash from kind: at least half of its cells are words of kinds."""
    return bool(values.map(lambda value: kind_of(str(value)) is not None).mean() >= 0.5)


def _stages(values: pd.Series) -> bool:
    """Whether every cell of a column is a word of stages."""
    return len(values) > 0 and bool(values.map(lambda value: str(value).lower().strip() in STAGE_WORDS).all())


def _standard(table: Table) -> str:
    """The standard that the headers follow, if they do."""
    fields = {one.field for one in table.meanings.values() if one.field}
    joined = {words(header) for header in table.columns}
    if any(header.startswith("recipient org") for header in joined) and any(
        header.startswith("amount awarded") for header in joined
    ):
        return GRANTS_360
    amount = any(one.role == "amount" for one in table.meanings.values())
    return SCDL if amount and len(fields) >= 6 and {"nomBeneficiaire", "nomAttribuant"} & fields else ""
