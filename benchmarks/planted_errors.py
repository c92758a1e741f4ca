"""Errors planted one at a time in clean workbooks: which ones the reading and the checks catch, and where.

    python benchmarks/planted_errors.py --cases 100          # 100 errors of each of the 19 classes
    python benchmarks/planted_errors.py --cases 20 --only row_deleted --show missed

Each case draws a complete workbook of the shape of the note (three sheets, merged axes, totals that hold, the
same money told in three places), plants one error at a random place, reads it and checks it, in process.
What any redundancy of the workbook reveals is worked out apart, from the cells, by `revealed`: it shares no
code with the library. A case is *caught* when reading refuses the file, or when a finding appears that a
clean workbook never has (blocking, alert, place respelt); *located* when the message or the finding names
the row (for a row that is gone: the row after it).
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from random import Random

import openpyxl

ROOT = Path(__file__).resolve().parents[1]
NOTE = ROOT / "data" / "raw" / "mel_2011-2014" / "note_mel_communes.xlsx"
REFERENCE = ROOT / "data" / "raw" / "reference"

T1, A1, A2 = "Actions 2011-2014", "Annexe 1", "Annexe 2"
AMOUNTS = {T1: (3,), A1: (6,), A2: (6, 7, 8, 9, 10)}  # columns of amounts
FIRST = {T1: 4, A1: 4, A2: 5}  # first data row
COMMUNES = [
    "Anstaing", "Armentières", "Croix", "Hem", "Lannoy", "Lille", "Loos", "Marcq-en-Barœul", "Mons-en-Barœul",
    "Roubaix", "Ronchin", "Seclin", "Tourcoing", "Toufflers", "Tressin", "Wasquehal", "Wattignies", "Willems",
]  # fmt: skip
VERBS = ["Animer", "Accompagner", "Initier", "Poursuivre", "Soutenir", "Promouvoir", "Former", "Sensibiliser"]
THINGS = [
    "le réseau des acteurs", "une accorderie", "les filières du réemploi", "les porteurs de projets",
    "un pôle de coopération", "les acteurs culturels", "des coopératives", "le maraîchage biologique",
    "les salariés", "un espace de travail partagé", "une épicerie solidaire", "la mobilité douce",
]  # fmt: skip
AXES = [
    "Animation territoriale",
    "Recherche et innovation",
    "Expertise de projets",
    "Promotion",
    "Évaluation",
]


@dataclass
class Book:
    """A workbook as cells: values, formulas (the value being what was last computed), merges, hidden rows."""

    cells: dict[tuple[str, int, int], object] = field(default_factory=dict)
    formulas: dict[tuple[str, int, int], str] = field(default_factory=dict)
    merged: list[tuple[str, int, int]] = field(default_factory=list)  # sheet, first and last row, column A
    hidden: set[tuple[str, int]] = field(default_factory=set)

    def last(self, sheet: str) -> int:
        """The last data row of a sheet."""
        rows = [row for name, row, _ in self.cells if name == sheet]
        return max(rows) - {T1: 0, A1: 2, A2: 1}[sheet]

    def rows(self, sheet: str) -> range:
        """The data rows of a sheet."""
        return range(FIRST[sheet], self.last(sheet) + 1)

    def amounts(self) -> list[tuple[str, int, int]]:
        """The cells that hold an amount, totals left out."""
        return [
            (sheet, row, column)
            for sheet, columns in AMOUNTS.items()
            for row in self.rows(sheet)
            for column in columns
            if amounts_in(self.cells.get((sheet, row, column)))
        ]


# --- A clean workbook ----------------------------------------------------------------------------


def clean_book(draw: Random) -> Book:
    """A complete workbook: rows balanced, totals exact, the same money equal wherever it is told."""
    book = Book()
    as_text = draw.random() < 0.4  # « 5 000,00 € », as in the note; numbers otherwise
    with_formulas = not as_text and draw.random() < 0.7
    _delegated_actions(book, draw, as_text, with_formulas)
    of_lille = amount_of(book.cells[A2, book.last(A2) + 1, 6])
    awarded, count = _projects(book, draw, of_lille)
    _actions(book, draw, awarded, count)
    return book


def _delegated_actions(book: Book, draw: Random, as_text: bool, with_formulas: bool) -> None:
    put = book.cells
    put[A2, 1, 1] = "Annexe 2 : focus sur les actions déléguées"
    for column, text in enumerate(["Axe Lille Métropole", "N° action", "Titre de l'action"], 1):
        put[A2, 3, column] = text
    put[A2, 3, 4], put[A2, 3, 5] = "Description de l'action", "Partenaires de l'action"
    put[A2, 3, 6] = "Financement prévisionnel"
    heads = ["Lille Métropole", "Ville de Lille", "dont réalisation ville de Lille"]
    for column, text in enumerate([*heads, "dont réalisation opérateur externe", "TOTAL"], 6):
        put[A2, 4, column] = text
    titles = [f"{verb} {thing}" for verb in VERBS for thing in THINGS]
    draw.shuffle(titles)
    row, sums = FIRST[A2], [0] * 5
    for axis in draw.sample(AXES, draw.randint(3, 5)):
        size = draw.randint(2, 5)
        put[A2, row, 1] = axis
        book.merged.append((A2, row, row + size - 1))
        for number in range(1, size + 1):
            put[A2, row, 2] = str(number) if as_text else number
            put[A2, row, 3] = title = titles.pop()
            put[A2, row, 4] = f"Mise en œuvre : {title.lower()}"
            put[A2, row, 5] = "APES, CRESS, bailleurs"
            for offset, amount in enumerate(_balanced(draw)):
                if amount:
                    put[A2, row, 6 + offset] = written(amount, as_text)
                    sums[offset] += amount
            if with_formulas:
                book.formulas[A2, row, 10] = f"F{row}+G{row}"
            row += 1
    put[A2, row, 1] = "TOTAL"
    for offset, amount in enumerate(sums):
        put[A2, row, 6 + offset] = written(amount, as_text)
        if with_formulas:
            letter = "FGHIJ"[offset]
            book.formulas[A2, row, 6 + offset] = f"SUM({letter}{FIRST[A2]}:{letter}{row - 1})"


def _balanced(draw: Random) -> tuple[int, int, int, int, int]:
    """Two funders, two ways of delivery, one total; one amount of each pair may be absent."""
    first, second = draw.randint(10, 300) * 50 + draw.randint(0, 9), draw.randint(10, 300) * 50
    if draw.random() < 0.2:
        first, second = draw.choice([(first, 0), (0, second)])
    total = first + second
    own = draw.choice([total, draw.randint(1, total - 1), draw.randint(1, total // 50) * 50])
    return first, second, own, total - own, total


def _projects(book: Book, draw: Random, of_lille: Decimal) -> tuple[int, int]:
    put = book.cells
    put[A1, 1, 1] = "Annexe 1 : projets soutenus dans le cadre de l'appel à projets (2012-2013)"
    heads = ["Villes impliquées", "Territoire concerné", "Statut juridique", "Volet", "Nom du projet"]
    for column, text in enumerate([*heads, "Montant accordé"], 1):
        put[A1, 3, column] = text
    row, whole = FIRST[A1], 0
    for index in range(draw.randint(3, 7)):
        towns = ["Lille"] if index == 0 else draw.sample(COMMUNES, draw.randint(2, 5))
        put[A1, row, 1] = (
            "Ville de Lille" if index == 0 else f"Villes de {', '.join(towns[:-1])} et {towns[-1]}"
        )
        put[A1, row, 2] = "Lille métropole" if index == 0 else f"Territoire {draw.choice(['est', 'sud'])}"
        put[A1, row, 3] = "Collectivité territoriale" if index < 2 else "Association"
        put[A1, row, 4] = f"Volet {1 + index % 2}"
        put[A1, row, 5] = f"Projet {draw.choice(THINGS)}, phase {index + 1}"
        first = draw.randint(100, 9000) * 10 + draw.randint(0, 9)
        second = int(of_lille) if index == 0 else draw.choice([0, draw.randint(100, 9000) * 10])
        put[A1, row, 6] = f"{written(first, True)} (2012)" + (
            f" {written(second, True)} (2013)" if second else ""
        )
        whole += first + second
        row += 1
    count = row - FIRST[A1]
    put[A1, row + 1, 1] = f"⇒ {count} projets soutenus pour un montant global de {grouped(whole)} €."
    return whole, count


def _actions(book: Book, draw: Random, awarded: int, count: int) -> None:
    put = book.cells
    put[T1, 1, 1] = "Point sur les actions engagées par la MEL sur la période 2011-2014"
    for column, text in enumerate(
        ["Action", "Opérateur / partenaire", "Budget", "Indicateurs de résultats"], 1
    ):
        put[T1, 3, column] = text
    envelope = awarded // 1000 + draw.randint(1, 50)
    lines = [
        (
            "Questionnaire sur la mutualisation",
            "Junior Conseil",
            f"{draw.randint(5, 30)} 000 € en 2012",
            "3 réunions",
        ),
        ("Animation d'un groupe de travail", "MEL", "Moyens humains", "Réunions tous les deux mois"),
        (
            "Appel à projets aux territoires et aux communes",
            "MEL",
            f"{envelope} k€ en 2012 (enveloppe allouée)",
            f"{count} projets soutenus pour un montant global de {grouped(awarded)} €",
        ),
        ("Actions de diagnostic", "MAILLAGE", "17 k€ en 2012 18 k€ en 2013", "2 territoires diagnostiqués"),
        ("Suite du diagnostic", "ARGO", f"{draw.randint(11, 60)} k€ en 2013", "1 territoire diagnostiqué"),
        ("Forum des acteurs", "Ville de Lille", f"{draw.randint(2, 9)} 500 € en 2011", "1 forum"),
        ("Évaluation", "CRIDA", f"{draw.randint(2, 9)} 250 € en 2014", "1 rapport"),
    ]
    for row, line in enumerate(lines, FIRST[T1]):
        for column, text in enumerate(line, 1):
            put[T1, row, column] = text


def grouped(amount: int) -> str:
    """« 171 663 »."""
    return f"{amount:,}".replace(",", " ")


def written(amount: int, as_text: bool) -> object:
    """The amount as the workbook writes it: « 5 000,00 € » or a number."""
    return f"{grouped(amount)},00 €" if as_text else amount


# --- Reading a cell, apart from the library ---------------------------------------------------

_AMOUNT = re.compile(r"[-−]?\d[\d  ]*(?:,\d+)?(?=\s*(?:k?€|$))")
_YEAR = re.compile(r"(?:en |\()((?:19|20)\d\d)\)?")


def amounts_in(value: object) -> list[Decimal]:
    """The amounts of a cell, in euros; none for a text without amount."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if not isinstance(value, str):
        return [Decimal(str(value))]
    text = _YEAR.sub(";", value)
    return [
        Decimal(re.sub(r"[  ]", "", one.group()).replace(",", ".").replace("−", "-"))
        * (1000 if text[one.end() :].lstrip().startswith("k€") else 1)
        for one in _AMOUNT.finditer(text)
    ]


