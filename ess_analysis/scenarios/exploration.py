"""What the scenarios give: central run, ranges, what blocks, switching values, sensitivities.

Everything starts from a mapping of input values (`settings.settings`) and goes through `equations.simulate`.
Decisions are never drawn: they take the value set. Assumptions not set are drawn inside their bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize.elementwise import find_root
from scipy.stats import qmc

from ess_analysis import french
from ess_analysis.scenarios.equations import BLOCKS, INDICATORS, OPTIONS, YEARS, simulate
from ess_analysis.scenarios.inputs import Input, Inputs, need, read_observed
from ess_analysis.scenarios.settings import changed_names, find, settings

SEED = 2015
EQUAL = 1e-9  # below this two options are said equal
LOW, HIGH = 0.05, 0.95  # the range shown leaves out one draw in twenty on each side
PAIRS = tuple(combinations(OPTIONS, 2))
UNDECIDED = ("S1", "S2")  # the note does not decide between them
HEADLINES = ("N_sum", "C", "W_mean", "lille_share", "unused_sum")  # read in the last year


# --- Central run and ranges ----------------------------------------------------------------------


def scenarios(
    inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = (), *, draws: int = 0, seed: int = SEED
) -> pd.DataFrame:
    """One row per option, year and indicator: option, year, indicator, value, unit (low, high).

    `value` is at the settings; with draws, `low` and `high` hold nine draws in ten (Latin hypercube over the
    assumptions not set). `block` is 1 projects, 2 staff, 3 money; indicators in `_sum` cumulate since 2015.
    """
    run = simulate(settings(inputs, changes))
    names = list(INDICATORS)
    index = pd.MultiIndex.from_product([OPTIONS, YEARS, names], names=["option", "year", "indicator"])
    stacked = np.stack([run[name][:, :, 0] for name in names], axis=-1)
    frame = pd.DataFrame({"value": stacked.reshape(-1)}, index=index).reset_index()
    frame["unit"] = frame["indicator"].map({name: INDICATORS[name].unit for name in names})
    if draws:
        many = spread(inputs, changes, draws=draws, seed=seed)
        for column, share in (("low", LOW), ("high", HIGH)):
            stacked = np.stack([np.quantile(many[name], share, axis=-1) for name in names], axis=-1)
            frame[column] = stacked.reshape(-1)
    return frame


def spread(
    inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = (), *, draws: int, seed: int = SEED
) -> dict[str, np.ndarray]:
    """Every indicator as an array option × year × draw, the assumptions not set being drawn."""
    return simulate(drawn(inputs, changes, draws=draws, seed=seed))


def ends(run: Mapping[str, np.ndarray], many: Mapping[str, np.ndarray] | None = None) -> pd.DataFrame:
    """The headline indicators in the last year: indicator, option, value (low, high when `many` is given).

    `run` is a simulation at the settings, `many` one of the draws (`spread`).
    """
    index = pd.MultiIndex.from_product([HEADLINES, OPTIONS], names=["indicator", "option"])
    frame = pd.DataFrame({"value": [float(v) for name in HEADLINES for v in run[name][:, -1, 0]]}, index)
    if many is not None:
        last = np.concatenate([many[name][:, -1, :] for name in HEADLINES])
        frame["low"], frame["high"] = np.quantile(last, [LOW, HIGH], axis=-1)
    return frame.reset_index()


def place(option: str) -> int:
    """The place of an option among OPTIONS; DataError when there is none of that name."""
    need(option in OPTIONS, "Scénario inconnu.", [option], f"au choix : {french.listing(OPTIONS, 'ou')}.")
    return OPTIONS.index(option)


def headline(values: Mapping[str, Any], indicator: str, option: str) -> np.ndarray:
    """The indicator of an option in the last year, one value per draw."""
    return simulate(values)[indicator][place(option), -1]


def drawable(inputs: Inputs) -> list[Input]:
    """The assumptions that draws can move: not fixed, not a choice between readings."""
    return [one for one in inputs.panel("assumption") if not one.choices]


def hypercube(inputs: Inputs, draws: int, seed: int = SEED) -> np.ndarray:
    """A centred Latin hypercube, draw × drawable input: each column takes each of its `draws` levels once."""
    need(draws > 0, "Le nombre de tirages doit être positif.", [draws], "par exemple --draws 1000.")
    return qmc.LatinHypercube(len(drawable(inputs)), scramble=False, seed=seed).random(draws)


def drawn(
    inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = (), *, draws: int, seed: int = SEED
) -> dict[str, Any]:
    """The settings, with the assumptions that `changes` does not set replaced by arrays of draws."""
    unit, done = hypercube(inputs, draws, seed), changed_names(inputs, changes)
    many = {one.id: triangular(one, unit[:, column]) for column, one in enumerate(drawable(inputs))}
    kept = {name: values for name, values in many.items() if name not in done}
    return {**settings(inputs, changes), **kept}


def triangular(one: Input, u: np.ndarray) -> np.ndarray:
    """The triangular law between the bounds, most often near the centre: its quantiles at `u`."""
    low, mode, high = one.low, one.central, one.high
    return np.where(
        u < (mode - low) / (high - low),
        low + np.sqrt(u * (high - low) * (mode - low)),
        high - np.sqrt((1 - u) * (high - low) * (high - mode)),
    )


# --- What blocks, and what is impossible ------------------------------------------------------------


def what_blocks(run: Mapping[str, np.ndarray], many: Mapping[str, np.ndarray] | None = None) -> pd.DataFrame:
    """What limits the projects each year: option, year, block, and with draws the share of each cause."""
    index = pd.MultiIndex.from_product([OPTIONS, YEARS], names=["option", "year"])
    codes = run["block"][:, :, 0]
    frame = pd.DataFrame({"block": [BLOCKS[int(code)] for code in codes.reshape(-1)]}, index=index)
    if many is not None:
        for code, name in BLOCKS.items():
            frame[name] = (many["block"] == code).mean(axis=-1).reshape(-1)
    return frame.reset_index()


def impossibilities(run: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences that say why an option can do nothing with these settings; none when all can."""
    reasons: dict[str, list[str]] = {}
    for number, option in enumerate(OPTIONS):
        budget, left, grants, idle = (run[name][number, :, 0] <= 0 for name in ("B", "M", "G", "staffed"))
        if budget.any():
            reason = f"{_span(budget)}, le budget est nul"
        elif left.any():
            taken = french.money(run["L"][number, int(np.argmax(left)), 0], 0)
            reason = f"{_span(left)}, le transfert à Lille prend tout le budget ({taken}), rien ne reste"
        elif grants.any():
            reason = f"{_span(grants)}, après Lille et l’ingénierie rien ne reste pour les subventions"
        elif idle.any():
            reason = f"{_span(idle)}, l’équipe n’a aucun jour à y passer"
        else:
            continue
        reasons.setdefault(reason, []).append(option)
    return [
        f"Impossible de soutenir un projet en {french.listing(options)} : {reason}."
        for reason, options in reasons.items()
    ]


