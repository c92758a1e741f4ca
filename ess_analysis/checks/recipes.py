"""How a number of a message was computed: asked only when it is shown, so that a long table costs no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

Recipe = Mapping[str, Any]  # how a number was computed; `traces.cited` makes a trace of it


@dataclass(frozen=True)
class Cited:
    """A number of a message: its text, and what says how it was computed, asked only when it is shown."""

    text: str
    recipe: Callable[[], Recipe]


def sum_of(lines: pd.DataFrame) -> Recipe:
    """The sum of these amounts: funding lines by their identifier, others by their cell."""
    if "funding_id" in lines:
        return {"op": "funding", "ids": lines["funding_id"].tolist()}
    return {"op": "lines", "lines": lines}


def stated_in(total: Any) -> Recipe:
    """What a stated total says."""
    return {"op": "stated", "id": total.total_id}


def count_of(rows: pd.DataFrame) -> Recipe:
    """The number of rows, one place each."""
    return {"op": "count", "lines": rows}


def difference_of(one: Recipe, other: Recipe) -> Recipe:
    """The first less the second."""
    return {"op": "difference", "of": (one, other)}


def gap_of(lines: pd.DataFrame, total: Any) -> Recipe:
    """What the lines make less what the total states."""
    return difference_of(sum_of(lines), stated_in(total))


def share_of(part: Recipe, whole: Recipe) -> Recipe:
    """The first in the second."""
    return {"op": "share", "of": (part, whole)}


def total_of(parts: Sequence[Recipe]) -> Recipe:
    """The sum of these."""
    return {"op": "total", "of": tuple(parts)}