def amount_of(value: object) -> Decimal:
    """The one amount of a cell, zero when it is blank."""
    return next(iter(amounts_in(value)), Decimal(0))


# --- Planting one error ------------------------------------------------------------------------


@dataclass
class Planted:
    """A workbook with its error: the sheet and the rows where a reader should look."""

    book: Book
    sheet: str
    rows: frozenset[int]
    said: str


Planter = Callable[[Book, Random], Planted | None]


def _at(book: Book, place: tuple[str, int, int], value: object) -> Planted:
    before = book.cells.get(place)
    book.cells[place] = value
    book.formulas.pop(place, None)
    return Planted(book, place[0], frozenset({place[1]}), f"{cell_name(place)} : {before!r} → {value!r}")


def cell_name(place: tuple[str, int, int]) -> str:
    """« Annexe 2!G7 »."""
    return f"{place[0]}!{'ABCDEFGHIJ'[place[2] - 1]}{place[1]}"


def _rewrite(value: object, draw: Random, change: Callable[[str, Random], str | None]) -> object | None:
    """The cell with the digits of one of its amounts changed; None when the change changes nothing."""
    if not isinstance(value, str):
        changed = change(str(value), draw)
        return None if changed is None else int(changed) if changed.lstrip("-").isdigit() else float(changed)
    found = list(_AMOUNT.finditer(_YEAR.sub(lambda year: ";" * len(year.group()), value)))
    if not found:
        return None
    one = draw.choice(found)
    digits, cents = re.sub(r"[  ]", "", one.group()).partition(",")[::2]
    changed = change(digits, draw)
    if changed is None:
        return None
    whole, _, decimals = changed.partition(".")
    text = ("-" if whole.startswith("-") else "") + grouped(int(whole.lstrip("-") or 0))
    cents = decimals or cents
    return value[: one.start()] + text + ("," + cents if cents else "") + value[one.end() :]