def _span(concerned: np.ndarray) -> str:
    years = [str(year) for year, yes in zip(YEARS, concerned, strict=True) if yes]
    return "chaque année" if len(years) == len(YEARS) else f"en {french.listing(years)}"


def feasibility(
    run: Mapping[str, np.ndarray], many: Mapping[str, np.ndarray], capacity: float
) -> pd.DataFrame:
    """The work each option asks of the staff: option, days, peak, capacity, load, holds.

    `days` is the mean year, `peak` the worst, `load` days over capacity (infinite without a day); `holds` is
    the share of draws in which every year fits in that draw's capacity.
    """
    days = run["W"][:, :, 0]
    return pd.DataFrame(
        {
            "option": OPTIONS,
            "days": days.mean(axis=1),
            "peak": days.max(axis=1),
            "capacity": capacity,
            "load": days.mean(axis=1) / capacity if capacity else np.inf,
            "holds": (many["staffed"] >= many["R"]).all(axis=1).mean(axis=-1),
        }
    )


# --- Switching values --------------------------------------------------------------------------------


def switching(
    inputs: Inputs,
    name: str,
    changes: Mapping[str, Any] | Iterable[str] = (),
    *,
    indicators: Iterable[str] = ("N_sum", "C", "W_mean"),
) -> pd.DataFrame:
    """Where two options change places when one input moves: input, option, other, indicator, value…

    All roots of the difference in the last year, by a scan then root finding. The search goes past the
    plausible bounds (`inside` False) as far as the input keeps a meaning; no row means no switch found.
    Those inside come first, and the two scenarios between which the note does not decide before the others.
    `ahead` is the option ahead above the value: more projects or communes, less staff time.
    """
    one = inputs[find(inputs, name)]
    values, grid = settings(inputs, changes), search_grid(one)
    scanned = {indicator: run[:, -1, :] for indicator, run in simulate(values | {one.id: grid}).items()}
    rows: list[tuple[Any, ...]] = []
    for indicator in indicators:
        for pair in PAIRS:
            first, second = (scanned[indicator][place(option)] for option in pair)
            for left, right, rises in _brackets(first - second):
                ahead = pair[0] if rises != (indicator == "W_mean") else pair[1]
                rows.append((one.id, *pair, indicator, grid[left], grid[right], one.unit, ahead))
    columns = ["input", "option", "other", "indicator", "left", "right", "unit", "ahead"]
    found = pd.DataFrame(rows, columns=columns)
    value = _roots(values, found) if rows else pd.Series(dtype=float)
    inside = value.between(one.low - EQUAL, one.high + EQUAL)
    found = found.assign(value=value, inside=inside)
    undecided = (found["option"] == UNDECIDED[0]) & (found["other"] == UNDECIDED[1])
    order = np.lexsort((~undecided, ~found["inside"]))
    found = found.iloc[order].reset_index(drop=True)
    return found[["input", "option", "other", "indicator", "value", "unit", "inside", "ahead"]]


