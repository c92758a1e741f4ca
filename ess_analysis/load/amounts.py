"""The amounts that the cells of a column say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.load.body import Body
from ess_analysis.load.cells import mapped, text_of
from ess_analysis.load.notes import SHOWN_NOTES, noted

SIGNS = {
    "GBP": r"£|\bGBP\b",
    "USD": r"(?:\bUS ?)?\$|\bUSD\b",
    "CAD": r"(?:\bCA ?)?\$(?:\s*CAN?\b)?|\bCAD\b",
    "CHF": r"\bCHF\b|\bFr\.",
}
_PLAIN = r"[0-9]{1,13}(?:[.,][0-9]{1,2})?"
_MOST = 1e13  # euros: above, cents would be lost, and no public body has given as much


@dataclass(frozen=True)
class Amounts:
    """The amounts of distinct values, by code: euros (NaN when none), the year beside it (0 when none).

    `several` holds those of the values that hold more than one; the last code is a blank.
    """

    euros: np.ndarray
    years: np.ndarray
    several: dict[int, list[french.Amount]]
    unread: np.ndarray
    silent: np.ndarray  # a text that the source sheet says to be no amount


def distinct_amounts(
    distinct: Any,
    decimal: str = "",
    no_amount: Iterable[str] = (),
    unit: float = 1.0,
    strip: str = "",
    currency: str = "EUR",
    thousands: str = "",
) -> Amounts:
    """The amounts that the distinct values of a column say, each read once."""
    size = len(distinct) + 1
    euros, years, several = np.full(size, np.nan), np.zeros(size, dtype=int), {}
    unread, silent = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    values = pd.Series(distinct)
    if pd.api.types.is_numeric_dtype(values) or values.dtype == "str":
        plain = values.notna() if values.dtype != "str" else values.str.fullmatch(_PLAIN)
        numbers = values[plain] if values.dtype != "str" else values[plain].str.replace(",", ".")
        euros[:-1][plain] = pd.to_numeric(numbers)
    else:
        plain = pd.Series(False, index=values.index)
    nothing = {"-", "–", "—", *map(french.nfc, no_amount)}
    for code in np.flatnonzero(~plain):
        value = distinct[code]
        text = text_of(value)
        if isinstance(value, (int, float)):
            euros[code] = value if abs(value) < _MOST else np.inf
        elif text is None or text in nothing:
            silent[code] = text is not None
        else:
            bare = text.removeprefix(strip).removesuffix(strip).strip() if strip else text
            if thousands:
                bare = re.sub(rf"(?<=\d){re.escape(thousands)}(?=\d{{3}}(?!\d))", "", bare)
            found = french.cell_amounts(_in_euros(bare, currency), decimal)
            unread[code] = not found
            if len(found) == 1:
                euros[code], years[code] = found[0].euros, found[0].year or 0
            elif found:
                several[int(code)] = [a._replace(euros=round(a.euros * unit, 6)) for a in found]
    beyond = ~(np.abs(euros) < _MOST) & ~np.isnan(euros)
    euros[beyond], unread[beyond] = np.nan, True
    return Amounts(np.round(euros * unit, 6), years, several, unread, silent)


def _in_euros(text: str, currency: str) -> str:
    """The text with the sign of its currency gone; that of another currency leaves nothing to read."""
    if currency == "EUR":
        return re.sub(r"^(?:€|EUR)\s*(?=\d)(.*)$", r"\1 €", text)
    return (
        ""
        if re.search(r"€|euros?\b|\bEUR\b", text)
        else re.sub(SIGNS.get(currency, "(?!)"), "", text).strip()
    )


def amounts_of(
    body: Body, column: int, rows: pd.Index, one: bool = False
) -> tuple[np.ndarray, Amounts, list[dict[str, Any]]]:
    """The code of each row of a column, the amounts of each code, what is told of the cells without one.

    Raises DataError, if the source sheet does not say otherwise, on a text that says no amount, on a negative
    amount, on several amounts where `one` is expected; always on a cell merged over several rows.
    """
    _refuse_merged(body, column, rows)
    values = body.grid.values[column].loc[rows]
    codes, distinct = pd.factorize(
        mapped(values, lambda value: value) if values.dtype == "object" else values
    )
    read = next(read for read in body.table.columns if body.columns[read.header] == column)
    amounts = distinct_amounts(
        distinct,
        body.sheet.decimal,
        body.table.no_amount,
        read.unit,
        read.strip,
        body.sheet.currency,
        body.sheet.thousands,
    )
    unread, negative = amounts.unread.copy(), amounts.euros < 0
    for code, found in amounts.several.items():
        unread[code], negative[code] = one, any(amount.euros < 0 for amount in found)
    told: list[dict[str, Any]] = []
    for what, name, wrong in (
        ("Montant illisible", "READ-AMOUNT", unread),
        ("Montant négatif", "READ-NEGATIVE", negative),
        ("Aucun montant n’est écrit", "READ-NO-AMOUNT", amounts.silent),
    ):
        at = np.flatnonzero(wrong[codes])
        if not len(at):
            continue
        texts = values.iloc[at].map(lambda value: text_of(value) or "")
        if body.strict and name != "READ-NO-AMOUNT":
            shown = texts.iloc[: SHOWN_NOTES + 1]
            raise DataError(
                f"{body.said(what)}.",
                seen=[f"{body.grid.address(row, column)} : {shown[row]}" for row in shown.index],
                todo=_AMOUNT_ADVICE[name],
            )
        told += noted(body, name, column, texts, f"« {{}} » : {what[0].lower() + what[1:]}.")
    return codes, amounts, told


def one_amount(body: Body, column: int, rows: pd.Index) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The one amount of each row in a column that holds one at most, and what is told of it."""
    codes, amounts, told = amounts_of(body, column, rows, one=True)
    return amounts.euros[codes], told


_AMOUNT_ADVICE = {
    "READ-AMOUNT": "écrivez un nombre par cellule, ou déclarez ce texte dans no_amount de la fiche source.",
    "READ-NEGATIVE": "un montant reçu ou prévu est positif : vérifiez le signe dans le classeur d’origine.",
}


def _refuse_merged(body: Body, column: int, rows: pd.Index) -> None:
    for r1, c1, r2, c2 in body.grid.merged:
        if c1 <= column <= c2 and r2 > r1 and rows.isin(range(r1 + 1, r2 + 1)).any():
            raise DataError(
                f"{body.said('Cellule fusionnée sur plusieurs lignes dans une colonne de montants')}, "
                f"{body.grid.address(r1, c1)}:{body.grid.address(r2, c2)}.",
                seen=[body.grid.cell(r1, c1)],
                todo="défusionnez-la et écrivez un montant par ligne.",
            )