def _changed_digit(digits: str, draw: Random) -> str | None:
    at = draw.randrange(len(digits))
    new = draw.choice([d for d in "0123456789" if d != digits[at] and not (at == 0 and d == "0")])
    return digits[:at] + new + digits[at + 1 :]


def _swapped_digits(digits: str, draw: Random) -> str | None:
    able = [
        i for i in range(len(digits) - 1) if digits[i] != digits[i + 1] and not (i == 0 and digits[1] == "0")
    ]
    if not able:
        return None
    at = draw.choice(able)
    return digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]


def _shifted_decimal(digits: str, draw: Random) -> str | None:
    if draw.random() < 0.5:
        return digits + "0"
    return f"{int(digits) / 10:.2f}" if int(digits) % 10 else digits[:-1]


def _amount_error(change: Callable[[str, Random], str | None]) -> Planter:
    def plant(book: Book, draw: Random) -> Planted | None:
        place = draw.choice(book.amounts())
        value = _rewrite(book.cells[place], draw, change)
        return None if value is None or value == book.cells[place] else _at(book, place, value)

    return plant


def _total_changed(book: Book, draw: Random) -> Planted | None:
    totals = [(A2, book.last(A2) + 1, column) for column in AMOUNTS[A2]]
    place = draw.choice([*totals, (A1, book.last(A1) + 2, 1), (T1, 6, 4)])
    value = book.cells[place]
    if place[0] == A2:
        changed = _rewrite(value, draw, _changed_digit)
    else:
        amount = re.search(r"\d[\d ]*(?= €)", str(value))
        new = _changed_digit(amount.group().replace(" ", ""), draw) if amount else None
        changed = amount and new and str(value).replace(amount.group(), grouped(int(new)))
    return None if changed in (None, value) else _at(book, place, changed)


def _text_for_number(book: Book, draw: Random) -> Planted | None:
    places = [place for place in book.amounts() if place[0] != T1]
    return _at(
        book, draw.choice(places), draw.choice(["à préciser", "cinq mille", "n.c.", "voir devis", "5 OOO €"])
    )


def _thousands_for_euros(book: Book, draw: Random) -> Planted | None:
    place = draw.choice([place for place in book.amounts() if place[0] != T1])
    value = book.cells[place]
    if isinstance(value, str):
        return _at(book, place, value.replace("€", "k€", 1))
    return _at(book, place, int(value) / 1000)  # type: ignore[call-overload]