SCAN = 200  # steps of the scan for switching values


def search_grid(one: Input) -> np.ndarray:
    """The values scanned for a switch: evenly spaced over the search window."""
    low, high = search_window(one)
    return low + (high - low) * (np.arange(SCAN + 1) / SCAN)


def search_window(one: Input) -> tuple[float, float]:
    """Where switching values are looked for: the bounds, widened by their width, kept meaningful."""
    if one.fixed:
        return one.step, 2 * one.high
    if one.choices:
        return one.low, one.high
    if one.unit == "part":
        return 0.0, 1.0
    width = one.high - one.low
    low = one.low - width
    least = 0.0 if one.low == 0 else one.step  # nothing is divided by zero
    return (low if one.low < 0 else max(least, low)), one.high + width


def _brackets(gaps: np.ndarray) -> list[tuple[int, int, bool]]:
    """Where a scanned gap changes sign: the two steps around it, and whether it rises there.

    A stretch of equality between two signs counts once, at its start.
    """
    signs = np.sign(np.where(np.abs(gaps) < EQUAL, 0.0, gaps))
    told = np.flatnonzero(signs)
    return [
        (int(last), int(now), bool(signs[now] > 0))
        if now == last + 1
        else (int(last) + 1, int(last) + 1, bool(signs[now] > 0))
        for last, now in pairwise(told)
        if signs[last] != signs[now]
    ]


def _roots(values: Mapping[str, Any], rows: pd.DataFrame) -> pd.Series:
    """The value at which each row's two options are equal, all rows at once (Chandrupatla's method)."""
    name, indicators = rows["input"].iloc[0], rows["indicator"].unique()
    which = rows["indicator"].map({indicator: n for n, indicator in enumerate(indicators)}).to_numpy()
    first, second = (rows[column].map(OPTIONS.index).to_numpy() for column in ("option", "other"))

    def gap(value: np.ndarray, *row: np.ndarray) -> np.ndarray:
        run = simulate({**values, name: value.reshape(-1)})
        ends = np.stack([run[indicator][:, -1, :] for indicator in indicators])
        one, left, right = (part.reshape(-1) for part in row)
        each = np.arange(value.size)
        return (ends[one, left, each] - ends[one, right, each]).reshape(value.shape)

    left, right = (rows[column].to_numpy(dtype=float) for column in ("left", "right"))
    apart = left < right
    roots = left.copy()
    if apart.any():
        row = tuple(part[apart] for part in (which, first, second))
        roots[apart] = find_root(gap, (left[apart], right[apart]), args=row, tolerances={"xrtol": 1e-13}).x
    return pd.Series(roots, index=rows.index)


# --- What weighs most ----------------------------------------------------------------------------------


