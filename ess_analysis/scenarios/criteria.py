"""The note's own arguments weighed: scores on seven criteria, dominance, weights, what a ranking rests on.

Scores go from −2 to +2 relative to S0 = 0. A share of draws is not a probability: it says how often an option
comes first when weights and scores are drawn, nothing about what will happen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.scenarios.exploration import SEED
from ess_analysis.scenarios.inputs import Inputs, is_number, need, read_toml

COMPARED = ("S1", "S2", "S3")
BASES = {
    "stated": ("●", "énoncé dans la note"),
    "conditional": ("◆", "énoncé sous condition"),
    "silent": ("□", "la note se tait"),
}


@dataclass(frozen=True)
class Criteria:
    """The seven criteria and the scores of the three options, with the statements that ground them."""

    scores: pd.DataFrame  # criterion, label, option, low, central, high, basis, statements (tuple)
    labels: Mapping[str, str]
    swings: Mapping[str, str]  # the question that weighs each criterion, in the words of the note
    author: str
    date: dt.date

    @property
    def ids(self) -> list[str]:
        """The criteria, in the order of the file."""
        return list(self.labels)

    def matrix(self, column: str = "central") -> np.ndarray:
        """One column of the scores as an array option × criterion."""
        table = self.scores.pivot(index="option", columns="criterion", values=column)
        return table.loc[list(COMPARED), self.ids].to_numpy(dtype=float)


def read_criteria(inputs: Inputs) -> Criteria:
    """The criteria of `scenarios/criteria.toml`, checked against the statements of the note.

    Raises DataError on a score without statement (unless the note is said to be silent), a statement that is
    not in annex 3 or feeds two criteria, a score outside −2…+2 or outside its own interval.
    """
    path = inputs.data / "scenarios" / "criteria.toml"
    content = read_toml(path)
    signed = isinstance(content.get("author"), str) and isinstance(content.get("date"), dt.date)
    need(
        signed, f"{path} n’est ni signé ni daté.", (), "écrivez author = « … » et date = 2026-11-23 en tête."
    )
    known, rows = set(inputs.quotes["id"]), []
    used: dict[str, str] = {}
    for criterion in content.get("criterion", []):
        name = criterion.get("id", "sans id")
        for key in ("label", "swing"):
            need(
                bool(criterion.get(key)), f"{path}, critère « {name} » : « {key} » manque.", (), "écrivez-le."
            )
        for score in criterion.get("score", []):
            _check_score(score, f"{path}, critère « {name} », option « {score.get('option', '?')} »", known)
            for statement in score["statements"]:
                other = used.setdefault(statement, name)
                where = f"{path} : l’énoncé {statement} nourrit deux critères."
                need(other == name, where, [other, name], "gardez-le dans un seul : un énoncé, un critère.")
            rows.append({"criterion": name, "label": criterion["label"], **score})
        given = sorted(score["option"] for score in criterion.get("score", []))
        need(given == list(COMPARED), f"{path}, critère « {name} » : une note par option.", given,
             f"notez {french.listing(COMPARED)}, une fois chacune.")  # fmt: skip
    need(bool(rows), f"{path} ne contient aucun critère.", (), "ajoutez des blocs [[criterion]].")
    scores = pd.DataFrame(rows)
    scores["statements"] = [tuple(cited) for cited in scores["statements"]]
    labels = {one["id"]: one["label"] for one in content["criterion"]}
    swings = {one["id"]: one["swing"] for one in content["criterion"]}
    return Criteria(scores, labels, swings, content["author"], content["date"])


def _check_score(score: Mapping[str, Any], where: str, known: set[str]) -> None:
    bounds = [score.get(key, "absent") for key in ("low", "central", "high")]
    need(all(is_number(value) for value in bounds), f"{where} : il faut trois nombres.", bounds,
         "écrivez low, central et high.")  # fmt: skip
    fits = bounds == sorted(bounds) and bounds[0] >= -2 and bounds[2] <= 2
    need(
        fits,
        f"{where} : note hors de −2…+2 ou de son intervalle.",
        bounds,
        "il faut −2 ≤ low ≤ central ≤ high ≤ 2.",
    )
    need(score.get("basis") in BASES, f"{where} : fondement inconnu.", [score.get("basis", "absent")],
         f"au choix : {', '.join(BASES)}.")  # fmt: skip
    statements: list[str] = score.get("statements", [])
    told = f"{where} : « statements » manque."
    need(isinstance(score.get("statements"), list), told, (), "listez les énoncés, ou [].")
    silent = score["basis"] == "silent"
    need(bool(statements) != silent, f"{where} : une note sans énoncé, ou un silence qui cite.", statements,
         "citez un énoncé de l’annexe 3, ou écrivez basis = « silent » et statements = [].")  # fmt: skip
    lost = [one for one in statements if one not in known]
    need(
        not lost, f"{where} : énoncé introuvable.", lost, "vérifiez son numéro dans scenario_statements.csv."
    )


def weights(criteria: Criteria, given: Mapping[str, float] | None = None) -> np.ndarray:
    """The weights, summing to one, in the order of the criteria; equal when none is given.

    Raises DataError on an unknown criterion, a negative or unreadable weight, weights that sum to zero.
    """
    if given is None:
        return np.full(len(criteria.ids), 1 / len(criteria.ids))
    unknown = [name for name in given if name not in criteria.ids]
    need(not unknown, "Critère inconnu.", unknown, f"au choix : {', '.join(criteria.ids)}.")
    wrong = [value for value in given.values() if not is_number(value) or value < 0]
    need(not wrong, "Un poids est un nombre positif ou nul.", wrong, "par exemple 20 pour 20 %.")
    values = np.array([float(given.get(name, 0.0)) for name in criteria.ids])
    need(values.sum() > 0, "La somme des poids est nulle : rien ne départage les options.",
         given.values(), "donnez un poids à un critère au moins.")  # fmt: skip
    return values / values.sum()


def dominance(criteria: Criteria, column: str = "central") -> pd.DataFrame:
    """Which option is at least as good everywhere and better somewhere: option, dominates."""
    matrix = criteria.matrix(column)
    pairs = [
        (one, other)
        for i, one in enumerate(COMPARED)
        for j, other in enumerate(COMPARED)
        if (matrix[i] >= matrix[j]).all() and (matrix[i] > matrix[j]).any()
    ]
    return pd.DataFrame(pairs, columns=["option", "dominates"])


def ranking(criteria: Criteria, given: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The options by weighted sum of central scores: option, score, rank (ties share a rank)."""
    score = criteria.matrix() @ weights(criteria, given)
    frame = pd.DataFrame({"option": COMPARED, "score": score})
    frame["rank"] = frame["score"].round(9).rank(ascending=False, method="min").astype(int)
    return frame.sort_values(["rank", "option"], ignore_index=True)


