"""The body of a table: its rows, apart from its headers, its totals and its section titles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.grids import Grid
from ess_analysis.load.cells import position, text_at, text_of, texts_of
from ess_analysis.load.headers import header_text, headers_of, in_brackets
from ess_analysis.sources import AMOUNT_ROLES, ColumnRead, SourceSheet, TableRead, TotalRead


@dataclass(frozen=True)
class Body:
    """The rows of a table being read: positions of its columns, of its rows, of its total row."""

    grid: Grid
    table: TableRead
    sheet: SourceSheet
    source: str
    columns: dict[str, int]  # header → column
    rows: pd.Index
    total_row: int | None
    texts: Mapping[int, pd.Series]  # column → its texts, merged cells carried to the rows they cover
    sections: pd.Series  # axis given by section rows

    def text(self, column: int) -> pd.Series:
        """The texts of a column on the data rows; blanks are missing."""
        return self.texts[column].loc[self.rows]

    def cells(self, column: int) -> pd.Series:
        """The addresses of a column on the data rows."""
        letters = re.sub(r"\d", "", self.grid.address(0, column))
        return letters + pd.Series(self.rows + 1, index=self.rows).astype("str")

    def role(self, role: str) -> list[tuple[ColumnRead, int]]:
        """The declared columns of a role, with their positions."""
        found = [(read, self.columns[read.header]) for read in self.table.columns]
        return [(read, at) for read, at in found if role in (read.role, read.also)]

    def covered(self, column: int) -> set[int]:
        """The rows that a merged cell of the column covers, its first row apart."""
        spans = [(r1, r2) for r1, c1, r2, c2 in self.grid.merged if c1 <= column <= c2 and r2 > r1]
        return {row for r1, r2 in spans for row in range(r1 + 1, r2 + 1)}

    def said(self, what: str) -> str:
        """What is wrong, and in which table."""
        return f"{what} : {self.source}, feuille « {self.grid.sheet} », table {self.table.id}"

    @property
    def strict(self) -> bool:
        """Whether a cell that cannot be read stops the reading."""
        return self.table.doubts == "stop"


def body_of(grid: Grid, table: TableRead, sheet: SourceSheet, source: str) -> Body:
    """The body of a table of a grid; DataError on rows that the source sheet leaves doubtful."""
    columns = headers_of(grid, table, sheet, source)
    end = len(grid.values) if table.last_row is None else table.last_row
    values = grid.values.iloc[table.header[1] : end]
    values = values.set_axis(pd.RangeIndex(table.header[1], table.header[1] + len(values)), axis=0)
    filled = pd.DataFrame({c: values[c].notna() & ~values[c].isin(["", " ", "\u00a0"]) for c in values})
    count = filled.sum(axis="columns")
    worded = [read for read in table.columns if not {read.role, read.also} & AMOUNT_ROLES]
    texts = {columns[read.header]: texts_of(values[columns[read.header]]) for read in worded}

    def labelled(labels: Iterable[str]) -> pd.Series:
        sought = {french.nfc(label).strip() for label in labels}
        if not sought:
            return count.lt(0)
        amounts = {columns[read.header] for read in table.columns} - set(texts)
        found = [texts.get(int(str(at)), values[at]).isin(sought) for at in values if at not in amounts]
        return pd.concat(found, axis="columns").any(axis="columns") if found else count.lt(0)

    sentences = {position(sentence_cell(grid, total))[0] for total in table.totals if total.cell}
    out = count.eq(0) | (count.eq(1) & filled.index.isin(sentences))
    out |= filled.index.isin([line - 1 for line in table.skip_lines])
    is_total = ~out & labelled(total.row for total in table.totals if total.row)
    out |= is_total | labelled(table.skip_rows)
    sections = pd.Series(None, index=values.index, dtype="str")
    if table.section_rows == "header":
        repeated, sections = _repeated_headers(grid, table, columns, values)
        out |= repeated
    if table.skip_without_amount:
        amounts = [columns[read.header] for read in table.columns if read.role == "amount"]
        out |= ~filled[amounts].any(axis="columns")
    if table.section_rows == "axis":
        alone = ~out & count.eq(1)
        for text in texts.values():
            sections = sections.where(~alone | text.isna(), text)
        out |= alone & sections.notna()
        sections = sections.ffill()
    rows = values.index[~out]
    for column, text in texts.items():
        texts[column] = _carried_over_merges(text, grid, column)
    totals = values.index[is_total].tolist()
    body = Body(grid, table, sheet, source, columns, rows, totals[0] if totals else None, texts, sections)
    _refuse_doubtful_rows(body, totals, count.loc[rows])
    return body


def _repeated_headers(
    grid: Grid, table: TableRead, columns: Mapping[str, int], values: pd.DataFrame
) -> tuple[pd.Series, pd.Series]:
    """The rows that repeat the header, and the axis that the words in brackets of the last one give each row."""
    amount = next(columns[read.header] for read in table.columns if read.role == "amount")
    first = table.header[1] - 1
    repeated = texts_of(values[amount]).eq(header_text(grid, first, amount))
    heads = pd.concat([grid.values.iloc[[first]], values[repeated]])
    axis = pd.Series([in_brackets(row) for row in heads.to_numpy()], index=heads.index, dtype="str")
    return repeated, axis.reindex([first, *values.index]).ffill().loc[values.index]


def _carried_over_merges(text: pd.Series, grid: Grid, column: int) -> pd.Series:
    """The texts of a column, the one of each cell merged over several rows repeated on them."""
    spans = [
        (r1, r2) for r1, c1, r2, c2 in grid.merged if c1 <= column <= c2 and r2 > r1 and r1 in text.index
    ]
    if not spans:
        return text
    text = text.copy()
    for first, last in spans:
        text.loc[first:last] = text.at[first]
    return text


def _refuse_doubtful_rows(body: Body, totals: list[int], count: pd.Series) -> None:
    """Nothing, if the rows read are the table's and no total is among them; DataError otherwise."""
    labels = [total.row for total in body.table.totals if total.row]
    if len(totals) > 1:
        raise DataError(
            f"{body.said('Plusieurs lignes de total')}.",
            seen=[f"ligne {row + 1}" for row in totals],
            todo="gardez-en une, ou déclarez les autres dans skip_rows ou skip_lines de la fiche source.",
        )
    if labels and not totals:
        raise DataError(
            f"{body.said('Ligne de total introuvable')}.",
            seen=sorted(labels),
            todo="remettez la ligne, ou retirez [[table.total]] de la fiche source.",
        )
    if body.rows.empty:
        raise DataError(
            f"{body.said('Table vide')}.",
            seen=[f"en-tête ligne {body.table.header[0]}"],
            todo="vérifiez header dans la fiche source, ou que le fichier contient des lignes.",
        )
    for (row, column), formula in body.grid.formulas.items():
        read = row in body.rows or row == body.total_row
        if read and column in body.columns.values() and body.grid.cell(row, column) is None:
            raise DataError(
                f"{body.said('Formule sans valeur calculée')}, {body.grid.address(row, column)}.",
                seen=[formula],
                todo="ouvrez le classeur dans un tableur et enregistrez-le, ou écrivez la valeur.",
            )
    if not body.strict:
        return
    worded = pd.DataFrame({column: text.loc[body.rows] for column, text in body.texts.items()})
    unlabelled = _undeclared_totals(worded) | (worded.isna().all(axis="columns") & bool(len(worded.columns)))
    after = body.rows[body.rows > body.total_row] if body.total_row is not None else body.rows[:0]
    if body.total_row is not None and (body.rows > body.total_row).all():
        after = body.rows[:0]  # the total stands above its rows
    for what, doubtful in (
        ("Ligne de total non déclarée", body.rows[unlabelled]),
        ("Ligne sous la ligne de total", after),
    ):
        if len(doubtful):
            first = doubtful[0]
            raise DataError(
                f"{body.said(what)}, ligne {first + 1}.",
                seen=[value for value in map(text_of, body.grid.values.loc[first]) if value],
                todo="déclarez-la dans la fiche source ([[table.total]], skip_rows ou skip_lines), ou "
                "donnez-lui un intitulé si c’est une donnée.",
            )


_TOTAL_WORDS = re.compile(
    r"(sous[- ])?tota(l|ux)( général| partiel| de l['’]axe)?( \d{4})?\s*:?", re.IGNORECASE
)


def _undeclared_totals(worded: pd.DataFrame) -> pd.Series:
    """Whether a row's only words are those of a total."""
    totals = [text.dropna().map(lambda one: bool(_TOTAL_WORDS.fullmatch(one))) for _, text in worded.items()]
    said = pd.concat([one[one] for one in totals]).index if totals else worded.index[:0]
    few = worded.notna().sum(axis="columns").le(1)
    return few & worded.index.isin(said)


def sentence_cell(grid: Grid, total: TotalRead) -> str:
    """The cell of a sentence that announces a total; where rows came or went, the one that now holds it."""
    if french.amounts(text_at(grid, total.cell)):
        return total.cell
    column = re.sub(r"\d", "", total.cell)
    cells = [f"{column}{row + 1}" for row in range(min(len(grid.values), 1000))]
    moved = [
        cell
        for cell in cells
        if french.amounts(text := text_at(grid, cell))
        and re.search(rf"\d+\s+{re.escape(total.counts)}", text)
    ]
    return moved[0] if total.counts and len(moved) == 1 else total.cell