def tornado(
    inputs: Inputs,
    changes: Mapping[str, Any] | Iterable[str] = (),
    *,
    indicator: str = "N_sum",
    option: str = "S1",
    other: str | None = None,
) -> pd.DataFrame:
    """What each input alone changes, from one bound to the other, widest first: input, panel, at_low…

    With `other`, the difference between the two options is followed instead of one option's value.
    """
    values = settings(inputs, changes)
    moved = [one for one in inputs if not one.fixed]
    many = {name: np.full(2 * len(moved) + 1, value) for name, value in values.items()}
    for number, one in enumerate(moved):
        many[one.id][2 * number], many[one.id][2 * number + 1] = one.low, one.high
    ends = simulate(many)[indicator][:, -1, :]
    result = ends[place(option)] - (ends[place(other)] if other else 0.0)
    frame = pd.DataFrame(
        {
            "input": [one.id for one in moved],
            "panel": [one.panel for one in moved],
            "central": result[-1],
            "at_low": result[:-1:2],
            "at_high": result[1:-1:2],
        }
    )
    frame["swing"] = (frame["at_high"] - frame["at_low"]).abs()
    return frame.sort_values(["swing", "input"], ascending=[False, True], ignore_index=True)


def sobol(
    inputs: Inputs,
    changes: Mapping[str, Any] | Iterable[str] = (),
    *,
    indicator: str = "N_sum",
    option: str = "S1",
    other: str | None = None,
    size: int = 256,
    seed: int = SEED,
) -> pd.DataFrame:
    """The share of an indicator's variance due to each assumption: input, first, total and their margins.

    Sobol indices (SALib, `size` a power of two); first: alone; total: with its interactions. With `other`,
    the difference between the two options is followed instead of one option's value.
    """
    sample = saltelli(inputs, changes, size=size, seed=seed)
    columns = {"first": "S1", "first_margin": "S1_conf", "total": "ST", "total_margin": "ST_conf"}
    found = sample.indices(indicator, option, other)
    frame = pd.DataFrame({"input": sample.names} | {ours: found[theirs] for ours, theirs in columns.items()})
    return frame.sort_values(["total", "input"], ascending=[False, True], ignore_index=True)


@dataclass(frozen=True)
class Saltelli:
    """The model run on Saltelli's sample of the assumptions not set: what Sobol indices are read from."""

    names: list[str]
    run: Mapping[str, np.ndarray]
    seed: int

    def indices(
        self, indicator: str, option: str, other: str | None = None, resamples: int = 100
    ) -> dict[str, np.ndarray]:
        """SALib's indices of the last year, by assumption; zeros when nothing moves."""
        from SALib.analyze import sobol as analyse

        last = self.run[indicator][:, -1, :]
        result = last[place(option)] - (last[place(other)] if other else 0.0)
        if not self.names or np.ptp(result) == 0:
            return {name: np.zeros(len(self.names)) for name in ("S1", "S1_conf", "ST", "ST_conf")}
        problem = _problem(self.names)
        return dict(
            analyse.analyze(problem, result, calc_second_order=False, num_resamples=resamples, seed=self.seed)
        )


def saltelli(
    inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = (), *, size: int = 256, seed: int = SEED
) -> Saltelli:
    """The run on Saltelli's sample: `size` points (a power of two), each varied one assumption at a time."""
    from SALib.sample import sobol as draw

    done = changed_names(inputs, changes)
    moved = [one for one in drawable(inputs) if one.id not in done]
    names = [one.id for one in moved]
    many: dict[str, Any] = {}
    if moved:
        unit = draw.sample(_problem(names), size, calc_second_order=False, seed=seed)
        many = {one.id: triangular(one, unit[:, column]) for column, one in enumerate(moved)}
    return Saltelli(names, simulate(settings(inputs, changes) | many), seed)


def _problem(names: list[str]) -> dict[str, Any]:
    """The unit cube of these assumptions, as SALib describes it."""
    return {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}


# --- What comes from decisions, what from assumptions ----------------------------------------------------


@dataclass(frozen=True)
class Split:
    """A change shared between decisions and assumptions: the two parts add up to the change."""

    option: str
    indicator: str
    before: float
    after: float
    decisions: float
    assumptions: float
    interaction: float  # what neither does alone; half of it is in each part

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after - self.before


def split(
    inputs: Inputs,
    changes: Mapping[str, Any] | Iterable[str],
    *,
    indicator: str = "N_sum",
    option: str = "S1",
) -> Split:
    """The change from the central settings, shared exactly (two-player Shapley value)."""
    central, changed = inputs.central(), settings(inputs, changes)
    decided = {one.id: changed[one.id] for one in inputs if one.panel == "decision"}
    assumed = {one.id: changed[one.id] for one in inputs if one.panel == "assumption"}
    four = [central, central | decided, central | assumed, changed]
    many = {name: np.array([values[name] for values in four]) for name in central}
    none, by_decisions, by_assumptions, both = (float(v) for v in headline(many, indicator, option))
    interaction = both - by_decisions - by_assumptions + none
    return Split(
        option,
        indicator,
        none,
        both,
        by_decisions - none + interaction / 2,
        by_assumptions - none + interaction / 2,
        interaction,
    )


