"""Where each number of the scenario report comes from: an entry of a file, the model, its draws, a count.

A trace of the model names the equation, the option and the year; the inputs it was computed from are in the
report's last table, each leading to its line of `inputs.toml`, or to the cells it is recomputed from. In
`model`, a program finds what it needs to compute the number again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.display import Number, Sentence
from ess_analysis.scenarios import derived
from ess_analysis.scenarios.equations import BLOCK_LABELS, BLOCKS, INDICATORS, YEARS
from ess_analysis.scenarios.exploration import HIGH, LOW, SEED
from ess_analysis.scenarios.inputs import Input, Inputs
from ess_analysis.traces import Trace

INPUTS, CRITERIA = "scenarios/inputs.toml", "scenarios/criteria.toml"
STATEMENTS, MEMBERS = f"{derived.NOTE}/scenario_statements.csv", "reference/mel_communes.csv"

# A number in a sentence: not a year, not the name of a scenario, of a statement or of a cell.
_NUMBER = re.compile(
    r"(?<![\w,.\-−+])[+−]?(?!(?:19|20)\d\d(?![\d\u202f\u00a0]))\d+(?:\u202f\d{3})*(?:,\d+)?(?:\u00a0[%€])?(?![\w\-])"
)


def cited(text: str, traces: Iterable[Trace | None]) -> Sentence:
    """The text, each of its numbers leading, in turn, to a trace (None: a number that is no figure)."""
    text, waiting = french.typographic(text), list(traces)
    found = numbers_in(text)
    if len(found) != len(waiting):
        raise ValueError(f"{len(waiting)} traces for the {len(found)} numbers of « {text} »")
    parts: list[str | Number] = []
    at = 0
    for one, trace in zip(found, waiting, strict=True):
        parts += [text[at : one.start()], Number(one.group(), trace) if trace else one.group()]
        at = one.end()
    return Sentence(tuple(part for part in (*parts, text[at:]) if part))


def numbers_in(text: str) -> list[re.Match[str]]:
    """The numbers of a sentence, its years and its names left out."""
    return list(_NUMBER.finditer(text))


# --- Values written in a file ------------------------------------------------------------------------


def entry(file: str, address: str, value: float, words: str) -> Trace:
    """The trace of a value written in a settings file: « input.tau.central »."""
    cell = [file, "", address, str(value).removesuffix(".0"), 0]
    return {"op": "stated", "unit": "", "value": value, "words": words, "cells": [cell]}


def input_trace(one: Input, key: str = "central") -> Trace:
    """The trace of an input's value or bound, as signed in `inputs.toml`."""
    value = one.signed if key == "central" and one.signed == one.signed else getattr(one, key)
    what = {"central": "valeur de départ", "low": "borne basse", "high": "borne haute"}[key]
    words = f"{what} de « {one.label} » ({one.symbol}), écrite par {one.author} le {french.day(one.date)}"
    return entry(INPUTS, f"input.{one.id}.{key}", value, words)


def value_trace(one: Input, value: float, found: Mapping[str, Trace]) -> Trace:
    """The trace of the value an input has here: set, recomputed from the tables, or as signed."""
    if value != one.central:
        return setting(value, f"réglage choisi pour « {one.label} », au lieu de {one.said(one.central)}")
    return found.get(one.recomputed) or input_trace(one)


def bounds_traces(one: Input) -> list[Trace]:
    """The traces of the two bounds of an input."""
    return [input_trace(one, "low"), input_trace(one, "high")]


def setting(value: float, words: str) -> Trace:
    """The trace of a parameter of the report or of a convention of its method."""
    return {"op": "setting", "unit": "", "value": value, "words": words}


def score_trace(row: Mapping[Any, Any], key: str) -> Trace:
    """The trace of a score (low, central, high) of `criteria.toml`."""
    words = f"cotation de « {row['label']} » pour {row['option']}"
    return entry(CRITERIA, f"criterion.{row['criterion']}.score.{row['option']}.{key}", row[key], words)


# --- What the model gives ---------------------------------------------------------------------------


def model_trace(
    indicator: str,
    option: str,
    value: float,
    year: int | str = YEARS[-1],
    changes: Mapping[str, float] | None = None,
) -> Trace:
    """The trace of an indicator at the settings: its equation, in words. `year`: one of YEARS, or « max ».

    `changes` are the inputs that this number changes for itself, from their central value.
    """
    equation = INDICATORS[indicator]
    when = "la pire année" if year == "max" else str(year)
    words = (
        f"{equation.label}, {option}, {when} : {equation.words} (équation {equation.number}, "
        "entrées du dernier tableau)"
    )
    model: dict[str, Any] = {"of": indicator, "option": option, "year": year}
    if changes:
        words += f", sauf {french.listing(f'{name} = {number}' for name, number in changes.items())}"
        model["set"] = dict(changes)
    return {"op": "model", "unit": equation.unit, "value": float(value), "words": words, "model": model}


def draws_trace(
    indicator: str, option: str, value: float, statistic: str, draws: int, year: int = YEARS[-1]
) -> Trace:
    """The trace of a statistic of the draws: « low », « high », « holds », or a key of BLOCKS' labels."""
    what = {
        "low": f"valeur que {french.percent(1 - LOW)} des tirages dépassent",
        "high": f"valeur que {french.percent(1 - HIGH)} des tirages dépassent",
        "holds": "part des tirages où l’équipe suffit chaque année",
    }.get(statistic) or f"part des tirages où c’est {BLOCK_LABELS[statistic]} qui limite"
    equation = INDICATORS[indicator]
    told = "" if statistic in (*BLOCKS.values(), "holds") else f" : {equation.label}"
    words = f"{what}{told}, {option}, {year} ({french.number(draws)} tirages, graine {SEED})"
    model = {"of": indicator, "option": option, "year": year, "statistic": statistic, "draws": draws}
    return {"op": "draws", "unit": equation.unit, "value": float(value), "words": words, "model": model}


