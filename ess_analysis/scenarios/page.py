"""The offline page for elected officials: one HTML file that computes what Python computes, without network.

What is shown without script is made here, at the central settings; the script says the same sentences again
when a slider moves (a test compares both).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ess_analysis import french
from ess_analysis.display import Shown
from ess_analysis.scenarios import criteria as arguments
from ess_analysis.scenarios import equations, evidence, exploration
from ess_analysis.scenarios.equations import OPTION_SHORT, OPTIONS, YEARS
from ess_analysis.scenarios.inputs import BADGES, PANEL_LABELS, STATUS_LABELS, Inputs, read_inputs

if TYPE_CHECKING:
    from ess_analysis.load import Tables

DRAWS = 1000  # carried by the page: those of the report and of the notebook, for the same ranges
_DIGITS = ascii_uppercase + ascii_lowercase + digits + "-_"  # two of them write a level: 64 × 64
FIRST_SHOWN = "V2"  # the input whose switching values are shown before anything moves
BAR_ENDS = {"N_sum": 40.0, "W_mean": 220.0}  # what a full bar stands for
_SHARED = ("id", "label", "panel", "unit", "low", "high", "step", "central")  # told to the script
BLOCK_WORDS = {"projects": "projets", "staff": "équipe", "money": "argent"}
MAIN = ("reading", "r0", "V1", "V2", "V3", "lam", "alpha", "H", "a")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class OfflinePage(Shown):
    """The whole page as a notebook shows it: a link that saves it, and the page itself for the batch."""

    page: str

    def json(self) -> dict[str, Any]:
        """The page, told apart from what is shown inside a report."""
        return {"kind": "page", "html": self.page}

    def html(self) -> str:
        """A link that saves the page, without a server."""
        content = base64.b64encode(self.page.encode()).decode()
        size = french.number(len(self.page.encode()) / 1000, 0)
        return (
            f'<p><a download="explorer.html" href="data:text/html;base64,{content}">'
            f"Enregistrer la page explorer.html</a> ({size} ko, s’ouvre sans réseau ni Jupyter)</p>"
        )


def write_explorer(path: str | Path, data: str | Path = "data/raw") -> Path:
    """The path of the page written from the data of a folder."""
    from ess_analysis.load import load

    tables = load(data)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(explorer(read_inputs(tables.data, tables), tables), encoding="utf-8")
    return path


def explorer(inputs: Inputs, tables: Tables) -> str:
    """The page as self-contained HTML: no request, policy by hash, meaningful without script."""
    css = (_HERE / "explorer.css").read_text(encoding="utf-8").strip()
    js = equations.script() + (_HERE / "explorer.js").read_text(encoding="utf-8").strip()
    communes = evidence.communes(tables, inputs).to_dict(orient="records")
    actions = evidence.actions_at_stake(tables)
    scores = arguments.read_criteria(inputs)
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters |= {
        "t": lambda text: french.typographic(str(text)),
        "js": _plain,
        "day": french.day,
        "eur": lambda amount: french.money(amount, 0),
        "capital": french.sentence_case,
    }
    return environment.get_template("explorer.html.j2").render(
        css=css,
        js=js,
        script_hash=_hash(js),
        style_hash=_hash(css),
        data=_embedded(_data(inputs, communes, actions, scores)),
        communes=communes,
        actions=actions.to_dict(orient="records"),
        loss=evidence.loss(1.0, inputs["TL"].central, actions),
        openings=evidence.openings(inputs).to_dict(orient="records"),
        equations=_equations(inputs),
        terms=_terms(inputs),
        warnings=exploration.warnings(inputs),
        footer=_footer(inputs),
        **_panels(inputs),
        **_results(inputs),
        **_arguments(scores, inputs),
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: float) -> str:
    """The number as HTML attributes and JavaScript write it: 1, 0.05."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _embedded(data: Any) -> str:
    """JSON that can stand inside a script element whatever its texts hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _data(
    inputs: Inputs, communes: list[dict[Any, Any]], actions: Any, scores: arguments.Criteria
) -> dict[str, Any]:
    """What the script reads: inputs, draws, labels, communes, scores."""
    levels = (exploration.hypercube(inputs, DRAWS) * DRAWS).astype(int).T
    return {
        "inputs": [
            {name: getattr(one, name) for name in _SHARED}
            | {"badge": BADGES[one.status], "choices": list(one.choices.items()),
               "window": exploration.search_window(one)}
            for one in inputs
        ],
        "options": OPTIONS,
        "years": YEARS,
        "headlines": exploration.HEADLINES,
        "bars": BAR_ENDS,
        "blocks": {str(code): name for code, name in equations.BLOCKS.items()},
        "words": BLOCK_WORDS,
        "ahead": exploration.AHEAD,
        "undecided": exploration.UNDECIDED,
        "moved": FIRST_SHOWN,
        "draws": DRAWS,
        "drawable": [one.id for one in exploration.drawable(inputs)],
        "digits": _DIGITS,
        "levels": ["".join(_DIGITS[n // 64] + _DIGITS[n % 64] for n in column) for column in levels],
        "low": exploration.LOW,
        "high": exploration.HIGH,
        "scan": exploration.SCAN,
        "equal": exploration.EQUAL,
        "actions": french.counted(int((actions["axis"] != "").sum()), "action", feminine=True),
        "communes": [{"name": one["name"], "told": evidence.told(one)} for one in communes],
        "criteria": {
            "ids": scores.ids,
            "options": arguments.COMPARED,
            "central": scores.matrix().tolist(),
            "restsEqual": arguments.rests_on(scores),
            "restsChosen": arguments.rests_on(scores, {name: k + 1 for k, name in enumerate(scores.ids)}),
        },
    }  # fmt: skip


def _panels(inputs: Inputs) -> dict[str, Any]:
    movable = inputs.panel("assumption")
    return {
        "decisions": inputs.panel("decision"),
        "assumptions": [one for one in movable if one.id in MAIN],
        "others": [one for one in movable if one.id not in MAIN],
        "fixed": [one for one in inputs if one.fixed],
        "badges": BADGES,
        "statuses": STATUS_LABELS,
        "panels": PANEL_LABELS,
        "quoted": inputs.quoted,
    }


def _results(inputs: Inputs) -> dict[str, Any]:
    """Everything the results show at the central settings, in the words the script uses."""
    records = exploration.scenarios(inputs, draws=DRAWS)
    last = records[records["year"] == YEARS[-1]]
    shown: dict[str, Any] = {
        column: last.pivot(index="indicator", columns="option", values=column).T.to_dict()
        for column in ("value", "low", "high")
    }
    values = shown["value"]
    run = equations.simulate(inputs.central())
    blocks = {
        option: [
            {"year": year, "block": equations.BLOCKS[int(run["block"][number, k, 0])],
             "projects": french.number(run["N"][number, k, 0], 1)}
            for k, year in enumerate(YEARS)
        ]
        for number, option in enumerate(OPTIONS)
    }  # fmt: skip
    first = inputs[FIRST_SHOWN]
    switches = exploration.switching_told(
        inputs, first.id, exploration.switching(inputs, first.id), first.central
    )
    return {
        "options": OPTIONS,
        "short": OPTION_SHORT,
        "years": YEARS,
        "labels": exploration.SUMMARY_LABELS,
        "values": values,
        "low": shown["low"],
        "high": shown["high"],
        "marks": {"N_sum": values["N_sum"]["S0"], "W_mean": inputs["H"].central},
        "share": lambda name, value: f"{100 * min(1.0, value / BAR_ENDS[name]):.3f}%",
        "said": exploration.said,
        "blocks": blocks,
        "words": BLOCK_WORDS,
        "capacity": french.number(inputs["H"].central, 0),
        "headline": exploration.headline_told(inputs),
        "problems": " ".join(exploration.impossibilities(run)),
        "rests_on": exploration.RESTS_ON,
        "no_winner": exploration.no_winner(inputs),
        "switch_title": f"Et si « {first.label} » changeait ?",
        "switches": switches,
        "switch_line": f"{first.label} : {switches[0][0].lower()}{switches[0][1:]}",
        "draws": DRAWS,
        "seed": exploration.SEED,
    }


def _arguments(scores: arguments.Criteria, inputs: Inputs) -> dict[str, Any]:
    cited = sorted({one for statements in scores.scores["statements"] for one in statements})
    rows = []
    for name, label in scores.labels.items():
        cells = [
            _score(row) for row in scores.scores[scores.scores["criterion"] == name].to_dict(orient="records")
        ]
        rows.append({"id": name, "label": label, "cells": cells})
    return {
        "criteria": rows,
        "statements": [(one, inputs.quoted(one)) for one in cited],
        "dominance": arguments.dominance_told(scores),
        "ranking": arguments.ranking_told(scores),
        "acceptability": arguments.acceptability_told(scores),
    }


def _score(row: dict[Any, Any]) -> dict[str, str]:
    mark, basis = arguments.BASES[row["basis"]]
    cited = f"{basis} : {', '.join(row['statements'])}" if row["statements"] else basis
    low, central, high = (french.number(row[key], 0) for key in ("low", "central", "high"))
    shown = french.signed(central) if row["central"] else central
    return {"mark": mark, "basis": cited, "low": low, "high": high, "central": shown}


def _equations(inputs: Inputs) -> list[dict[str, str]]:
    known = {one.id: one.symbol for one in inputs}
    return [
        {"number": e.number, "label": e.label, "symbol": e.symbol, "words": e.words, "unit": e.unit,
         "formula": equations.symbols(e.formula, known)}
        for e in equations.EQUATIONS
    ]  # fmt: skip


def _terms(inputs: Inputs) -> list[dict[str, Any]]:
    known = {one.id: one.symbol for one in inputs}
    return [
        {
            "symbol": symbol,
            "words": words,
            "formulas": [equations.symbols(formula, known) for formula in by_option],
        }
        for symbol, words, by_option in equations.OPTION_TERMS.values()
    ]


def _footer(inputs: Inputs) -> str:
    dates = max(one.date for one in inputs)
    return (
        f"Hypothèses du {french.day(dates)}. Empreinte de la note : {inputs.note_sha256[:12]}. "
        "Page autonome : aucun envoi, aucun suivi, elle fonctionne sans réseau."
    )