# --- Said to a reader ------------------------------------------------------------------------------------

RESTS_ON = (
    "La note ne donne aucun chiffre pour 2015-2020 : ces résultats reposent sur ses montants de 2012-2013 "
    "et sur des hypothèses datées et signées. "
    "S0 est une référence que nous ajoutons. Ces chiffres comparent, ils ne prédisent pas."
)
SUMMARY_LABELS = {
    "N_sum": "Projets soutenus, 2015-2020",
    "C": "Communes touchées en 2020",
    "W_mean": "Temps d’équipe nécessaire, jours par an",
    "lille_share": "Part de Lille dans la dépense",
    "unused_sum": "Argent non dépensé, 2015-2020",
}
_WRITERS = {
    "N_sum": lambda value: french.number(value, 1),
    "C": lambda value: french.number(value, 0),
    "W_mean": lambda value: french.number(value, 0),
    "lille_share": french.percent,
    "unused_sum": lambda value: french.money(round(value, -3) + 0.0, 0),
}


def said(indicator: str, value: float) -> str:
    """The headline indicator as a reader sees it."""
    return _WRITERS[indicator](float(value))


def summary(run: Mapping[str, np.ndarray], many: Mapping[str, np.ndarray] | None = None) -> pd.DataFrame:
    """The headline table: one row per indicator, one column per option, written in French.

    With draws, each value is followed by the range that holds nine draws in ten.
    """
    last = ends(run, many).set_index(["indicator", "option"]).T.to_dict("list")
    rows = []
    for indicator, label in SUMMARY_LABELS.items():
        row = {"Indicateur": label}
        for option in OPTIONS:
            value, *span = [said(indicator, number) for number in last[indicator, option]]
            row[option] = f"{value} [{' à '.join(span)}]" if span else value
        rows.append(row)
    words = {"projects": "projets", "staff": "équipe", "money": "argent"}
    grouped = (
        what_blocks(run).groupby("option", sort=False)["block"].agg(lambda codes: _runs(list(codes), words))
    )
    rows.append({"Indicateur": "Ce qui bloque"} | {option: str(grouped[option]) for option in OPTIONS})
    return pd.DataFrame(rows)


def _runs(codes: list[str], words: Mapping[str, str]) -> str:
    """« équipe 2015-2016, projets 2017-2020 »."""
    parts: list[str] = []
    start = 0
    for position in range(1, len(codes) + 1):
        if position == len(codes) or codes[position] != codes[start]:
            first, last = YEARS[start], YEARS[position - 1]
            parts.append(f"{words[codes[start]]} {first if first == last else f'{first}-{last}'}")
            start = position
    return ", ".join(parts)


AHEAD = {
    "N_sum": "soutiendrait plus de projets",
    "C": "toucherait plus de communes",
    "W_mean": "demanderait moins de temps d’équipe",
}


def switching_told(
    inputs: Inputs, name: str, switches: pd.DataFrame, value: float, pair: tuple[str, str] | None = None
) -> list[str]:
    """The switching values of an input as sentences, seen from its present `value`; one sentence if none."""
    one = inputs[find(inputs, name)]
    if switches.empty and pair:
        return [f"Aucune valeur de « {one.label} » ne change l’ordre entre {pair[0]} et {pair[1]}."]
    if switches.empty:
        return [f"Aucune valeur de « {one.label} » ne change l’ordre des scénarios."]
    told = []
    for row in switches.to_dict(orient="records"):
        above = value < row["value"]
        ahead = row["ahead"] if above else ({row["option"], row["other"]} - {row["ahead"]}).pop()
        behind = ({row["option"], row["other"]} - {ahead}).pop()
        beyond = "" if row["inside"] else ", hors des bornes jugées plausibles"
        where = _beyond_told(one, row["value"], above)
        told.append(f"{where}{beyond}, {ahead} {AHEAD[row['indicator']]} que {behind}.")
    return told