def _wrong_year(book: Book, draw: Random) -> Planted | None:
    place = draw.choice(
        [p for p in book.amounts() if isinstance(book.cells[p], str) and _YEAR.search(str(book.cells[p]))]
    )
    text = str(book.cells[place])
    one = draw.choice(list(_YEAR.finditer(text)))
    year = one.group(1)
    new = draw.choice(
        [y for y in ("2002", "2011", "2012", "2013", "2014", "2021", "2031", "2103") if y != year]
    )
    return _at(book, place, text[: one.start(1)] + new + text[one.end(1) :])


def _misspelt_commune(book: Book, draw: Random) -> Planted | None:
    row = draw.choice(book.rows(A1))
    text = str(book.cells[A1, row, 1])
    named = [name for name in COMMUNES if re.search(rf"\b{re.escape(name)}\b", text)]
    if not named or row == FIRST[A1]:
        return None
    name = draw.choice(named)
    at = draw.randrange(1, len(name))
    wrong = draw.choice(
        [
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name[:at] + draw.choice("aeiourstn") + name[at + 1 :],
        ]
    )
    return (
        None
        if wrong == name
        else _at(book, (A1, row, 1), re.sub(rf"\b{re.escape(name)}\b", wrong, text, count=1))
    )


def _renamed_funder(book: Book, draw: Random) -> Planted | None:
    place = (A2, 4, draw.choice([6, 7]))
    name = str(book.cells[place])
    at = draw.randrange(1, len(name))
    return _at(
        book, place, draw.choice([name[:at] + name[at + 1 :], "Département du Nord", name + " (hors MEL)"])
    )


def _moved_rows(book: Book, sheet: str, start: int, by: int) -> None:
    """Everything from row `start` on, `by` rows lower (or higher), merges and formulas included."""
    book.cells = {
        (name, row + by if name == sheet and row >= start else row, column): value
        for (name, row, column), value in book.cells.items()
    }
    book.merged = [
        (name, *(row + by if name == sheet and row >= start else row for row in ends))
        for name, *ends in book.merged
    ]
    if sheet == A2:  # what a spreadsheet does to its formulas when a row comes or goes
        total = book.last(A2) + 1
        book.formulas = {(A2, row, 10): f"F{row}+G{row}" for row in book.rows(A2) if book.formulas} | {
            (A2, total, c): f"SUM({'FGHIJ'[c - 6]}5:{'FGHIJ'[c - 6]}{total - 1})"
            for c in AMOUNTS[A2]
            if book.formulas
        }


def _drop_row(book: Book, sheet: str, row: int) -> dict[int, object]:
    """The cells of the row, taken out of the book."""
    taken = {
        column: book.cells[sheet, row, column]
        for name, r, column in list(book.cells)
        if (name, r) == (sheet, row)
    }
    axis = taken.get(1)
    if (
        sheet == A2
        and axis is not None
        and any(name == A2 and first == row < last for name, first, last in book.merged)
    ):
        book.cells[A2, row + 1, 1] = axis
    for column in taken:
        del book.cells[sheet, row, column]
    merged = [m for m in book.merged if not (m[0] == sheet and m[1] == m[2] == row)]
    book.merged = [
        (
            n,
            first + 1 if n == sheet and first == row else first,
            last - 1 if n == sheet and last == row else last,  # the merge ends above the row that goes
        )
        for n, first, last in merged
    ]
    _moved_rows(book, sheet, row + 1, -1)
    return taken


def _keep_totals(plant: Planter) -> Planter:
    """The totals stay as they were stated: a row that comes or goes after the totals were typed."""

    def planting(book: Book, draw: Random) -> Planted | None:
        planted = plant(book, draw)
        if planted:
            total = planted.book.last(A2) + 1
            for column in AMOUNTS[A2]:
                planted.book.formulas.pop((A2, total, column), None)
        return planted

    return planting


def _deleted_row(book: Book, draw: Random) -> Planted | None:
    sheet = draw.choices([A2, A1, T1], [6, 2, 1])[0]
    row = draw.choice(book.rows(sheet))
    said = f"{sheet}, ligne {row} : {book.cells[sheet, row, 3]}"
    _drop_row(book, sheet, row)
    return Planted(book, sheet, frozenset({row}), said)


def _duplicated_row(book: Book, draw: Random) -> Planted | None:
    sheet = draw.choices([A2, A1, T1], [6, 2, 1])[0]
    row = draw.choice(book.rows(sheet))
    copy = {
        column: book.cells[sheet, row, column] for s, r, column in list(book.cells) if (s, r) == (sheet, row)
    }
    _moved_rows(book, sheet, row + 1, 1)
    for column, value in copy.items():
        if not (sheet == A2 and column == 1):
            book.cells[sheet, row + 1, column] = value
    book.merged = [(n, f, last + 1 if n == sheet and last == row else last) for n, f, last in book.merged]
    return Planted(book, sheet, frozenset({row, row + 1}), f"{sheet}, ligne {row} recopiée")


