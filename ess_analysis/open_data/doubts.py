"""What in a table makes its sum doubtful: each doubt is a question that only a person can answer.

A table is not what its header says when something else in the file contradicts it: a unit in a title, a line
that was refused, a loan among grants, a count under a column of euros, the same money at two depths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.load import KIND_WORDS, closed_word

# --- Units and currencies outside the header -------------------------------------------------------

_UNIT = re.compile(
    r"\bk ?€|\bm ?€|\bk(?:ilo)?-?euros?\b|\bm(?:é|e)ga-?euros?\b|\bkf\b|\b(?:en|in) (?:milliers|millions|thousands)\b|"
    r"\bmilliers? (?:d['’ ]?\s*)?(?:€|euros?)|\bmillions? (?:d['’ ]?\s*)?(?:€|euros?)|[x×*] ?1[ .]?000\b|"
    r"\bcentimes?\b|£ ?k\b|\bk ?£|€ ?k\b",
    re.IGNORECASE,
)
CURRENCIES = {
    "XPF": r"\b(?:xpf|cfp|francs? pacifiques?|f\.? ?cfp)\b",
    "CHF": r"\b(?:chf|francs? suisses?|sfr)\b",
    "FRF": r"\bfrancs?\b(?! (?:pacifique|suisse|cfp))",
    "GBP": r"£|\bgbp\b|\bpounds?\b|\bsterling\b",
    "USD": r"\$|\busd\b|\bdollars?\b",
}
_UNIT_ALONE = re.compile(
    r"(?:en )?(?:k ?€|m ?€|keur|kf|milliers?|millions?|k|centimes?|kiloeuros?)", re.IGNORECASE
)


def unit(texts: Iterable[str]) -> str | None:
    """The first text that says amounts are in thousands, millions or cents."""
    return next((text.strip()[:80] for text in texts if _UNIT.search(text)), None)


def scaled(number_format: str) -> bool:
    """Whether a number format shows euros divided by a thousand: the value of the cell is whole."""
    return bool(re.search(r"[0#],+(?![0#,])", number_format))


def unit_alone(values: Iterable[object]) -> str | None:
    """The first value of a column that is nothing but a unit (« k€ »)."""
    return next((str(value) for value in values if _UNIT_ALONE.fullmatch(str(value).strip())), None)


def currencies(texts: Iterable[str]) -> set[str]:
    """The currencies other than the euro that texts around the table name."""
    return {
        code for text in texts for code, sign in CURRENCIES.items() if re.search(sign, text, re.IGNORECASE)
    }


# --- Lines that are not grants ---------------------------------------------------------------------

_NOT_GRANTED = re.compile(
    r"(?:avis )?(?:refus|rejet|defavorable|ajourn|annul|irrecevable|sans suite|retire|abandonn|inelig|non (?:retenu|attribu|"
    r"accord|elig|favorable|verse)|en attente|en cours d instruction|recettes?\b|a l etude|declined|rejected|withdrawn|refused|"
    r"cancelled)"
)
FEW = 12  # distinct values that a column of categories may have, however short the table


def not_granted(values: pd.Series) -> str | None:
    """The first value of a column of categories that says a line is no grant: refused, cancelled, a receipt."""
    categories = _categories(values)
    for value in categories:
        if _NOT_GRANTED.match(bare(value)):
            return value
    said = {bare(value) for value in categories}
    return next(iter(categories), None) if said and said <= {"d", "r"} and "r" in said else None


def other_kind(values: pd.Series) -> str | None:
    """The first value of a column of categories that says a loan, a guarantee or aid in kind."""
    return next(
        (value for value in _categories(values) if closed_word(value, KIND_WORDS) not in (None, "cash")), None
    )


def all_kinds(values: pd.Series) -> bool:
    """Whether every value of a column is a word of kinds, and one of them is not cash."""
    read = {closed_word(value, KIND_WORDS) for value in _categories(values)}
    return bool(read - {"cash"}) and None not in read


def _categories(values: pd.Series) -> list[str]:
    """The distinct texts of a column that sorts lines; none for a column of names or free texts."""
    distinct = [value for value in pd.unique(values) if isinstance(value, str) and value.strip()]
    if len(distinct) > max(FEW, len(values) // 20) or any(len(value) > 60 for value in distinct):
        return []
    return distinct


def bare(text: str) -> str:
    """The words of a text without case, accents or signs."""
    return " ".join(re.findall(r"[a-z0-9]+", french.strip_accents(text).lower()))


# --- Lines that add up others ----------------------------------------------------------------------

_SUMMARY = re.compile(
    r"\b(?:nombre|moyenne|mediane|solde|reliquat|credits?|disponible|reste|report|reporter|rappel|recapitulatif|recap|"
    r"enveloppe|budget|maximum|minimum|pour memoire|ecart)\b"
)


def is_summary(label: str) -> bool:
    """Whether the words of a line are those of a count, a mean, a balance, a carried sum."""
    return bool(_SUMMARY.search(bare(label)))


def vertical_sums(formulas: Mapping[tuple[int, int], str], column: int) -> set[int]:
    """The rows whose cell in a column is a formula that adds up cells above or below it."""
    found = set()
    for (row, at), formula in formulas.items():
        spans = re.findall(r"\$?([A-Z]{1,3})\$?(\d+):\$?([A-Z]{1,3})\$?(\d+)", str(formula))
        adds = re.match(
            r"\s*=\s*(?:SUM|SUBTOTAL|SOMME|SOUS\.TOTAL|AGGREGATE)\s*\(", str(formula), re.IGNORECASE
        )
        if at == column and adds and any(left == right and top != low for left, top, right, low in spans):
            found.add(row)
    return found


def parents(cents: pd.Series, below: bool = True) -> list[int]:
    """The rows that each add up the rows under them (or above, if not `below`), when such families are the whole table.

    Empty unless every row belongs to a family, two families or more, one of them of two rows at least: round
    numbers that add up by chance do not cover a table.
    """
    values = cents if below else cents.iloc[::-1]
    amounts = values.to_numpy()
    if len(amounts) < 5 or (amounts <= 0).any():
        return []
    sums = np.concatenate([[0], np.cumsum(amounts)])
    found, at, several = [], 0, False
    varied = False  # equal details (a part repeated) add up to round numbers by chance
    while at < len(amounts):
        end = int(np.searchsorted(sums, sums[at + 1] + amounts[at]))
        if end >= len(sums) or sums[end] != sums[at + 1] + amounts[at] or end < at + 2:
            return []
        found.append(at)
        several |= end > at + 2
        varied |= len(set(amounts[at + 1 : end].tolist())) > 1
        at = end
    return [int(row) for row in values.index[found]] if several and varied and len(found) > 1 else []


def thin_tail(filled: pd.Series) -> list[int]:
    """The last rows, if they are much emptier than all the others: a recapitulation, a count, a balance."""
    usual = filled.median() if len(filled) else 0
    thin = filled.le(usual / 2)
    if usual < 2 or not thin.any():
        return []
    tail = next((n for n, row in enumerate(thin.to_numpy()[::-1]) if not row), len(thin))
    inside = thin.iloc[: len(thin) - tail]
    return [int(row) for row in thin.index[len(thin) - tail :]] if tail and inside.mean() < 0.02 else []


def numbered(rows: pd.DataFrame) -> Iterator[int]:
    """The first rows whose cells are the numbers or letters of the columns: 1 2 3, (1) (2) (3), A B C."""
    for row, values in rows.head(2).iterrows():
        said = [
            str(value).strip()
            for value in values
            if value is not None and value == value and str(value).strip()
        ]
        digits = [re.sub(r"\.0$", "", text.strip("()")) for text in said]
        letters = [chr(65 + n) for n in range(len(said))]
        if len(said) > 1 and (
            digits == [str(n + 1) for n in range(len(said))] or [d.upper() for d in digits] == letters
        ):
            yield int(row)  # type: ignore[call-overload]
