"""The lines of a table that are no grants, or not one more: what their words, their place and their repetition say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ess_analysis import french, schema
from ess_analysis.delimited import Note
from ess_analysis.open_data import currencies, doubts
from ess_analysis.open_data.amounts import Amounts
from ess_analysis.open_data.headers import stages_of, words
from ess_analysis.open_data.lines import about_rows, numbered_rows
from ess_analysis.sources import ColumnRead

DATED = r"\b(dates?|periode|annees?|exercice|saison|financial year)\b"
_REFERENCE = (
    r"\b(reference|ref|dossier|convention|deliberation|delib|decision|identifiant|id|identifier|numero)\b"
)
_FACTS = {"amount", "recipient", "funder", "recipient_id", "funder_id", "places", "date", "year"}


class Grants(Amounts):
    """The grants of a table being understood, told from its other lines."""

    def _refuse_other_lines(self, columns: list[ColumnRead]) -> None:
        """Lines that another column says refused, cancelled, lent or guaranteed: they are not grants."""
        read = {column.header: column.role for column in columns}
        euros = (self._euros(header)[0] for header, role in read.items() if role == "amount")
        granted = {row for one in euros for row in one.index[one.ne(0) & one.notna()]}
        self._refuse_names(read, granted)
        for header in self.table.columns:
            role = read.get(header, "")
            if role in _FACTS:
                continue
            values = self._values(header)
            values = values[values.index.isin(granted)]  # a refusal without an amount counts nothing
            if question := self._question(header, role, values, len(granted)):
                self.missing.append(f"« {header} » {question}")
            elif role != "kind":
                self._tell_other_lines(header, values)

    def _question(self, header: str, role: str, values: pd.Series, lines: int) -> str:
        """What is asked of a column that says of its `lines` that they are no grants, or not one more; empty for another."""
        said, form = words(header), "est-ce la forme de l'aide ?"
        means_kind = self.table.meanings[header].role == "kind"
        if role != "title" and (refused := doubts.not_granted(said, values)):
            listed = numbered_rows(values.index[values.isin(refused)])
            return f"dit « {' », « '.join(refused[:4])} » ({listed}) : faut-il compter ces lignes ?"
        if codes := doubts.coded(said, values, lines):
            return f"dit « {' », « '.join(codes[:5])} » : quelles lignes sont accordées ?"
        if spent := doubts.other_spending(said, values):
            return f"dit « {spent} » : est-ce une subvention ?"
        if versions := doubts.versions(said, values):
            return f"(« {versions} ») : ces montants s'ajoutent-ils ou se remplacent-ils ?"
        if role == "programme" and (lent := doubts.lent(values)):
            return f"dit « {lent} » : {form}"
        if role not in {"title", "axis", "programme", "kind"} and (
            other := doubts.other_kind(values, means_kind)
        ):
            return f"dit « {other} » : {form}"
        if role == "kind" and (unknown := doubts.unknown_kind(values)):
            return f"dit « {unknown} » : {form}"
        if role not in {"kind", "stage"} and (stages := doubts.stages_told(values)):
            return f"distingue « {stages} » : quelles lignes compter ?"
        return ""

    def _refuse_names(self, read: Mapping[str, str], granted: set[int]) -> None:
        """Names that are nobody's, that say that their line is no grant, or that are those of envelopes and totals."""
        for name, values in self._names_said(read, granted):
            if said := doubts.nobodys_grant(values):
                self.missing.append(f"« {name} » dit « {said} » : faut-il compter ces lignes, et pour qui ?")
            elif read[name] == "recipient":
                if undone := doubts.undone(values):
                    self.missing.append(f"« {name} » dit « {undone} » : est-ce une subvention accordée ?")
                self._refuse_headings(name, values)
                self._refuse_nameless(read, granted)

    def _refuse_headings(self, header: str, values: pd.Series) -> None:
        """Envelopes and totals among the recipients, that are not the sum of their lines."""
        named = values[
            values.map(lambda value: isinstance(value, str) and doubts.may_head(value)).astype("bool")
        ]
        for row, value in zip(named.index.tolist(), named.tolist(), strict=True):
            beside = [self.body.at[row, at] for one, at in self.table.columns.items() if one != header]
            if doubts.heading(value, beside):
                self.missing.append(
                    f"la ligne {row + 1}, « {value[:60]} » : une enveloppe ou un total, ou un bénéficiaire ?"
                )
                return

    def _refuse_nameless(self, read: Mapping[str, str], granted: set[int]) -> None:
        """Amounts beside an axis, or a programme, and nobody: what is set aside for it, over the lines of those who receive."""
        about = {
            self.table.columns[one] for one, role in read.items() if role in {"axis", "programme", "amount"}
        }
        filled = self.filled[self.filled.index.isin(granted)]
        beside = filled[[at for at in filled if at not in about]].any(axis="columns")
        rows = filled.index[~beside & filled.sum(axis="columns").gt(1)]
        if len(rows) and beside.mean() > 0.5:
            row = int(rows[0])
            self.missing.append(
                f"la ligne {row + 1}, « {self._words_of(row)[:60]} » : un montant sans bénéficiaire, une enveloppe ?"
            )

    def _refuse_repeated(self, columns: list[ColumnRead]) -> None:
        """The same money on several lines: one for each stage, or each year, of a grant."""
        money = [column.header for column in columns if column.role == "amount"]
        named = [column.header for column in columns if column.role in {"recipient", "title", "programme"}]
        if len(money) != 1 or not named:
            return
        euros = self._euros(money[0])[0].dropna()
        cells = self._cells_beside(euros)
        whose = pd.Series("", index=euros.index)
        for header in named:
            whose = whose + "\x1f" + cells[header].astype("str").fillna("")
        if whose.duplicated(keep=False).mean() <= 0.9:
            return
        for header in [one for one in cells if one not in {*money, *named}]:
            if doubts.told_each_time(whose, euros, cells[header]):
                seen = " », « ".join(dict.fromkeys(cells[header].astype("str").head(3)))
                self.missing.append(
                    f"« {header} » (« {seen} ») : chaque bénéficiaire y a le même montant à chaque valeur ; "
                    f"faut-il le compter une seule fois ?"
                )
                return

    def _tell_repeated(self, columns: list[ColumnRead]) -> None:
        """Told of the lines that are another one of the same reference, but for a date: payments of one grant."""
        money = [column.header for column in columns if column.role == "amount"]
        dates = {one for one in self.table.columns if re.search(DATED, words(one))}
        known = [one for one in self.table.columns if re.search(_REFERENCE, words(one))]
        if len(money) != 1 or not dates or not known or not self.whole:
            return
        euros = self._euros(money[0])[0].dropna()
        cells = self._cells_beside(euros)
        others = [cells[one] for one in cells if one not in {*money, *dates}]
        alike = pd.concat([*others, euros], axis="columns").astype("str").duplicated()
        alike &= ~pd.concat(cells.values(), axis="columns").astype("str").duplicated()
        rows = alike.index[alike & cells[known[0]].notna()]
        if len(rows):
            worth = french.money(euros[rows].sum(), currency=self.currency)
            one, several = (
                f"{verb} une autre, à une autre date, pour {worth} : versements d'une même subvention ?"
                for verb in ("répète", "répètent")
            )
            self.notes.append(about_rows("READ-REPEATED", "alert", rows, one, several))

    def _cells_beside(self, euros: pd.Series) -> dict[str, pd.Series]:
        """The cells of each column, on the rows of these amounts."""
        return {header: self.body[at].reindex(euros.index) for header, at in self.table.columns.items()}

    def _names_said(self, read: Mapping[str, str], granted: set[int]) -> Iterator[tuple[str, pd.Series]]:
        """The columns read as givers and recipients, on the lines that hold an amount."""
        for header, role in read.items():
            if role in {"funder", "recipient", "title"}:
                values = self._values(header)
                yield header, values[values.index.isin(granted)]

    def _tell_other_lines(self, header: str, values: pd.Series) -> None:
        """Told of the lines whose free words speak of a refusal, a loan, a guarantee: a person looks at them."""
        codes, distinct = pd.factorize(values)
        spoken = np.array([*(doubts.speaks_of_other(str(value)) for value in distinct), False])
        rows = values.index[spoken[codes]]
        if len(rows):
            said = str(values[rows[0]])[:60]
            self.notes.append(
                about_rows(
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
        rows = [row for row in self._sections() if len(data) and row < data[-1]]  # a footnote heads nothing
        sections = [self._words_of(row) for row in rows]
        decided = all(column.stage for column in amounts)
        told = [stages for text in [*self._titles(), *sections] if len(stages := stages_of(text)) == 1]
        if any(len(stages_of(text)) == 1 for text in sections) and len(set.union(*told)) > 1:
            listed = french.listing(schema.STAGE_LABELS[stage] for stage in sorted(set.union(*told)))
            self.missing.append(f"les titres des parties distinguent {listed} : quelles lignes compter ?")
        legends = [text for row in self._sections() if doubts.explains_signs(text := self._words_of(row))]
        for text in [*self._titles(), *sections, *legends, self.table.grid.sheet, self.path.stem]:
            if len(text) < 100 and doubts.named_otherwise(text, decided):
                self.missing.append(
                    f"« {text.strip()[:60]} » : ces montants sont-ils des subventions accordées ?"
                )
                return

    def _sections(self) -> list[int]:
        """The rows left out that hold one cell: headings, remarks."""
        alone = self.filled.sum(axis="columns").eq(1) & self.filled.index.isin(self.skipped)
        return [int(row) for row in self.filled.index[alone]]

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

    def _refuse_comments(self) -> None:
        """What is noted beside a cell may change what its line is: asked where its words say so, told otherwise."""
        grid, first = self.table.grid, self.table.header[0] - 1
        noted = {
            at: text
            for at, text in sorted(grid.comments.items())
            if at[0] >= first and at[0] not in self.skipped
        }
        for at, text in noted.items():
            if doubts.named_otherwise(text, True) or doubts.speaks_of_other(text) or currencies.unit([text]):
                self.missing.append(
                    f"le commentaire de {grid.address(*at)}, « {text[:80]} » : que change-t-il ?"
                )
                return
        body = {at: text for at, text in noted.items() if at[0] >= self.table.header[1]}
        if body:
            at, text = next(iter(body.items()))
            told = f"{french.counted(len(body), 'commentaire')} de cellule, à lire ({grid.address(*at)} : « {text[:80]} »)."
            self.notes.append(Note("READ-COMMENT", "alert", told, grid.address(*at)))