def _row_to_another_axis(book: Book, draw: Random) -> Planted | None:
    row = draw.choice(book.rows(A2))
    others = [m for m in book.merged if m[0] == A2 and not m[1] <= row <= m[2]]
    name, first, last = draw.choice(others)
    axis = book.cells[A2, first, 1]
    taken = _drop_row(book, A2, row)
    first, last = next((f, x) for n, f, x in book.merged if n == A2 and book.cells[A2, f, 1] == axis)
    _moved_rows(book, A2, last + 1, 1)
    for column, value in taken.items():
        if column != 1:
            book.cells[A2, last + 1, column] = value
    book.merged = [(n, f, x + 1 if (n, f) == (name, first) else x) for n, f, x in book.merged]
    return Planted(
        book, A2, frozenset({row, last, last + 1, last + 2}), f"ligne {row} passée dans « {axis} »"
    )


def _swapped_columns(book: Book, draw: Random) -> Planted | None:
    one, other = draw.choice([(6, 7), (8, 9), (6, 8), (7, 9), (9, 10)])
    row = draw.choice([4, *book.rows(A2), *book.rows(A2)])
    here, there = book.cells.get((A2, row, one)), book.cells.get((A2, row, other))
    if here == there:
        return None
    for column, value in ((one, there), (other, here)):
        book.cells.pop((A2, row, column), None)
        book.formulas.pop((A2, row, column), None)
        if value is not None:
            book.cells[A2, row, column] = value
    return Planted(book, A2, frozenset({row}), f"colonnes {one} et {other} échangées en ligne {row}")


def _broken_merge(book: Book, draw: Random) -> Planted | None:
    able = [m for m in book.merged if m[2] > m[1]]
    broken = draw.choice(able)
    book.merged.remove(broken)
    name, first, last = broken
    if draw.random() < 0.5 and last - first > 1:
        book.merged.append((name, first, last - 1))
        return Planted(book, name, frozenset({last}), f"fusion A{first}:A{last} réduite d'une ligne")
    return Planted(book, name, frozenset(range(first, last + 1)), f"fusion A{first}:A{last} défaite")


def _hidden_row(book: Book, draw: Random) -> Planted | None:
    sheet = draw.choice([T1, A1, A2, A2])
    row = draw.choice(book.rows(sheet))
    book.hidden.add((sheet, row))
    return Planted(book, sheet, frozenset({row}), f"{sheet}, ligne {row} masquée")


def _stale_formula(book: Book, draw: Random) -> Planted | None:
    if not book.formulas:
        return None
    place = draw.choice(list(book.formulas))
    formula = book.formulas[place]
    planted = _at(book, place, int(book.cells[place]) + draw.choice([-1, 1]) * draw.randint(1, 5000))  # type: ignore[call-overload]
    book.formulas[place] = formula
    return planted


def _number_as_text(book: Book, draw: Random) -> Planted | None:
    able = [place for place in book.amounts() if not isinstance(book.cells[place], str)]
    if not able:
        return None
    place = draw.choice(able)
    return _at(book, place, draw.choice(["{}", " {}", "{} "]).format(book.cells[place]))


def _zero_for_blank(book: Book, draw: Random) -> Planted | None:
    blank = [(A2, row, c) for row in book.rows(A2) for c in AMOUNTS[A2] if (A2, row, c) not in book.cells]
    return _at(book, draw.choice(blank), 0) if blank else None


PLANTERS: dict[str, tuple[str, Planter]] = {
    "digit_changed": ("chiffre changé", _amount_error(_changed_digit)),
    "digits_swapped": ("chiffres intervertis", _amount_error(_swapped_digits)),
    "decimal_shifted": ("virgule déplacée", _amount_error(_shifted_decimal)),
    "sign_flipped": ("signe inversé", _amount_error(lambda digits, _draw: "-" + digits)),
    "row_deleted": ("ligne supprimée", _keep_totals(_deleted_row)),
    "row_duplicated": ("ligne recopiée", _keep_totals(_duplicated_row)),
    "row_moved": ("ligne passée à un autre axe", _row_to_another_axis),
    "columns_swapped": ("colonnes échangées", _swapped_columns),
    "total_changed": ("total changé", _total_changed),
    "text_for_number": ("texte au lieu d'un nombre", _text_for_number),
    "thousands_for_euros": ("k€ pour €", _thousands_for_euros),
    "year_wrong": ("année fausse", _wrong_year),
    "commune_misspelt": ("commune mal écrite", _misspelt_commune),
    "funder_renamed": ("financeur renommé", _renamed_funder),
    "merge_broken": ("fusion défaite", _broken_merge),
    "row_hidden": ("ligne masquée", _hidden_row),
    "stale_formula": ("formule non recalculée", _stale_formula),
    "number_as_text": ("nombre gardé en texte", _number_as_text),
    "blank_to_zero": ("vide devenu zéro", _zero_for_blank),
}
STRUCTURAL = {
    "text_for_number", "funder_renamed", "merge_broken", "row_hidden", "stale_formula", "number_as_text",
    "blank_to_zero",
}  # fmt: skip


# --- What any redundancy reveals, worked out apart -----------------------------------------------

REFERENCE_NAMES: set[str] = set()


def revealed(book: Book, declared: dict[tuple[str, int, int], str]) -> list[tuple[str, int, str]]:
    """What a patient reader could see in the cells: (sheet, row or 0 when no row is designated, why).

    `declared` is what the source sheet says that certain cells hold: headers and sentences.
    """
    return [
        *_declared_differs(book, declared),
        *_cells_speak(book),
        *_rows_and_totals(book),
        *_numbers_speak(book),
        *_projects_speak(book),
    ]