def _beyond_told(one: Input, value: float, above: bool) -> str:
    """« Au-dessus de 1,15 », or the next answer where there is a choice: « Avec « pour deux ans » »."""
    if not one.choices:
        return f"{'Au-dessus' if above else 'Au-dessous'} de {one.said(one.rounded(value))}"
    answers = sorted(one.choices.values(), reverse=not above)
    return f"Avec « {one.said(next(a for a in answers if (a > value if above else a < value)))} »"


def headline_told(inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = ()) -> str:
    """The results in one sentence, S0 always said."""
    values = settings(inputs, changes)
    run = simulate(values)
    reference, one, two, three = (said("N_sum", value) for value in run["N_sum"][:, -1, 0])
    _, days, fewer, others = (said("W_mean", value) for value in run["W_mean"][:, -1, 0])
    return (
        f"De 2015 à 2020, avec ces réglages : {one} projets soutenus si l’appel est poursuivi (S1), "
        f"{two} s’il est réorienté (S2), {three} s’il s’arrête (S3), contre {reference} pour la référence "
        f"(S0). L’équipe y passerait {days}, {fewer} et {others} jours par an ; elle en a "
        f"{french.number(values['H'], 0)}."
    )


def no_winner(inputs: Inputs) -> str:
    """The sentence on S1 and S2, between which the note does not decide: what each has, what flips it."""
    run = simulate(inputs.central())
    ends = {name: dict(zip(OPTIONS, run[name][:, -1, 0], strict=True)) for name in ("N_sum", "W_mean")}
    more = "S1" if ends["N_sum"]["S1"] > ends["N_sum"]["S2"] else "S2"
    lighter = "S1" if ends["W_mean"]["S1"] < ends["W_mean"]["S2"] else "S2"
    said_first = (
        f"La note ne tranche pas entre S1 et S2. Aux réglages de départ, {more} soutient plus de projets "
        f"et {lighter} demande moins de temps d’équipe"
    )
    parts = []
    for name, indicator, text in (
        ("V2", "N_sum", "l’avantage en projets s’inverse quand la visibilité en S2 vaut {}"),
        ("n_conv", "W_mean", "l’avantage en temps quand l’équipe suit {} par an"),
    ):
        found = switching(inputs, name, indicators=[indicator])
        pair = found[(found["option"] == "S1") & (found["other"] == "S2") & found["inside"]]
        if len(pair):
            parts.append(text.format(inputs[name].said(inputs[name].rounded(float(pair["value"].iloc[0])))))
    return f"{said_first} ; {', et '.join(parts)}." if parts else f"{said_first}."


def warnings(inputs: Inputs) -> list[str]:
    """What must be known before these figures are quoted."""
    drawn = len(drawable(inputs))
    return [
        *inputs.remarks,
        *refuted(inputs),
        RESTS_ON,
        "Les scénarios et la référence ont le même budget : les différences viennent du scénario seul.",
        f"Les fourchettes contiennent neuf tirages sur dix quand {drawn} hypothèses varient entre leurs "
        "bornes, le plus souvent près de leur valeur de départ. Une part des tirages n’est pas une chance "
        "que cela arrive.",
        "Les communes touchées supposent que chaque projet tire ses communes au hasard parmi les "
        f"{french.number(inputs['NC'].central)} de 2013.",
        "La part de Lille se rapporte à ce qui est dépensé, non au budget prévu.",
        _readings_told(inputs),
    ]


def refuted(inputs: Inputs) -> list[str]:
    """A sentence for each observed value that is out of the bounds of its assumption."""
    found = []
    for row in read_observed(inputs).to_dict("records"):
        one = inputs[row["input"]]
        if not one.low <= row["value"] <= one.high:
            found.append(
                f"{one.label} : {one.said(row['value'])} en {row['year']} ({row['source']}), quand "
                f"l’hypothèse allait {one.bounds}. Réfutée : corrigez-la avant de citer ces résultats."
            )
    return found


def _readings_told(inputs: Inputs) -> str:
    """What the note leaves open about the envelope, and which of its readings make a scenario impossible."""
    one, envelope = inputs["reading"], inputs["E0"]
    stopped = [
        f"Lue « {label} » : {' '.join(text[0].lower() + text[1:] for text in found)}"
        for label, value in one.choices.items()
        if (found := impossibilities(simulate(inputs.central() | {one.id: value})))
    ]
    said = f"La note ne dit pas si l’enveloppe de {envelope.said(envelope.central)} est annuelle."
    return " ".join([said, *stopped])