def other_methods(criteria: Criteria, given: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The ranks that other methods of the field give (pymcdm): method, and one column per option.

    VIKOR is left out: pymcdm 1.4 returns NaN on this matrix.
    """
    from pymcdm.methods import PROMETHEE_II, TOPSIS

    matrix, share = (
        criteria.matrix() + 2.0,
        weights(criteria, given),
    )  # 0 to 4: these methods want no negative
    types = np.ones(len(share))
    rows = [{"method": "Somme pondérée", **ranking(criteria, given).set_index("option")["rank"].to_dict()}]
    for name, method in {
        "TOPSIS": TOPSIS(lambda column, cost=False: column / 4.0),
        "PROMETHEE II": PROMETHEE_II("usual"),
    }.items():
        preference = pd.Series(np.round(method(matrix, share, types), 9), index=list(COMPARED))
        rows.append({"method": name, **preference.rank(ascending=False, method="min").astype(int).to_dict()})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Draws:
    """Weights and scores drawn together: arrays draw × criterion and draw × option × criterion."""

    weights: np.ndarray
    scores: np.ndarray


def draw(criteria: Criteria, draws: int = 10_000, seed: int = SEED) -> Draws:
    """Random weights (uniform among those that sum to one) and scores (triangular in their intervals)."""
    rng = np.random.default_rng(seed)
    low, central, high = (criteria.matrix(column) for column in ("low", "central", "high"))
    share = rng.dirichlet(np.ones(len(criteria.ids)), size=draws)
    moves = high > low
    top = np.where(moves, high, low + 1.0)  # the triangular law refuses an empty interval
    scores = np.where(moves, rng.triangular(low, central, top, size=(draws, *low.shape)), central)
    return Draws(share, scores)


def acceptability(criteria: Criteria, drawn: Draws, given: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The share of draws in which each option takes each rank: option, rank, share.

    With `given` weights only the scores are drawn.
    """
    share = drawn.weights if given is None else np.tile(weights(criteria, given), (len(drawn.weights), 1))
    return _ranks(np.einsum("dc,doc->do", share, drawn.scores))


def _ranks(totals: np.ndarray) -> pd.DataFrame:
    order = np.argsort(-totals, axis=1, kind="stable")
    places = np.argsort(order, axis=1)
    rows = [
        (option, rank + 1, float((places[:, number] == rank).mean()))
        for number, option in enumerate(COMPARED)
        for rank in range(len(COMPARED))
    ]
    return pd.DataFrame(rows, columns=["option", "rank", "share"])


def switching_weights(criteria: Criteria, given: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The weight of one criterion at which two options tie: criterion, option, other, weight, now…

    `first_above` is the option ahead beyond that weight.

    The other criteria keep their proportions. No row when the two never tie between 0 and 1.
    """
    share, matrix = weights(criteria, given), criteria.matrix()
    rows = []
    for number, name in enumerate(criteria.ids):
        rest = np.delete(share, number)
        rest = rest / rest.sum() if rest.sum() > 0 else np.full(rest.size, 1 / rest.size)
        others = np.delete(matrix, number, axis=1) @ rest
        for i, one in enumerate(COMPARED):
            for j in range(i + 1, len(COMPARED)):
                on_rest = others[i] - others[j]
                slope = (matrix[i, number] - matrix[j, number]) - on_rest
                if slope and 0 < (tie := -on_rest / slope) < 1:
                    above = one if slope > 0 else COMPARED[j]
                    rows.append((name, one, COMPARED[j], tie, share[number], above))
    return pd.DataFrame(rows, columns=["criterion", "option", "other", "weight", "now", "first_above"])


def leave_out(criteria: Criteria, inputs: Inputs, drawn: Draws) -> pd.DataFrame:
    """The ranking with one criterion, or one paragraph of annex 3, left out.

    Columns: kind (all, criterion, paragraph), left_out, first (central scores, equal weights; several when
    they tie), first_in_draws and share (the option first most often, and its share of the draws).
    A paragraph left out: the scores it grounds alone fall to 0, the others stay.
    """
    every, matrix = list(range(len(criteria.ids))), criteria.matrix()
    rows = [_left_out(drawn, "all", "rien", every, matrix, drawn.scores)]
    for number, label in enumerate(criteria.labels.values()):
        kept = [one for one in every if one != number]
        rows.append(_left_out(drawn, "criterion", label, kept, matrix, drawn.scores))
    for line, cited in inputs.statements.groupby("line")["id"]:
        silenced = {
            (row["option"], row["criterion"])
            for row in criteria.scores.to_dict(orient="records")
            if row["statements"] and set(row["statements"]) <= set(cited)
        }
        if silenced:
            mask = np.array([[(o, c) not in silenced for c in criteria.ids] for o in COMPARED])
            name = f"{cited.iloc[0][:2]}, ligne {line}"
            rows.append(_left_out(drawn, "paragraph", name, every, matrix * mask, drawn.scores * mask))
    return pd.DataFrame(rows)


def _left_out(
    drawn: Draws, kind: str, name: str, kept: list[int], matrix: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    totals = matrix[:, kept].mean(axis=1)
    first = [one for one, total in zip(COMPARED, totals, strict=True) if total >= totals.max() - 1e-9]
    shares = drawn.weights[:, kept] / drawn.weights[:, kept].sum(axis=1, keepdims=True)
    ranks = _ranks(np.einsum("dc,doc->do", shares, scores[:, :, kept]))
    top = ranks[ranks["rank"] == 1].sort_values("share", ascending=False).iloc[0]
    row = {"kind": kind, "left_out": name, "first": " = ".join(first)}
    return row | {"first_in_draws": top["option"], "share": top["share"]}


def rests_on(criteria: Criteria, given: Mapping[str, float] | None = None) -> str:
    """The sentence without which no ranking is shown: weights, author, silences."""
    table = criteria.scores
    silent = table[table["basis"] == "silent"]
    stated = int((table["basis"] == "stated").sum())
    equal = given is None or len({round(float(value), 9) for value in weights(criteria, given)}) == 1
    how = "à poids égaux" if equal else "aux poids choisis"
    gaps = french.listing(
        f"{row['label'].lower()} en {row['option']}" for row in silent.to_dict(orient="records")
    )
    unsaid = f" La note se tait et la cotation est supposée pour : {gaps}." if gaps else ""
    return (
        f"Ce classement repose sur {len(table)} cotations ({criteria.author}), {how} ; {stated} s’appuient "
        f"sur un énoncé net de la note, les autres sur une condition ou un silence.{unsaid} "
        "D’autres poids donnent un autre ordre."
    )


def dominance_told(criteria: Criteria) -> str:
    """What can be said without weights."""
    rows = dominance(criteria).to_dict("records")
    pairs = [f"{row['option']} fait au moins aussi bien que {row['dominates']} partout" for row in rows]
    said = french.listing(pairs) or "aucun scénario ne fait mieux partout"
    decided = any({row["option"], row["dominates"]} == {"S1", "S2"} for row in rows)
    rest = "" if decided else " ; entre S1 et S2, il faut peser les critères"
    return f"Sans aucun poids, aux cotations centrales : {said}{rest}."


def methods_told(criteria: Criteria, given: Mapping[str, float] | None = None) -> str:
    """Whether the other methods of the field order the scenarios as the weighted sum does."""
    table = other_methods(criteria, given).set_index("method")
    ours, others = table.iloc[0], table.iloc[1:]
    same = [str(name) for name in others.index if (others.loc[name] == ours).all()]
    other = [str(name) for name in others.index if str(name) not in same]
    parts = []
    if same:
        verb = "donne" if len(same) == 1 else "donnent"
        parts.append(f"{french.listing(same)} {verb} le même ordre que la somme pondérée")
    for name in other:
        order = sorted(COMPARED, key=lambda option: (others.loc[name, option], option))
        parts.append(f"{name} donne {french.listing(order)}")
    return f"Autres méthodes d’agrégation, aux mêmes poids : {' ; '.join(parts)}."


def ranking_told(criteria: Criteria, given: Mapping[str, float] | None = None) -> str:
    """The ranking and, always, what it rests on."""
    how = "À poids égaux" if given is None or len(set(given.values())) == 1 else "À ces poids"
    rows = ranking(criteria, given).to_dict("records")
    scores = ", ".join(f"{row['option']} {french.signed(french.number(row['score'], 2))}" for row in rows)
    return f"{how} : {scores} ; la référence S0 est à 0. {rests_on(criteria, given)}"


def acceptability_told(criteria: Criteria, draws: int = 10_000) -> str:
    """How often each option comes first when weights and scores are drawn."""
    found = acceptability(criteria, draw(criteria, draws))
    rows = found[found["rank"] == 1].to_dict("records")
    shares = french.listing(f"{row['option']} dans {french.percent(row['share'])}" for row in rows)
    return (
        f"Quand poids et cotations sont tirés au hasard ({french.number(draws)} tirages, graine {SEED}), "
        f"arrive en tête : {shares} des tirages. Une part des tirages n’est pas une chance que cela arrive : "
        "elle dit seulement combien l’ordre dépend des poids."
    )