def _declared_differs(
    book: Book, declared: dict[tuple[str, int, int], str]
) -> Iterator[tuple[str, int, str]]:
    for place, kind in declared.items():
        text = str(book.cells.get(place, ""))
        if (kind == "sentence" and "montant global" not in text) or kind not in ("sentence", text):
            yield place[0], place[1], "la fiche source déclare autre chose"


def _cells_speak(book: Book) -> Iterator[tuple[str, int, str]]:
    """What a cell shows by itself: hidden, not a number, another type, never recalculated, impossible."""
    for sheet, row in book.hidden:
        yield sheet, row, "ligne masquée"
    for sheet, row, column in [(s, r, c) for s in (A1, A2) for r in book.rows(s) for c in AMOUNTS[s]]:
        value = book.cells.get((sheet, row, column))
        if isinstance(value, str) and not amounts_in(value):
            yield sheet, row, "texte au lieu d'un nombre"
        if any(amount < 0 for amount in amounts_in(value)):
            yield sheet, row, "montant négatif"
        if value == 0:
            yield sheet, row, "zéro, là où la table laisse ses blancs"
    for column in AMOUNTS[A2]:
        kinds = {
            r: isinstance(book.cells[A2, r, column], str)
            for r in book.rows(A2)
            if (A2, r, column) in book.cells
        }
        for row, is_text in kinds.items():
            if is_text and not all(kinds.values()):
                yield A2, row, "nombre gardé en texte"
    for place, formula in book.formulas.items():
        if amount_of(book.cells[place]) != _computed(book, formula):
            yield place[0], place[1], "formule non recalculée"
    for row in book.rows(A2):
        covered = any(first <= row <= last for name, first, last in book.merged if name == A2)
        if not covered and (A2, row, 1) not in book.cells:
            yield A2, row, "axe absent, hors de toute fusion"
    for name, first, last in _wide_axes(book):
        if (name, first, last) not in book.merged:
            yield from ((name, row, "axe étendu sans fusion") for row in range(first, last + 1))


def _wide_axes(book: Book) -> list[tuple[str, int, int]]:
    """The axis cells and the blanks under them."""
    starts = [row for row in book.rows(A2) if (A2, row, 1) in book.cells]
    ends = [*(row - 1 for row in starts[1:]), book.last(A2)]
    return [(A2, first, last) for first, last in zip(starts, ends, strict=True) if last > first]


def _computed(book: Book, formula: str) -> Decimal:
    if formula.startswith("SUM"):
        letter, first, last = re.match(r"SUM\(([A-J])(\d+):[A-J](\d+)\)", formula).groups()  # type: ignore[union-attr]
        cells = [(A2, row, ord(letter) - 64) for row in range(int(first), int(last) + 1)]
    else:
        cells = [(A2, int(one[1:]), ord(one[0]) - 64) for one in formula.split("+")]
    return sum((amount_of(v) for c in cells if not isinstance(v := book.cells.get(c), str)), Decimal(0))


def _rows_and_totals(book: Book) -> Iterator[tuple[str, int, str]]:
    amounts = {(r, c): amount_of(book.cells.get((A2, r, c))) for r in book.rows(A2) for c in AMOUNTS[A2]}
    total_row = book.last(A2) + 1
    uneven = False
    for row in book.rows(A2):
        f, g, h, i, j = (amounts[row, c] for c in AMOUNTS[A2])
        if not f + g == h + i == j:
            uneven = True
            yield A2, row, "ligne non équilibrée"
    stated = {c: amount_of(book.cells.get((A2, total_row, c))) for c in AMOUNTS[A2]}
    gaps = {c: sum(amounts[r, c] for r in book.rows(A2)) - stated[c] for c in AMOUNTS[A2]}
    if not stated[6] + stated[7] == stated[8] + stated[9] == stated[10]:
        yield A2, total_row, "totaux incohérents"
    if any(gaps.values()):
        yield A2, 0, "somme différente du total"
    wrong = [c for c in gaps if gaps[c]]
    if not uneven and len(wrong) == 2 and gaps[wrong[0]] == -gaps[wrong[1]]:
        able = [r for r in book.rows(A2) if amounts[r, wrong[0]] - amounts[r, wrong[1]] == gaps[wrong[0]]]
        if len(able) == 1:
            yield A2, able[0], "le seul échange qui rétablit les deux totaux"


def _numbers_speak(book: Book) -> Iterator[tuple[str, int, str]]:
    expected, seen, axis = 1, set(), None
    for row in book.rows(A2):
        if book.cells.get((A2, row, 1)) is not None:
            axis, expected = book.cells[A2, row, 1], 1
        number = int(str(book.cells.get((A2, row, 2), 0)))
        if number != expected or (axis, number) in seen:
            yield A2, row, "numérotation rompue"
        seen.add((axis, number))
        expected = number + 1