def spread_traces(indicator: str, option: str, row: Mapping[Any, Any], draws: int) -> list[Trace]:
    """The traces of a value and of its range: value, low, high."""
    return [
        model_trace(indicator, option, row["value"]),
        draws_trace(indicator, option, row["low"], "low", draws),
        draws_trace(indicator, option, row["high"], "high", draws),
    ]


def block_trace(row: Mapping[Any, Any], block: str, draws: int) -> Trace:
    """The trace of the share of draws in which `block` limits an option in a year."""
    assert block in BLOCKS.values()
    return draws_trace("block", row["option"], row[block], block, draws, int(row["year"]))


def switch_trace(inputs: Inputs, row: Mapping[Any, Any]) -> Trace:
    """The trace of a value at which two options change places."""
    one = inputs[row["input"]]
    equation = INDICATORS[row["indicator"]]
    words = (
        f"valeur de « {one.label} » ({one.symbol}) où {row['option']} et {row['other']} sont à égalité "
        f"en {YEARS[-1]} : équation {equation.number} ({equation.label}), les autres entrées étant inchangées"
    )
    model = {"of": row["indicator"], "options": [row["option"], row["other"]], "input": one.id}
    model["step"] = one.step
    value = one.rounded(float(row["value"]))
    return {"op": "switch", "unit": one.unit, "value": value, "words": words, "model": model}


# --- What the arguments weigh ------------------------------------------------------------------------


def ranking_trace(scores: pd.DataFrame, option: str) -> Trace:
    """The trace of an option's score at equal weights: the mean of its central scores."""
    own = scores[scores["option"] == option].to_dict(orient="records")
    cells = [cell for row in own for cell in score_trace(row, "central")["cells"]]
    total = sum(row["central"] for row in own)
    whole = {"op": "sum", "unit": "", "value": total, "words": "somme des cotations", "cells": cells}
    number = {"op": "count", "unit": "count", "value": len(own), "words": "critères", "cells": cells}
    words = f"moyenne des {len(own)} cotations centrales de {option}"
    return {"op": "share", "unit": "", "value": total / len(own), "words": words, "of": [whole, number]}


def scores_trace(scores: pd.DataFrame, what: str) -> Trace:
    """The trace of a number of scores."""
    cells = [cell for row in scores.to_dict("records") for cell in score_trace(row, "central")["cells"]]
    return {"op": "count", "unit": "count", "value": len(cells), "words": what, "cells": cells}


def weight_trace(row: Mapping[Any, Any], label: str) -> Trace:
    """The trace of a criterion's weight at which two options tie, the others keeping their proportions."""
    words = f"poids de « {label} » où {row['option']} et {row['other']} sont à égalité, cotations centrales"
    model = {"of": "weight", "options": [row["option"], row["other"]], "criterion": row["criterion"]}
    return {"op": "weight", "unit": "%", "value": float(row["weight"]), "words": words, "model": model}


def first_trace(option: str, share: float, draws: int, left_out: Sequence[str] = ()) -> Trace:
    """The trace of the share of draws in which an option comes first; `left_out`: (kind, name)."""
    words = f"part des {french.number(draws)} tirages de poids et de cotations où {option} arrive en tête"
    words += f", graine {SEED}" + (f", sans : {left_out[1]}" if left_out and left_out[0] != "all" else "")
    model = {"of": "first", "option": option, "draws": draws, "left_out": list(left_out)}
    return {"op": "first", "unit": "%", "value": float(share), "words": words, "model": model}


# --- What the note says --------------------------------------------------------------------------------


@cache
def _lines(path: Path) -> pd.DataFrame:
    """A CSV file as texts, and the number of each line."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    return table.assign(line_number=range(2, len(table) + 2))


def csv_count(inputs: Inputs, file: str, column: str, kept: Sequence[str], words: str) -> Trace:
    """The trace of a number of lines of a CSV: those whose first column is in `kept`, at `column`."""
    table = _lines(inputs.data / file)
    letter = chr(ord("A") + list(table.columns).index(column))
    rows = table[table.iloc[:, 0].isin(kept)]
    cells = [
        [file, "", f"{letter}{number}", text, 0]
        for number, text in zip(rows["line_number"], rows[column], strict=True)
    ]
    return {"op": "count", "unit": "count", "value": len(cells), "words": words, "cells": cells}


def cases_trace(value: int, silent: bool) -> Trace:
    """The trace of the number of cases of the evidence matrix, or of those where the note is silent."""
    words = "sujets × scénarios" + (" sans aucun énoncé" if silent else "")
    cell = [STATEMENTS, "", "", "scenario_statements.csv", 0]
    model = {"of": "silent" if silent else "cases"}
    return {"op": "cases", "unit": "count", "value": value, "words": words, "cells": [cell], "model": model}


def members_trace(inputs: Inputs) -> Trace:
    """The trace of the number of communes that were members in 2013."""
    table = _lines(inputs.data / MEMBERS)
    kept = table.loc[table["member_in_2013"] == "yes", table.columns[0]].tolist()
    return csv_count(inputs, MEMBERS, "member_in_2013", kept, "communes membres en 2013")


def inputs_count(some: Sequence[Input], words: str) -> Trace:
    """The trace of a number of inputs."""
    cells = [cell for one in some for cell in input_trace(one)["cells"]]
    return {"op": "count", "unit": "count", "value": len(some), "words": words, "cells": cells}
