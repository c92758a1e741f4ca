"""The answers of the scenario reports: one function for each question, giving what the notebook shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.display import (
    Column,
    Cover,
    DisplayTable,
    Figure,
    Glossary,
    Group,
    Listing,
    Number,
    Sentence,
)
from ess_analysis.figures import Bar, bars_svg
from ess_analysis.load import Tables, load
from ess_analysis.scenarios import criteria as arguments
from ess_analysis.scenarios import derived, equations, evidence, exploration, sourced
from ess_analysis.scenarios.equations import OPTION_LABELS, OPTION_SHORT, OPTIONS, YEARS
from ess_analysis.scenarios.inputs import PANEL_LABELS, STATUS_LABELS, Inputs, read_inputs
from ess_analysis.scenarios.settings import Frozen, read_frozen, settings
from ess_analysis.scenarios.sourced import cited
from ess_analysis.traces import Trace, share_of

DRAWN_FROM = "Note de la Métropole (2011-2014) et hypothèses datées ; calculs ess_analysis."
SOURCE = f"Source : {DRAWN_FROM[0].lower()}{DRAWN_FROM[1:]}"
LISTED = 6  # rows of a table that a reader scans before the text loses them


@dataclass(frozen=True)
class Exploration:
    """What a report is about: the inputs, what was changed, and how many draws its ranges rest on."""

    tables: Tables
    inputs: Inputs
    criteria: arguments.Criteria
    changes: Mapping[str, Any]
    draws: int
    frozen: Frozen | None = None

    @cached_property
    def values(self) -> dict[str, float]:
        """The value of every input."""
        return settings(self.inputs, self.changes)

    @cached_property
    def run(self) -> dict[str, Any]:
        """The central run at these settings."""
        return equations.simulate(self.values)

    @cached_property
    def spread(self) -> dict[str, Any]:
        """The run of the draws, which ranges and shares are read from."""
        return exploration.spread(self.inputs, self.changes, draws=self.draws)

    @cached_property
    def recomputed(self) -> dict[str, Trace]:
        """The traces of the values recomputed from the tables, by name."""
        return {**derived.traces(self.tables), "communes_of_the_mel": sourced.members_trace(self.inputs)}

    def value_trace(self, name: str) -> Trace:
        """Where the value of an input comes from."""
        return sourced.value_trace(self.inputs[name], self.values[name], self.recomputed)

    def model_trace(self, indicator: str, option: str, year: int | str = YEARS[-1]) -> Trace:
        """Where an indicator of the run comes from; `year` may be « max »."""
        series = self.run[indicator][OPTIONS.index(option), :, 0]
        value = series.max() if year == "max" else series[YEARS.index(int(year))]
        return sourced.model_trace(indicator, option, float(value), year)


def explored(
    data: str | Path = "data/raw",
    *,
    scenario: str = "",
    draws: int = 1000,
    changes: Mapping[str, Any] | None = None,
) -> Exploration:
    """The scenarios ready to be asked: central settings, a frozen scenario (path), or `changes` over them."""
    tables = load(data)
    inputs = read_inputs(tables.data, tables)
    frozen = read_frozen(scenario, inputs) if scenario else None
    asked = {**(frozen.changes if frozen else {}), **(changes or {})}
    settings(inputs, asked)
    return Exploration(tables, inputs, arguments.read_criteria(inputs), asked, draws, frozen)


def told(text: str) -> Sentence:
    """One paragraph, with French spaces."""
    return Sentence((french.typographic(text),))


def _listing(texts: Iterable[str], kind: str = "list") -> Listing:
    return Listing(tuple(told(text) for text in texts), kind)


def _table(
    frame: pd.DataFrame, caption: str | Sentence, *, numeric: Iterable[str] = (), note: str = ""
) -> DisplayTable:
    """A display table of texts already written in French."""
    numbers = set(numeric)
    columns = tuple(Column(str(name), name in numbers) for name in frame.columns)
    rows = tuple(tuple(_cell(value) for value in row) for row in frame.itertuples(index=False))
    said = caption if isinstance(caption, Sentence) else told(caption)
    return DisplayTable(said, columns, rows, note=french.typographic(note))


def _cell(value: object) -> str | Number | Sentence:
    return value if isinstance(value, Number | Sentence) else french.typographic(str(value))


def _named(option: str) -> str:
    return f"{option} {OPTION_SHORT[option]}"


# --- The top of the report -------------------------------------------------------------------------


def cover(about: Exploration) -> Cover:
    """What the report is about, on which settings, on which note."""
    changed = [one for one in about.inputs if about.values[one.id] != one.central]
    shown = french.listing(f"{one.label} : {one.said(about.values[one.id])}" for one in changed)
    facts: list[tuple[str, str | Sentence]] = [
        ("Période", f"{YEARS[0]}-{YEARS[-1]}"),
        ("Réglages", shown or "ceux de départ"),
    ]
    if about.frozen:
        facts += [
            (
                "Scénario figé",
                f"{about.frozen.title}, par {about.frozen.author}, le {french.day(about.frozen.date)}",
            )
        ]
    facts += [
        ("Tirages", _draws_told(about)),
        ("Hypothèses", f"écrites au plus tard le {french.day(max(one.date for one in about.inputs))}"),
        ("Empreinte de la note", about.inputs.note_sha256[:12]),
    ]
    lead = told("L’appel à projets aux territoires : le poursuivre, le réorienter ou l’arrêter ?")
    told_facts = ((label, fact if isinstance(fact, Sentence) else told(fact)) for label, fact in facts)
    title = "Trois scénarios pour 2015-2020" + (f" : {about.frozen.title}" if about.frozen else "")
    return Cover(french.typographic(title), lead, tuple(told_facts))


def _draws_told(about: Exploration) -> Sentence:
    trace = sourced.setting(about.draws, "paramètre « draws » du notebook")
    return cited(f"{french.number(about.draws)}, graine {exploration.SEED}", [trace])


def key_points(about: Exploration) -> Listing:
    """« À retenir » : three to five sentences."""
    traces = [about.model_trace("N_sum", option) for option in ("S1", "S2", "S3", "S0")]
    traces += [about.model_trace("W_mean", option) for option in ("S1", "S2", "S3")]
    points = [
        cited(exploration.headline_told(about.inputs, about.changes), [*traces, about.value_trace("H")]),
        *map(told, exploration.impossibilities(about.run)),
        _no_winner_told(about),
        _what_blocks_told(about),
        told(arguments.dominance_told(about.criteria)),
        told(exploration.RESTS_ON),
    ]
    return Listing(tuple(points), "keypoints")


def _no_winner_told(about: Exploration) -> Sentence:
    """What S1 and S2 each have, what flips it: at the central settings."""
    traces = []
    for name, indicator in (("V2", "N_sum"), ("n_conv", "W_mean")):
        found = exploration.switching(about.inputs, name, indicators=[indicator])
        pair = found[(found["option"] == "S1") & (found["other"] == "S2") & found["inside"]]
        traces += [sourced.switch_trace(about.inputs, row) for row in pair.head(1).to_dict("records")]
    return cited(exploration.no_winner(about.inputs), traces)


def _holds_trace(about: Exploration, row: Mapping[Any, Any]) -> Trace:
    return sourced.draws_trace("staffed", row["option"], row["holds"], "holds", about.draws)


def _what_blocks_told(about: Exploration) -> Sentence:
    """Which option asks more than the staff has."""
    table = exploration.feasibility(about.run, about.spread, about.values["H"])
    short = table[table["peak"] > table["capacity"]]["option"].tolist()
    tight = french.listing(short)
    rows = table.to_dict("records")
    holds = french.listing(f"{row['option']} {french.percent(row['holds'])}" for row in rows)
    first = f"Certaines années, {tight} demande plus de temps que l’équipe n’en a." if len(short) == 1 else (
        f"Certaines années, {tight} demandent plus de temps que l’équipe n’en a." if short
        else "Aucun scénario ne demande plus de temps que l’équipe n’en a."
    )  # fmt: skip
    text = f"{first} Part des tirages où l’équipe suffit chaque année : {holds}."
    return cited(text, [_holds_trace(about, row) for row in rows])


# --- One question each ---------------------------------------------------------------------------------


def what_the_note_says(about: Exploration) -> Group:
    """The evidence matrix, silences visible, and how unevenly the note deals its arguments."""
    table = evidence.matrix(about.inputs)
    silent = int((table[list(OPTIONS[1:])] == evidence.SILENCE).to_numpy().sum())
    cases = table.shape[0] * (len(OPTIONS) - 1)
    counts = evidence.counts(about.inputs).to_dict("records")
    dealt = french.listing(
        f"{row['statements']} énoncés pour {row['option']} (dont {row['for']} favorables)" for row in counts
    )
    return Group(
        (
            cited(
                f"L’annexe 3 ne donne aucun chiffre. Elle compte {dealt}. Elle se tait dans {silent} cases "
                f"sur {cases}. Les inconvénients de l’arrêt y sont écrits sous S1, et la charge de S1 sous "
                "S3.",
                [
                    None,  # « annexe 3 »
                    *_statements_counted(about),
                    sourced.cases_trace(silent, silent=True),
                    sourced.cases_trace(cases, silent=False),
                ],
            ),
            _table(
                table,
                "Ce que la note dit de chaque scénario, sujet par sujet",
                note="+ favorable · − défavorable · si : sous condition · ± les deux. Entre parenthèses, le "
                "numéro "
                "de l’énoncé. Chaque énoncé est rangé sous le scénario dont il parle.",
            ),
        )
    )


def _statements_counted(about: Exploration) -> list[Trace]:
    """The statements of each scenario, then those in its favour: their lines of the CSV."""
    found = about.inputs.statements[about.inputs.statements["subject"] != ""]
    traces = []
    for option in OPTIONS[1:]:
        mine = found[found["id"].str[:2] == option]
        for kept, words in (
            (mine, f"énoncés de {option}"),
            (mine[mine["sign"].str.startswith("+")], f"énoncés favorables de {option}"),
        ):
            traces.append(
                sourced.csv_count(about.inputs, sourced.STATEMENTS, "signe", kept["id"].tolist(), words)
            )
    return traces


def what_each_scenario_gives(about: Exploration) -> Group:
    """The headline figures, the reference always beside."""
    ends = exploration.ends(about.run, about.spread).set_index(["indicator", "option"]).to_dict("index")
    rows = [
        {"Indicateur": exploration.SUMMARY_LABELS[indicator]}
        | {
            _named(option): _span_told(about, indicator, option, ends[indicator, option])
            for option in OPTIONS
        }
        for indicator in exploration.SUMMARY_LABELS
    ]
    frame = pd.DataFrame(rows)
    return Group(
        (
            _bars(about, "N_sum", "Projets soutenus de 2015 à 2020, face à la référence"),
            _table(
                frame,
                "Résultats par scénario ; entre crochets, neuf tirages sur dix",
                note=exploration.RESTS_ON,
            ),
        )
    )


def _span_told(about: Exploration, indicator: str, option: str, row: Mapping[Any, Any]) -> Sentence:
    """« 14,7 [11,6 à 22,7] »: the value, and the range of nine draws in ten."""
    value, low, high = (exploration.said(indicator, row[name]) for name in ("value", "low", "high"))
    traces = sourced.spread_traces(indicator, option, row, about.draws)
    return cited(f"{value} [{low} à {high}]", traces)


def _bars(about: Exploration, indicator: str, caption: str) -> Figure:
    """One bar per option, the reference as a mark on each."""
    last = exploration.ends(about.run, about.spread)
    rows: dict[Any, Any] = last[last["indicator"] == indicator].set_index("option").to_dict("index")
    said = {
        o: {name: exploration.said(indicator, rows[o][name]) for name in ("value", "low", "high")}
        for o in OPTIONS
    }
    traces = {o: sourced.spread_traces(indicator, o, rows[o], about.draws) for o in OPTIONS}
    bars = [
        Bar(
            _named(option),
            said[option]["value"],
            ((rows[option]["value"], "rest" if option == "S0" else 0),),
            mark=rows["S0"]["value"],
        )
        for option in OPTIONS
    ]
    data = pd.DataFrame(
        {
            "Scénario": [_named(option) for option in OPTIONS],
            "Aux réglages": [cited(said[o]["value"], traces[o][:1]) for o in OPTIONS],
            "Neuf tirages sur dix": [
                cited(f"{said[o]['low']} à {said[o]['high']}", traces[o][1:]) for o in OPTIONS
            ],
        }
    )
    alt = f"Barres : {caption[:60].rstrip()}"[:80]
    reading = told("Le trait vertical marque la référence S0, que nous ajoutons.")
    svg = bars_svg(bars, alt=alt, mark_label="référence S0")
    table = _table(data, caption, numeric=["Aux réglages", "Neuf tirages sur dix"])
    return Figure(told(caption), svg, alt, table, reading, french.typographic(DRAWN_FROM))


def what_blocks(about: Exploration) -> Group:
    """Projects, staff or money: what limits each option each year, and in which share of draws."""
    blocks = exploration.what_blocks(about.run, about.spread)
    words = {"projects": "projets", "staff": "équipe", "money": "argent"}
    said = [_limits(row, words, about.draws) for row in blocks.to_dict("records")]
    blocks = blocks.assign(said=pd.Series(said, index=blocks.index, dtype="object"))
    table = blocks.pivot(index="option", columns="year", values="said")
    table.insert(0, "Scénario", [_named(option) for option in table.index])
    impossible = exploration.impossibilities(about.run)
    return Group(
        (
            *([_listing(impossible)] if impossible else []),
            _table(
                table,
                "Ce qui limite les projets soutenus, année par année",
                note="Aux réglages ; entre parenthèses, la part des tirages où c’est bien cela. Projets : "
                "trop peu se présentent. Équipe : elle manque de temps. Argent : les subventions manquent.",
            ),
        )
    )


def _limits(row: Mapping[Any, Any], words: Mapping[str, str], draws: int) -> Sentence:
    """What limits at the settings with its share of draws, and what limits most often if it is another."""
    often = max(words, key=lambda block: row[block])
    said = f"{words[row['block']]} ({french.percent(row[row['block']])})"
    traces = [sourced.block_trace(row, row["block"], draws)]
    if often == row["block"]:
        return cited(said, traces)
    text = f"{said}, plus souvent {words[often]} ({french.percent(row[often])})"
    return cited(text, [*traces, sourced.block_trace(row, often, draws)])


def can_the_staff_follow(about: Exploration) -> Group:
    """Work against capacity, in days."""
    table = exploration.feasibility(about.run, about.spread, about.values["H"])
    rows = table.to_dict("records")
    shown = pd.DataFrame(
        {
            "Scénario": table["option"].map(_named),
            "Jours par an": [
                Number(french.number(row["days"], 0), about.model_trace("W_mean", row["option"]))
                for row in rows
            ],
            "Pire année": [
                Number(french.number(row["peak"], 0), about.model_trace("W", row["option"], "max"))
                for row in rows
            ],
            "Part du temps disponible": [
                Number(
                    french.percent(row["load"]),
                    share_of(about.model_trace("W_mean", row["option"]), about.value_trace("H")),
                )
                for row in rows
            ],
            "Tirages où l’équipe suffit": [
                Number(french.percent(row["holds"]), _holds_trace(about, row)) for row in rows
            ],
        }
    )
    capacity = about.inputs["H"].said(about.values["H"])
    return Group(
        (
            cited(
                f"L’équipe dispose de {capacity} : c’est une hypothèse. La note dit ses ressources "
                "« limitées » sans donner d’effectif.",
                [about.value_trace("H")],
            ),
            _table(
                shown,
                "Le temps que chaque scénario demande à l’équipe",
                numeric=shown.columns[1:],
                note=SOURCE,
            ),
        )
    )


SWITCHES = ("V2", "n_conv", "tau", "r0", "e1", "h_bil")


def where_the_order_changes(about: Exploration, names: Iterable[str] = SWITCHES) -> Group:
    """The switching values of the inputs that turn the order over, in sentences."""
    rows = []
    for name in names:
        one = about.inputs[name]
        found = exploration.switching(about.inputs, name, about.changes, indicators=("N_sum", "W_mean"))
        if not found.empty:
            said = exploration.switching_told(about.inputs, name, found, about.values[name])
            value = cited(one.said(about.values[name]), [about.value_trace(name)])
            rows.append((one.label, PANEL_LABELS[one.panel][:-1], value, _switches_told(about, said, found)))
    frame = pd.DataFrame(rows, columns=["Réglage", "Nature", "Valeur", "Où l’ordre change"])
    return Group(
        (
            _no_winner_told(about),
            _table(frame, "À partir de quelle valeur un scénario passe devant un autre",
                   note="Un seul réglage bouge à la fois, les autres restent à leur valeur."),
        )
    )  # fmt: skip


def _switches_told(about: Exploration, said: Iterable[str], found: pd.DataFrame) -> Sentence:
    """The sentences on the switching values, each value leading to what it was computed from."""
    rows = found.sort_values("inside", ascending=False, kind="stable").to_dict("records")
    return cited(" ".join(said), [sourced.switch_trace(about.inputs, row) for row in rows])


def where_this_one_changes_the_order(about: Exploration, name: str, pair: tuple[str, str]) -> Group:
    """The switching values of one input for one pair of scenarios, in sentences."""
    one = about.inputs[name]
    found = exploration.switching(about.inputs, name, about.changes)
    mine = found[(found["option"] == pair[0]) & (found["other"] == pair[1])]
    now = about.values[name]
    said = exploration.switching_told(about.inputs, name, mine, now, pair)
    return Group((told(f"{one.label} vaut ici {one.said(now)}, {PANEL_WORDS[one.panel]}."), _listing(said)))


PANEL_WORDS = {"decision": "une décision", "assumption": "une hypothèse"}


def what_each_setting_changes(about: Exploration, option: str = "S1", other: str | None = None) -> Figure:
    """The tornado: what each setting alone does to the projects supported, or to the gap with `other`."""
    table = exploration.tornado(about.inputs, about.changes, option=option, other=other).head(LISTED)
    rows = table.to_dict("records")
    labels = {one.id: one.label for one in about.inputs}
    low, high = ([_end_told(about, row, key, option, other) for row in rows] for key in ("low", "high"))
    series = {"decision": 0, "assumption": 2}
    bars = [
        Bar(labels[row["input"]], f"{first} à {last}", ((row["swing"], series[row["panel"]]),))
        for row, first, last in zip(rows, low, high, strict=True)
    ]
    data = pd.DataFrame(
        {
            "Réglage": [labels[row["input"]] for row in rows],
            "Nature": [PANEL_LABELS[row["panel"]][:-1] for row in rows],
            "À la borne basse": low,
            "À la borne haute": high,
        }
    )
    what = f"l’écart de projets entre {option} et {other}" if other else f"les projets soutenus en {option}"
    caption = f"Les réglages qui changent le plus {what}, chacun d’une borne à l’autre"
    alt = f"Barres : réglages qui changent le plus {option}{f' − {other}' if other else ''}"
    reading = told(
        f"La barre dit de combien bougent {what}, de 2015 à 2020, quand ce réglage seul va d’une "
        "borne à l’autre. Bleu uni : une décision ; prune à points : une hypothèse."
    )
    shown = _table(data, caption, numeric=data.columns[2:])
    return Figure(told(caption), bars_svg(bars, alt=alt), alt, shown, reading, french.typographic(DRAWN_FROM))


def _end_told(about: Exploration, row: Mapping[Any, Any], key: str, option: str, other: str | None) -> Number:
    """The result at one bound of an input, leading to the model; a gap between options has its sign."""
    value = row[f"at_{key}"]
    if other:
        return Number(french.signed(french.number(value, 1)))
    changes = {**about.changes, row["input"]: getattr(about.inputs[row["input"]], key)}
    return Number(french.number(value, 1), sourced.model_trace("N_sum", option, value, changes=changes))


def what_comes_from_decisions(about: Exploration) -> Group | Sentence:
    """The change from the central settings, split; a sentence when nothing was changed."""
    if about.values == about.inputs.central():
        return told("Les réglages sont ceux de départ : aucun changement à partager.")
    parts = [exploration.split(about.inputs, about.changes, option=option) for option in OPTIONS]
    frame = pd.DataFrame(
        {
            "Scénario": [_named(part.option) for part in parts],
            "Au départ": [french.number(part.before, 1) for part in parts],
            "Ici": [french.number(part.after, 1) for part in parts],
            "Décisions": [french.signed(french.number(part.decisions, 1)) for part in parts],
            "Hypothèses": [french.signed(french.number(part.assumptions, 1)) for part in parts],
            "dont ensemble": [french.signed(french.number(part.interaction, 1)) for part in parts],
        }
    )
    note = "« Dont ensemble » : ce que décisions et hypothèses font l’une avec l’autre, partagé par moitié."
    caption = "Projets soutenus : ce qui vient des décisions, ce qui vient des hypothèses"
    return Group((_table(frame, caption, numeric=frame.columns[1:], note=note),))


def which_assumptions_weigh(about: Exploration) -> Group:
    """The log: weight computed, quality, verdict, who wrote it and why."""
    table = evidence.log(about.inputs, about.changes)
    frame = pd.DataFrame(
        {
            "Hypothèse": table["label"],
            "Valeur et bornes": [_range_told(about, name) for name in table["input"]],
            "Poids": [
                Number(f"{IMPACT_MARKS[impact]} {evidence.IMPACT_LABELS[impact]}", tone=impact)
                for impact in table["impact"]
            ],
            "Fondement": [
                Number(evidence.QUALITY_LABELS[quality], tone=QUALITY_TONES[quality])
                for quality in table["quality"]
            ],
            "Observé": table["verdict"].map(evidence.VERDICT_LABELS),
            "Pourquoi, d’après qui": [
                f"{row['why']} ({row['sources']} ; {row['author']}, {french.day(row['date'])})"
                for row in table.to_dict("records")
            ],
        }
    )
    thresholds = [
        sourced.setting(share, "seuil fixé par la méthode") for share in (evidence.STRONG, evidence.MEDIUM)
    ]
    shown = _table(frame, "Journal des hypothèses, les plus lourdes d’abord")
    return Group((what_each_setting_changes(about), shown, cited(weights_note(), thresholds)))


QUALITY_TONES = {"measured": "solid", "signed": "partial", "supposed": "bare"}


def _value_told(about: Exploration, name: str) -> str | Sentence:
    """The value of an input as a reader sees it; a reading chosen among several is a word."""
    one = about.inputs[name]
    said = one.said(about.values[name])
    return said if one.choices else cited(said, [about.value_trace(name)])


def _range_told(about: Exploration, name: str) -> str | Sentence:
    """The value of an assumption, then its bounds."""
    one = about.inputs[name]
    said = one.said(about.values[name])
    if one.choices:
        return f"{said}, au choix"
    if one.fixed:
        return cited(f"{said}, fixe", [about.value_trace(name)])
    return cited(f"{said}, {one.bounds}", [about.value_trace(name), *sourced.bounds_traces(one)])


IMPACT_MARKS = {"strong": "▲", "medium": "◆", "weak": "·"}


def weights_note() -> str:
    """How the weight of an assumption is computed."""
    strong, medium = french.percent(evidence.STRONG), french.percent(evidence.MEDIUM)
    return (
        "Poids calculé : plus grande part de la variance d’un écart entre scénarios (indice de Sobol total, "
        f"graine {exploration.SEED}) ; ▲ dès {strong}, ◆ dès {medium}."
    )


def what_the_arguments_weigh(about: Exploration, given: Mapping[str, float] | None = None) -> Group:
    """The scores and their quotes, then what weights decide, always with what the ranking rests on.

    `given` weights are equal when none are given; when all are zero, that nothing decides is said.
    """
    scores = about.criteria.scores.to_dict("records")
    cells: dict[str, dict[str, Sentence]] = {}
    for row in scores:
        mark, basis = arguments.BASES[row["basis"]]
        low, central, high = (french.number(row[key], 0) for key in ("low", "central", "high"))
        central = french.signed(central) if row["central"] else central
        grounds = ", ".join(row["statements"]) or basis
        text = f"{mark} {central} [{low} à {high}] ({grounds})"
        traces = [sourced.score_trace(row, key) for key in ("central", "low", "high")]
        cells.setdefault(row["label"], {})[_named(row["option"])] = cited(text, traces)
    frame = pd.DataFrame([{"Critère": label} | by for label, by in cells.items()])
    marks = " · ".join(f"{mark} {basis}" for mark, basis in arguments.BASES.values())
    scale = [sourced.setting(bound, "échelle des cotations") for bound in (-2, 2, 0)]
    caption = "Cotation des arguments de la note, de −2 à +2, la référence S0 étant à 0"
    scored = _table(frame, cited(caption, scale), note=marks)
    return Group((told(arguments.dominance_told(about.criteria)), scored, *_weighed(about, given)))


def _weighed(about: Exploration, given: Mapping[str, float] | None) -> list[Sentence | Listing]:
    """The ranking at these weights, what turns it over, and how often each option comes first."""
    if given is not None and not any(given.values()):
        return [told("Tous les poids sont à zéro : rien ne départage les scénarios.")]
    labels = about.criteria.labels
    turned = [
        cited(
            f"{row['first_above']} passe devant "
            f"{row['option'] if row['first_above'] == row['other'] else row['other']} "
            f"quand « {labels[row['criterion']]} » pèse plus de {french.percent(row['weight'])}.",
            [sourced.weight_trace(row, labels[row["criterion"]]) if given is None else None],
        )
        for row in arguments.switching_weights(about.criteria, given).to_dict("records")
        if {row["option"], row["other"]} == {"S1", "S2"}
    ]
    found = arguments.acceptability(about.criteria, arguments.draw(about.criteria))
    first = found[found["rank"] == 1].to_dict("records")
    shares = [sourced.first_trace(row["option"], row["share"], DRAWS_OF_WEIGHTS) for row in first]
    draws = sourced.setting(DRAWS_OF_WEIGHTS, "tirages de poids et de cotations, fixés par la méthode")
    accepted = cited(arguments.acceptability_told(about.criteria), [draws, *shares])
    return [_ranking_told(about, given), Listing((*turned, accepted))]


DRAWS_OF_WEIGHTS = 10_000  # those of `criteria.draw`


def _ranking_told(about: Exploration, given: Mapping[str, float] | None) -> Sentence:
    """The ranking and what it rests on; scores lead to their lines when weights are equal."""
    scores = about.criteria.scores
    ranked = arguments.ranking(about.criteria, given)["option"]
    traces = [sourced.ranking_trace(scores, option) if given is None else None for option in ranked]
    scale = sourced.setting(0, "échelle des cotations")
    text = arguments.ranking_told(about.criteria, given)
    return cited(text, [*traces, scale, *_rests_on_traces(about)])


def _rests_on_traces(about: Exploration) -> list[Trace]:
    scores = about.criteria.scores
    stated = scores[scores["basis"] == "stated"]
    return [
        sourced.scores_trace(scores, "cotations"),
        sourced.scores_trace(stated, "cotations fondées sur un énoncé net"),
    ]


def does_one_argument_decide(about: Exploration) -> Group:
    """The argument-bias test: what comes first when a criterion or a paragraph is left out."""
    drawn = arguments.draw(about.criteria)
    table = arguments.leave_out(about.criteria, about.inputs, drawn)
    kinds = {"all": "tout est gardé", "criterion": "critère", "paragraph": "paragraphe"}
    frame = pd.DataFrame(
        {
            "On retire": [
                kinds[kind] if kind == "all" else f"{kinds[kind]} : {name}"
                for kind, name in zip(table["kind"], table["left_out"], strict=True)
            ],
            "En tête, cotations centrales": table["first"],
            "Le plus souvent en tête": table["first_in_draws"],
            "Part des tirages": [
                Number(
                    french.percent(row["share"]),
                    sourced.first_trace(
                        row["first_in_draws"], row["share"], DRAWS_OF_WEIGHTS, (row["kind"], row["left_out"])
                    ),
                )
                for row in table.to_dict("records")
            ],
        }
    )
    return Group(
        (
            _table(frame, "Qui arrive en tête quand un critère ou un paragraphe manque",
                   numeric=["Part des tirages"],
                   note="Cotations centrales : poids égaux. Tirages : poids et cotations au hasard."),
            told(arguments.methods_told(about.criteria)),
            cited(arguments.rests_on(about.criteria), _rests_on_traces(about)),
        )
    )  # fmt: skip


def what_lille_would_lose(about: Exploration) -> Group:
    """The actions of annex 2 at stake, each with its cell."""
    actions = evidence.actions_at_stake(about.tables)
    rows = tuple(
        (french.typographic(row["title"]), french.typographic(row["axis"] or french.NOTHING),
         Number(french.money(row["amount_eur"], 0), row["trace"]))
        for row in actions.to_dict("records")
    )  # fmt: skip
    columns = (Column("Action"), Column("Axe"), Column("Part de la Métropole", True))
    caption = told("Ce que la Métropole paie dans les actions confiées à Lille, prévisionnel 2013")
    sentence = evidence.loss(about.values["tau"], about.values["TL"], actions)
    return Group((told(sentence), DisplayTable(caption, columns, rows, note=french.typographic(SOURCE))))


def and_my_commune(about: Exploration) -> Group:
    """Which communes annex 1 names, and what each scenario opens or closes, without amounts."""
    communes = evidence.communes(about.tables, about.inputs)
    named = communes[communes["projects"].map(len) > 0]
    frame = pd.DataFrame(
        {
            "Commune": named["name"],
            "Projets de l’annexe 1": [" ; ".join(projects) for projects in named["projects"]],
        }
    )
    opened = evidence.openings(about.inputs)
    opens = pd.DataFrame(
        {
            "Scénario": opened["option"].map(_named),
            "Une commune pourrait": [
                ("" if row["sign"] == "+" else "risque : ") + row["text"] for row in opened.to_dict("records")
            ],
            "Ce que dit la note": [
                f"« {row['quote']} » ({row['statement']})" for row in opened.to_dict("records")
            ],
        }
    )
    return Group(
        (
            cited(
                f"L’annexe 1 nomme {len(named)} communes sur {int(communes['member'].sum())} membres en "
                "2013. Ne pas y figurer ne dit pas que rien ne s’est fait. La page « Explorer les "
                "scénarios » répond commune par commune.",
                [None, about.recomputed["communes_reached"], sourced.members_trace(about.inputs)],
            ),
            _table(frame, "Les communes nommées dans l’annexe 1"),
            _table(opens, "Ce que chaque scénario ouvre ou ferme à une commune",
                   note="Aucun montant par commune : la note n’en donne pas."),
        )
    )  # fmt: skip


def which_figures_of_the_note(about: Exploration) -> DisplayTable:
    """The values recomputed from the tables, each with its cells."""
    rows = []
    for one in about.inputs:
        if one.recomputed:
            number = cited(one.said(one.central), [about.recomputed.get(one.recomputed)])
            rows.append(
                (f"{one.label} ({one.symbol})", number, STATUS_LABELS[one.status], ", ".join(one.sources))
            )
    columns = (
        Column("Valeur de départ"),
        Column("Montant ou nombre", True),
        Column("Statut"),
        Column("Sources"),
    )
    shown = tuple(tuple(_cell(cell) for cell in row) for row in rows)
    note = "Valeurs recalculées d’après les tables à chaque rendu : si la source change, elles changent."
    return DisplayTable(told("Les chiffres de la note qui entrent dans le calcul"), columns, shown, note=note)


def how_it_is_computed(about: Exploration) -> Group:
    """The method annex: the equations in signs and in words, what differs between options, every input."""
    known = {one.id: one.symbol for one in about.inputs}
    lines = pd.DataFrame(
        {
            "Grandeur": [e.label for e in equations.EQUATIONS],
            "Calcul": [f"{e.symbol} = {equations.symbols(e.formula, known)}" for e in equations.EQUATIONS],
            "En mots": [e.words for e in equations.EQUATIONS],
            "Unité": [e.unit for e in equations.EQUATIONS],
        }
    )
    terms = pd.DataFrame(
        [
            (f"{symbol}, {words}", *(equations.symbols(formula, known) for formula in by_option))
            for symbol, words, by_option in equations.OPTION_TERMS.values()
        ],
        columns=["Terme", *OPTIONS],
    )
    entries = pd.DataFrame(
        [
            (f"{one.label} ({one.symbol})", PANEL_LABELS[one.panel], _value_told(about, one.id),
             "modifié" if about.values[one.id] != one.central else STATUS_LABELS[one.status])
            for one in about.inputs
        ],
        columns=["Entrée", "Panneau", "Valeur", "Statut"],
    )  # fmt: skip
    return Group(
        (
            _listing(f"{option}, {OPTION_LABELS[option]}." for option in OPTIONS),
            _table(lines, "Les équations, année par année",
                   note="« de l’an passé » : valeur de l’année précédente ; k : années écoulées depuis "
                       "2015."),
            _table(terms, "Ce qui change d’un scénario à l’autre"),
            _table(entries, "Toutes les entrées et leur valeur ici"),
        )
    )  # fmt: skip


def what_to_know(about: Exploration) -> Listing:
    """The last question: what must be known before these figures are quoted."""
    changed = about.frozen.remarks if about.frozen else ()
    drawn = exploration.drawable(about.inputs)
    traces = {
        f"{len(drawn)} hypothèses": [sourced.inputs_count(drawn, "hypothèses tirées")],
        "au hasard parmi": [about.recomputed["communes_of_the_mel"]],
        "est annuelle": [about.recomputed["envelope"], *_readings_traces(about)],
    }
    said = []
    for text in [*changed, *exploration.warnings(about.inputs)]:
        found = next((trace for words, trace in traces.items() if words in text), [])
        said.append(cited(text, found) if len(sourced.numbers_in(text)) == len(found) else told(text))
    return Listing(tuple(said))


def _readings_traces(about: Exploration) -> list[Trace]:
    """What Lille's transfer takes of the budget under each reading of the envelope that leaves nothing."""
    one, found = about.inputs["reading"], []
    for value in one.choices.values():
        run = equations.simulate(about.inputs.central() | {one.id: value})
        if run["M"][0, 0, 0] <= 0:
            taken = float(run["L"][0, 0, 0])
            found.append(sourced.model_trace("L", OPTIONS[0], taken, YEARS[0], {one.id: value}))
    return found


def glossary() -> Glossary:
    """The acronyms of the note."""
    return Glossary(
        (
            ("AMI", "appel à manifestation d’intérêt"),
            ("APP", "appel à projets permanent"),
            ("APT", "appel à projets aux territoires"),
            ("DLA", "dispositif local d’accompagnement"),
            ("ESS", "économie sociale et solidaire"),
            ("MEL", "Métropole européenne de Lille"),
            ("UT ESS", "unité de la Métropole chargée de l’ESS"),
        )
    )
