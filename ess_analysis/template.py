"""The workbook of next year's collection: lists, input checks, a page of instructions, its source sheet.

The lists come from the data already collected. The source sheet is written with the workbook and is
unsealed: the workbook is filled in, dropped with its sheet into the data folder, and read with no other step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.comments import Comment
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from ess_analysis import french, schema, territories
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, joined, load
from ess_analysis.sources import UNSEALED
from ess_analysis.workbooks import HEADER, money_format, saved
from ess_analysis.writing import write_whole

INSTRUCTIONS, LISTS = "Lisez-moi", "Listes"
ROWS = 2000  # rows that carry the lists and the checks; those written below are read all the same
LIST_ROWS = 1000  # rows that a list may grow to


@dataclass(frozen=True)
class _Field:
    """A column of the workbook: its header, how it is read, what it asks for, how an entry is checked."""

    header: str
    role: str  # of the source sheet; empty for a column that only an export reads
    asked: str
    width: float = 22
    needed: bool = False
    choice: str = ""  # header of the list it is chosen from
    closed: bool = False  # only a word of the list is right
    form: str = ""  # number format
    scdl: str = ""  # the field of the SCDL standard that it fills


_FIELDS = (
    _Field("Dispositif", "programme", "Au titre de quoi l'argent est apporté.", choice="Dispositif"),
    _Field("Axe", "axis", "Axe de la politique ; vide s'il n'y en a pas.", choice="Axe"),
    _Field(
        "Intitulé",
        "title",
        "Intitulé de l'action ou du projet. Plusieurs montants pour une même action : répétez-le sur des "
        "lignes qui se suivent.",
        44,
        needed=True,
        scdl="objet",
    ),
    _Field("Description", "description", "En une ou deux phrases.", 44),
    _Field("Bénéficiaire", "recipient", "Qui reçoit l'argent.", 30, needed=True, scdl="nomBeneficiaire"),
    _Field(
        "SIRET du bénéficiaire",
        "",
        "14 chiffres, sans espace. Sert à publier les données ; vide si vous ne l'avez pas.",
        form="@",
        scdl="idBeneficiaire",
    ),
    _Field("Opérateur", "operator", "Qui réalise, si ce n'est pas le bénéficiaire.", 30),
    _Field("Financeur", "funder", "Qui apporte l'argent.", 26, needed=True, choice="Financeur"),
    _Field("Étape", "stage", "Où en est ce montant.", 20, needed=True, choice="Étape", closed=True),
    _Field("Forme", "kind", "Vide : numéraire.", 18, choice="Forme", closed=True),
    _Field(
        "Montant", "amount", "En euros, sans texte. Vide s'il n'est pas connu.", 18, form=money_format("EUR")
    ),
    _Field("Année", "year", "Vide : {year}.", 10, form="0"),
    _Field(
        "Date de décision",
        "",
        "Date de la convention ou de la délibération. Sert à publier les données.",
        18,
        form="dd/mm/yyyy",
        scdl="dateConvention",
    ),
    _Field("Territoire", "territory", "Territoire de l'action.", choice="Territoire"),
    _Field("Commune", "places", "Commune concernée.", choice="Commune"),
    _Field("Autres communes", "places", "S'il y en a d'autres, séparées par des virgules.", 26),
    _Field("Partenaires", "partners", "Qui d'autre y prend part.", 30),
    _Field("Résultats", "indicators", "Ce qui est obtenu, avec des nombres : « 3 réunions ».", 34),
)

_PAGE = (
    ("title", "Collecte {year} : soutien public local à l'économie sociale et solidaire"),
    ("text", "Une ligne par montant, dans la feuille « {sheet} ». Rien d'autre n'est lu dans ce classeur."),
    ("head", "Comment remplir"),
    (
        "text",
        "1. Une cellule vide veut dire « on ne sait pas ». N'écrivez 0 que si le montant est vraiment nul.",
    ),
    (
        "text",
        "2. Un seul montant par cellule, en euros, sans texte ni unité. Une action payée par deux "
        "financeurs prend deux lignes qui se suivent, avec le même intitulé.",
    ),
    (
        "text",
        "3. L'étape dit où en est l'argent : alloué (enveloppe), prévisionnel, accordé (voté), versé. "
        "Les étapes ne s'additionnent jamais entre elles ; un même montant peut avoir une ligne par étape.",
    ),
    (
        "text",
        "4. L'année est {year} si la colonne Année est vide. Une autre année s'écrit dans cette colonne : "
        "un même classeur peut porter deux années.",
    ),
    (
        "text",
        "5. Les listes viennent des collectes précédentes. Un axe, un financeur, un territoire ou un "
        "dispositif nouveau s'ajoute au bas de la feuille « {lists} » ; les étapes et les formes ne changent "
        "pas.",
    ),
    (
        "text",
        "6. Pas de ligne de total, pas de cellule fusionnée, pas de colonne ajoutée ni renommée : la lecture "
        "s'arrêterait en disant où. Les totaux se lisent ci-dessous.",
    ),
    ("text", "7. Les colonnes à l'en-tête brun sont nécessaires : une cellule orange manque à sa ligne."),
    ("head", "Comment rendre"),
    (
        "text",
        "Déposez ce classeur et sa fiche source « {toml} », ensemble, dans un dossier de data/raw. "
        "Puis « ess check » dit ce qui ne va pas, et « ess report » rend les rapports.",
    ),
    (
        "text",
        "Dans la fiche source, complétez le producteur et la licence. Quand le classeur est définitif, "
        "« ess check --format csv » donne le sha256 qui le scelle.",
    ),
    ("head", "Totaux saisis"),
)


def write_template(file: str | Path, *, year: int, data: str | Path = "data/raw") -> list[Path]:
    """The files written: the workbook `file` to fill in for `year`, and its source sheet beside it.

    The lists hold the axes, funders, territories, programmes and communes of the folder `data`; those of a
    first collection, whose folder is empty, are to be filled in. Raises DataError where the file is there
    already: it may hold someone's work.
    """
    file = Path(file)
    sheet_file = file.with_name(file.name + ".toml")
    if file.suffix.lower() != ".xlsx":
        raise DataError(
            f"Le modèle est un classeur .xlsx : {file}.", todo="donnez un nom qui finit par .xlsx."
        )
    if not 1900 <= year <= 2100:
        raise DataError("Année de collecte impossible.", seen=[year], todo="donnez une année : 2015.")
    there = [path for path in (file, sheet_file) if path.exists()]
    if there:
        raise DataError(
            "Ce modèle existe déjà ; il n'est pas remplacé.",
            seen=there,
            todo="donnez un autre nom, ou retirez ces fichiers.",
        )
    tables = _collected(Path(data))
    file.parent.mkdir(parents=True, exist_ok=True)
    book = _workbook(year, _choices(tables), sheet_file.name)
    write_whole(sheet_file, _source_sheet(file.name, year, tables).encode("utf-8"))
    write_whole(file, saved(book))
    return [file, sheet_file]


# --- The lists -----------------------------------------------------------------------------------


def _collected(data: Path) -> Tables:
    """The tables of the earlier collections: none, where the folder is there and holds no file."""
    first = data.is_dir() and not any(path.is_file() for path in data.rglob("*"))
    return joined([]) if first else load(data)


def _choices(tables: Tables) -> dict[str, list[str]]:
    """The words of each list, by header: those of the data, sorted; stages and forms in their order."""
    funding, places = tables.funding, tables.places

    def words(*columns: Any) -> list[str]:
        found = {str(word) for column in columns for word in column.dropna().unique()}
        return sorted(found, key=lambda word: french.strip_accents(word).lower())

    reference = territories.communes()["name"]
    ours = places["insee_code"].notna().any()  # data about other places do not offer our communes
    return {
        "Dispositif": words(funding["programme"]),
        "Axe": words(funding["axis"], tables.records["axis"]),
        "Financeur": words(funding["funder"]),
        "Étape": list(schema.STAGE_LABELS.values()),
        "Forme": list(schema.KIND_LABELS.values()),
        "Territoire": words(places["territory"]),
        "Commune": words(places["commune"], *([reference] if ours else [])),
    }


# --- The workbook --------------------------------------------------------------------------------

_ABSENT = PatternFill("solid", bgColor="FFD9A8")
_NEEDED = {**HEADER, "fill": PatternFill("solid", fgColor="7A3E00")}
_WRAPPED = Alignment(wrap_text=True, vertical="top")


def _workbook(year: int, choices: Mapping[str, list[str]], toml: str) -> Any:
    book = openpyxl.Workbook()
    book.properties.creator = "ess_analysis"
    book.properties.title = f"Collecte {year}"
    book.calculation.fullCalcOnLoad = True
    page, entry, lists = book.active, book.create_sheet(_sheet(year)), book.create_sheet(LISTS)
    page.title = INSTRUCTIONS
    _fill_lists(lists, choices)
    _fill_entry(entry, year, choices)
    _fill_page(page, year, toml)
    return book


def _sheet(year: int) -> str:
    return f"Financements {year}"


def _fill_lists(sheet: Worksheet, choices: Mapping[str, list[str]]) -> None:
    for column, (header, words) in enumerate(choices.items(), start=1):
        _put(sheet, 1, column, header, **HEADER)
        for row, word in enumerate(words, start=2):
            _put(sheet, row, column, word)
        sheet.column_dimensions[get_column_letter(column)].width = 34
    sheet.freeze_panes = "A2"


def _fill_entry(sheet: Worksheet, year: int, choices: Mapping[str, list[str]]) -> None:
    last = ROWS + 1
    for column, field in enumerate(_FIELDS, start=1):
        letter = get_column_letter(column)
        asked = field.asked.format(year=year)
        head = _put(sheet, 1, column, field.header, **(_NEEDED if field.needed else HEADER))
        head.alignment = _WRAPPED
        head.comment = Comment(asked + (" Nécessaire." if field.needed else ""), "ess_analysis")
        sheet.column_dimensions[letter].width = field.width
        if field.form:
            sheet.column_dimensions[letter].number_format = field.form
        check = _check(field, letter, choices, year)
        check.promptTitle, check.prompt, check.showInputMessage = field.header, asked, True
        check.add(f"{letter}2:{letter}{last}")
        sheet.add_data_validation(check)
    _mark_absent(sheet, last)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(_FIELDS))}{last}"


def _check(field: _Field, letter: str, choices: Mapping[str, list[str]], year: int) -> DataValidation:
    """The check of an entry: refused where it cannot be right, asked about where it may be new."""
    rule: dict[str, Any] = {"allow_blank": True}
    if field.choice:
        column = get_column_letter(list(choices).index(field.choice) + 1)
        words = f"{LISTS}!${column}$2:${column}${LIST_ROWS}"
        rule |= {"type": "list", "formula1": f"OFFSET({LISTS}!${column}$2,0,0,MAX(1,COUNTA({words})),1)"}
        error = "Choisissez dans la liste." if field.closed else _NEW_WORD
        rule |= {"error": error, "errorStyle": "stop" if field.closed else "warning"}
    elif field.role == "amount":
        rule |= {"type": "decimal", "operator": "greaterThanOrEqual", "formula1": "0"}
        rule |= {"error": "Un nombre d'euros, positif, sans texte.", "errorStyle": "stop"}
    elif field.role == "year":
        rule |= {"type": "whole", "operator": "between", "formula1": "1990", "formula2": str(year + 10)}
        rule |= {"error": f"Une année, en quatre chiffres, jusqu'à {year + 10}.", "errorStyle": "stop"}
    elif field.scdl == "dateConvention":
        rule |= {"type": "date", "operator": "between", "formula1": "DATE(1990,1,1)"}
        rule |= {
            "formula2": f"DATE({year + 10},12,31)",
            "error": "Une date : 15/06/2015.",
            "errorStyle": "stop",
        }
    elif field.scdl == "idBeneficiaire":
        rule |= {"type": "custom", "formula1": f"AND(LEN({letter}2)=14,ISNUMBER(--{letter}2))"}
        rule |= {"error": "Un SIRET a 14 chiffres, sans espace.", "errorStyle": "stop"}
    else:
        longest = 256 if field.scdl == "objet" else 2000
        rule |= {"type": "textLength", "operator": "lessThanOrEqual", "formula1": str(longest)}
        rule |= {"error": f"{longest} caractères au plus.", "errorStyle": "warning"}
    return DataValidation(**rule, showErrorMessage=True, errorTitle=field.header)


_NEW_WORD = "Ce mot n'est pas dans la liste. S'il est nouveau, confirmez et ajoutez-le à la feuille Listes."


def _mark_absent(sheet: Worksheet, last: int) -> None:
    """A cell that a started row needs is orange while it is blank."""
    end = get_column_letter(len(_FIELDS))
    for column, field in enumerate(_FIELDS, start=1):
        if field.needed:
            letter = get_column_letter(column)
            absent = f'AND(COUNTA($A2:${end}2)>0,TRIM({letter}2)="")'
            sheet.conditional_formatting.add(f"{letter}2:{letter}{last}", FormulaRule([absent], fill=_ABSENT))


def _fill_page(page: Worksheet, year: int, toml: str) -> None:
    page.column_dimensions["A"].width = 96
    page.column_dimensions["B"].width = 20
    looks = {"title": Font(bold=True, size=16), "head": Font(bold=True, size=13), "text": Font()}
    row = 0
    for row, (look, text) in enumerate(_PAGE, start=1):
        words = text.format(year=year, sheet=_sheet(year), lists=LISTS, toml=toml)
        _put(page, row, 1, french.typographic(words), font=looks[look], alignment=_WRAPPED)
    columns = {field.role: get_column_letter(place) for place, field in enumerate(_FIELDS, start=1)}
    stages = f"'{_sheet(year)}'!${columns['stage']}$2:${columns['stage']}${ROWS + 1}"
    amounts = f"'{_sheet(year)}'!${columns['amount']}$2:${columns['amount']}${ROWS + 1}"
    kinds = f"'{_sheet(year)}'!${columns['kind']}$2:${columns['kind']}${ROWS + 1}"
    cash = f'(({kinds}="")+({kinds}="{schema.KIND_LABELS["cash"]}"))'
    for label in schema.STAGE_LABELS.values():
        row += 1
        _put(page, row, 1, f"Numéraire, {label}")
        total = page.cell(row, 2, f'=SUMPRODUCT(({stages}="{label}")*{cash},{amounts})')
        total.number_format = money_format("EUR")
    _put(page, row + 2, 1, "Ce que chaque colonne attend", font=looks["head"])
    for place, field in enumerate(_FIELDS, start=row + 3):
        needed = " Nécessaire." if field.needed else ""
        words = f"{field.header} : {field.asked.format(year=year)}{needed}"
        _put(page, place, 1, french.typographic(words), alignment=_WRAPPED)


def _put(sheet: Worksheet, row: int, column: int, text: str, **look: Any) -> Any:
    """A cell of the sheet that holds the text as text, whatever it begins with."""
    cell = sheet.cell(row, column)
    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)
    cell.data_type = "s"
    for name, value in look.items():
        setattr(cell, name, value)
    return cell


# --- The source sheet ----------------------------------------------------------------------------


def _source_sheet(file: str, year: int, tables: Tables) -> str:
    """The source sheet of the workbook, in TOML."""
    return "\n".join(_lines(file, year, tables)) + "\n"


def _lines(file: str, year: int, tables: Tables) -> Iterator[str]:
    yield "# Fiche source du classeur de collecte. Complétez le producteur, la licence et la fiabilité."
    yield ""
    yield "[file]"
    for key, value in {
        "path": file,
        "sha256": UNSEALED,
        "title": f"Collecte {year}",
        "producer": "non précisé",
        "date": str(year),
        "licence": "non précisée",
        "reliability": "Déclaratif : classeur de collecte rempli à la main.",
    }.items():
        yield f"{key} = {_toml(value)}"
    for column, kept in _names(tables).items():
        yield ""
        yield f"[names.{column}]"
        for name, variants in kept.items():
            yield f"{_toml(name)} = [{', '.join(map(_toml, variants))}]"
    yield ""
    yield "[[table]]"
    yield f"id = {_toml(f'C{year}')}"
    yield f"title = {_toml(f'Collecte {year}')}"
    yield f"sheet = {_toml(_sheet(year))}"
    yield 'record_kind = "action"'
    yield f"year = {year}  # d'une ligne qui n'en dit pas"
    yield ""
    yield "[table.columns]"
    for field in _FIELDS:
        if field.role:
            said = _toml(field.role)
            said = f"{{ role = {said}, carried = true }}" if field.role == "title" else said
            yield f"{_toml(field.header)} = {said}"
    yield ""
    yield "[table.ignored]"
    for field in _FIELDS:
        if not field.role:
            yield f"{_toml(field.header)} = {_toml('sert à publier les données (ess export --to scdl)')}"
    yield ""
    yield "# Pour publier au format SCDL, complétez et retirez les #."
    yield "[scdl]"
    yield '# idAttribuant = "SIRET du financeur, 14 chiffres"'
    yield '# conditionsVersement = "unique"'
    yield '# datesPeriodeVersement = "2015-01-01/2015-12-31"'.replace("2015", str(year))
    yield '# notificationUE = "non"'
    yield ""
    yield "[scdl.columns]"
    for field in _FIELDS:
        if field.scdl and not field.role:
            yield f"{_toml(field.header)} = {_toml(field.scdl)}"


def _names(tables: Tables) -> dict[str, dict[str, list[str]]]:
    """The names kept by the sheets of the data and the ways they are written, by column."""
    found: dict[str, dict[str, list[str]]] = {}
    taken: dict[str, set[str]] = {}
    for sheet in tables.sources:
        for column, pairs in sheet.names.items():
            for written, kept in pairs.items():
                if written not in taken.setdefault(column, set()):
                    taken[column].add(written)
                    found.setdefault(column, {}).setdefault(kept, []).append(written)
    return found


def _toml(text: str) -> str:
    """The text between quotes, as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