def _projects_speak(book: Book) -> Iterator[tuple[str, int, str]]:
    last = book.last(A1)
    sentences = [(A1, last + 2, 1), (T1, 6, 4)]
    amounts = {row: amounts_in(book.cells.get((A1, row, 6))) for row in book.rows(A1)}
    awarded = sum((a for one in amounts.values() for a in one), Decimal(0))
    for sheet, row, column in sentences:
        said = re.search(r"(\d+) projets.* de ([\d ]+) €", str(book.cells.get((sheet, row, column), "")))
        if said and int(said[1]) != len(amounts):
            yield sheet, 0, "nombre de projets"
        if said and Decimal(said[2].replace(" ", "")) != awarded:
            yield sheet, row, "total des projets"
    of_lille = amount_of(book.cells.get((A2, book.last(A2) + 1, 6)))
    first = amounts.get(FIRST[A1], [])
    if len(first) > 1 and first[1] != of_lille:
        yield A1, FIRST[A1], "Lille 2013 ≠ total de l'annexe 2"
        yield A2, book.last(A2) + 1, "total de l'annexe 2 ≠ Lille 2013"
    for sheet, low, high, column in ((A1, 2012, 2013, 6), (T1, 2011, 2014, 3)):
        lines = [tuple(book.cells.get((sheet, r, c)) for c in range(2, 7)) for r in book.rows(sheet)]
        for row in book.rows(sheet):
            years = _YEAR.findall(str(book.cells.get((sheet, row, column), "")))
            if any(not low <= int(year) <= high for year in years) or len(set(years)) < len(years):
                yield sheet, row, "année hors période, ou deux fois la même"
            if lines.count(lines[row - FIRST[sheet]]) > 1:
                yield sheet, row, "deux lignes identiques"
    for row in book.rows(A1):
        text = re.sub(r"^Villes? de ", "", str(book.cells.get((A1, row, 1), "")))
        if any(name.strip() not in REFERENCE_NAMES for name in re.split(r",| et ", text)):
            yield A1, row, "commune inconnue"


# --- Writing, reading, judging -------------------------------------------------------------------


