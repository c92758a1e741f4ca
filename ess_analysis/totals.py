"""Lines that add up others: how they are named, and how their sum tells them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

TOTAL = re.compile(
    r"\s*(?:s ?/ ?t\b|(?:sous|s|sub|grand)?[-/ ]*t ?o ?t ?a ?(?:ls?|ux)\b|montant total\b|"
    r"(?:ensemble|cumul|somme)\s*:?\s*$)|.*\btotal\s*:?\s*$",
    re.IGNORECASE | re.DOTALL,
)


def summing_up(sums: list[int]) -> int | None:
    """The place of the sum that is that of all the others, where there is one."""
    return next((at for at, own in enumerate(sums) if own and own * 2 == sum(sums)), None)


def may_be_totals(texts: pd.DataFrame) -> pd.DataFrame:
    """Of each row, whether it is named as totals are (`named`), or says at most half as much as the others (`thin`).

    `texts`: the words of each row, missing where there are none.
    """
    words = texts.notna().sum(axis="columns")
    named = pd.DataFrame({column: _named(texts[column]) for column in texts}, index=texts.index)
    return pd.DataFrame({"named": named.any(axis="columns"), "thin": words.le(words.median() / 2)})


def counted_totals(euros: pd.DataFrame, rows: pd.DataFrame) -> list[int]:
    """The rows that are the sum of those above them, or of their part since the last one, in every column they fill.

    `euros`: the amounts of each row, one column for each column of the table; `rows`: what `may_be_totals` says of them.
    One that is not named as a total adds up two rows or more.
    """
    said, candidate = rows["named"], rows.any(axis="columns").to_numpy()
    cents = (euros * 100).round()
    known = cents.notna().to_numpy()
    amounts = cents.fillna(0).to_numpy(dtype=np.int64)
    sums, lines = np.cumsum(amounts, axis=0), np.cumsum(known.any(axis=1))
    whole = sums[-1] if len(sums) else sums
    found: list[int] = []
    totals = before = np.zeros(amounts.shape[1], dtype=np.int64)
    last = 0
    for at in np.flatnonzero(candidate & known.any(axis=1)).tolist():
        own, named = amounts[at], said.iat[at]
        above = sums[at] - own - totals
        added = [above - before, above, totals] if at else [whole - own] if named else []
        several = lines[at] - 1 - last > (0 if named else 1) or not at
        if several and own.any() and any((own == one)[known[at]].all() for one in added):
            found.append(int(cents.index[at]))
            totals, before, last = totals + own, above, lines[at]
    return found


def _named(texts: pd.Series) -> pd.Series:
    """Whether each text begins, or ends, as the name of a total does."""
    codes, distinct = pd.factorize(texts)
    return pd.Series(
        np.array([*(bool(TOTAL.match(text)) for text in distinct), False])[codes], index=texts.index
    )