def save(book: Book, path: Path) -> None:
    """The book as an .xlsx file, each formula with its last computed value."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    sheets = {name: workbook.create_sheet(name) for name in (T1, A1, A2)}
    for (name, row, column), value in book.cells.items():
        formula = book.formulas.get((name, row, column))
        sheets[name].cell(row, column, f"={formula}" if formula else value)
    for name, first, last in book.merged:
        if last > first:
            sheets[name].merge_cells(start_row=first, end_row=last, start_column=1, end_column=1)
    for name, row in book.hidden:
        sheets[name].row_dimensions[row].hidden = True
    workbook.save(path)
    if book.formulas:
        _write_cached_values(book, path)


def _write_cached_values(book: Book, path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    name = "xl/worksheets/sheet3.xml"
    text = parts[name].decode()
    for (_, row, column), _formula in book.formulas.items():
        cell = f"{'ABCDEFGHIJ'[column - 1]}{row}"
        value = book.cells[A2, row, column]
        text = re.sub(rf'(<c r="{cell}"[^>]*><f>[^<]*</f>)<v ?/?>(</v>)?', rf"\g<1><v>{value}</v>", text)
    parts[name] = text.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for filename, content in parts.items():
            archive.writestr(filename, content)


def source_sheet(book: Book) -> str:
    """The source sheet of the note, for this workbook; its checksum is still to be written."""
    text = NOTE.with_name(NOTE.name + ".toml").read_text(encoding="utf-8")
    text = re.sub(r'sha256 = "[0-9a-f]+"', 'sha256 = "DIGEST"', text)
    return text.replace('cell = "A9"', f'cell = "A{book.last(A1) + 2}"')


def declared_by(book: Book) -> dict[tuple[str, int, int], str]:
    """What the source sheet declares of the clean workbook: its headers and its sentences."""
    heads = {(A2, 4, column): str(book.cells[A2, 4, column]) for column in AMOUNTS[A2]}
    return heads | {(A1, book.last(A1) + 2, 1): "sentence", (T1, 6, 4): "sentence"}


@dataclass
class Outcome:
    """What became of one case."""

    kind: str
    said: str
    revealed: bool
    locatable: bool
    caught: bool
    located: bool
    heard: list[str]


def judged(kind: str, seed: int, folder: Path) -> Outcome:
    """One case: a clean workbook drawn from `seed`, one error of this kind (none for « clean »), judged."""
    draw = Random(f"{kind}/{seed}")
    planted = None
    while planted is None:
        book = clean_book(draw)
        sheet_text, declared = source_sheet(book), declared_by(book)
        if kind == "clean":
            planted = Planted(book, "", frozenset(), "")
        else:
            planted = PLANTERS[kind][1](deepcopy(book), draw)
    path = folder / "note" / "note_mel_communes.xlsx"
    path.parent.mkdir(exist_ok=True)
    save(planted.book, path)
    digest = sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".toml").write_text(sheet_text.replace("DIGEST", digest), encoding="utf-8")
    seen = revealed(planted.book, declared)
    here = {(planted.sheet, row) for row in planted.rows}
    heard, places = heard_from(folder)
    return Outcome(
        kind,
        planted.said,
        revealed=bool(seen),
        locatable=any((sheet, row) in here for sheet, row, _ in seen),
        caught=bool(heard),
        located=bool(places & here),
        heard=heard,
    )


def heard_from(folder: Path) -> tuple[list[str], set[tuple[str, int]]]:
    """What reading and checking the folder say, and the (sheet, row) they name."""
    from ess_analysis.checks import check
    from ess_analysis.errors import DataError
    from ess_analysis.load import load

    try:
        findings = check(load(folder))
    except DataError as refused:
        sheets = [name for name in (T1, A1, A2) if name in str(refused)] or [T1, A1, A2]
        cells = re.findall(r"\b[A-J](\d{1,3})\b", str(refused))
        lines = re.findall(r"\d+", " ".join(re.findall(r"lignes? ([\d, et]+)", str(refused))))
        return [f"refus : {refused}"], {(name, int(row)) for name in sheets for row in [*cells, *lines]}
    told = findings["code"].isin(["GAP-LEAD", "READ-PLACE-SPELLING"])  # never told of a clean workbook
    doubts = findings[(findings["severity"] != "info") | told]
    places = set()
    for one in doubts.itertuples():
        cells = [one.cell, *re.findall(r"\b[A-J]\d{1,3}\b", one.message)]
        places |= {(one.sheet, int(cell[1:])) for cell in cells if re.fullmatch(r"[A-J]\d+", cell or "")}
    return [f"{one.code} {one.sheet} {one.cell} : {one.message}" for one in doubts.itertuples()], places


# --- Counting ------------------------------------------------------------------------------------


def run(kinds: list[str], cases: int, seed: int, jobs: int) -> Iterator[Outcome]:
    """The outcome of each case, workers sharing them out."""
    REFERENCE_NAMES.update(reference_names())
    work = [(kind, seed + number) for kind in kinds for number in range(cases)]
    if jobs == 1:
        with tempfile.TemporaryDirectory() as folder:
            yield from (judged(kind, number, prepared(Path(folder))) for kind, number in work)
        return
    with get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_one, work, chunksize=20)


def _one(case: tuple[str, int]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return judged(*case, prepared(Path(folder)))


def prepared(folder: Path) -> Path:
    """A data folder with the reference communes, ready for a workbook."""
    if not (folder / "reference").exists():
        shutil.copytree(REFERENCE, folder / "reference")
    return folder


def reference_names() -> set[str]:
    """The names of the communes, from the reference file."""
    lines = (REFERENCE / "mel_communes.csv").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(",")[1] for line in lines} | {"Lomme", "Hellemmes"}


def table(outcomes: list[Outcome]) -> str:
    """The counts per class, as a text table."""
    titles = [
        ("plantées", 9),
        ("révélées", 9),
        ("prises", 8),
        ("%", 7),
        ("situables", 10),
        ("situées", 8),
        ("%", 7),
    ]
    titles += [("sans redondance", 16), ("dont prises", 12)]
    head = f"{'classe':28}" + "".join(f"{title:>{width}}" for title, width in titles)
    lines = [head, "-" * len(head)]
    for kind in [*PLANTERS, "total"]:
        ones = [o for o in outcomes if kind in (o.kind, "total") and o.kind != "clean"]
        if not ones:
            continue
        shown = [o for o in ones if o.revealed]
        able = [o for o in ones if o.locatable]
        silent = [o for o in ones if not o.revealed]
        caught, located = sum(o.caught for o in shown), sum(o.located for o in able)
        name = PLANTERS[kind][0] + ("  *" if kind in STRUCTURAL else "") if kind in PLANTERS else "TOTAL"
        lines.append(
            f"{name:28}{len(ones):9}{len(shown):9}{caught:8}{_share(caught, len(shown)):>7}"
            f"{len(able):10}{located:8}{_share(located, len(able)):>7}"
            f"{len(silent):16}{sum(o.caught for o in silent):12}"
        )
    clean = [o for o in outcomes if o.kind == "clean"]
    lines.append(f"classeurs sans erreur : {len(clean)}, fausses alertes : {sum(o.caught for o in clean)}")
    lines.append("* erreurs de structure ; situables : une redondance désigne la ligne")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "–"


def main(arguments: list[str] | None = None) -> int:
    """Zero when every goal is reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=20, help="per class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[*PLANTERS, "clean"])
    parser.add_argument(
        "--show", choices=["missed", "unlocated", "alarms", "extra", "all"], action="append", default=[]
    )
    options = parser.parse_args(arguments)
    outcomes = []
    for outcome in run(options.only or [*PLANTERS, "clean"], options.cases, options.seed, options.jobs):
        outcomes.append(outcome)
        labels = {
            "missed": outcome.revealed and not outcome.caught,
            "unlocated": outcome.locatable and not outcome.located,
            "alarms": outcome.kind == "clean" and outcome.caught,
            "extra": outcome.kind != "clean" and outcome.caught and not outcome.revealed,
            "all": True,
        }
        if any(labels[name] for name in options.show):
            print(f"[{outcome.kind}] {outcome.said}", *outcome.heard, sep="\n      ")
    print(table(outcomes))
    shown = [o for o in outcomes if o.revealed and o.kind != "clean"]
    able = [o for o in outcomes if o.locatable]
    structural = [o for o in shown if o.kind in STRUCTURAL]
    good = (
        sum(o.caught for o in shown) >= 0.99 * len(shown)
        and sum(o.located for o in able) >= 0.99 * len(able)
        and all(o.caught and o.located for o in structural)
        and not any(o.caught for o in outcomes if o.kind == "clean")
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
