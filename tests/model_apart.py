"""The scenarios computed again from `inputs.toml` and `criteria.toml`, sharing no code with the library.

The equations below are written from the method annex of the report, one line for one; draws follow what the
annex says of them (a Latin hypercube, triangular laws, a seed). Only NumPy and SciPy are used.
"""

from __future__ import annotations

import csv
import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

RAW = Path(__file__).resolve().parents[1] / "data" / "raw"
YEARS = range(2015, 2021)
SEED = 2015
MODEL_OPS = {"model", "draws", "switch", "setting", "weight", "first", "cases"}

# What the method sets and no file says: thresholds, scales, numbers of draws.
SETTINGS = {1000.0, 10_000.0, -2.0, 2.0, 0.0, 0.15, 0.05}

RECOMPUTED = {  # inputs that the report recomputes from the tables: what the note gives, by hand
    "a": 25663 / 3,
    "m": 16 / 3,
    "I0": 31000.0,
    "c": 15500.0,
    "r0": 1.5,
}


@cache
def inputs() -> dict[str, dict[str, Any]]:
    """The inputs by id, those recomputed from the tables with the value the note gives."""
    rows = tomllib.loads((RAW / "scenarios" / "inputs.toml").read_text(encoding="utf-8"))["input"]
    return {row["id"]: row | {"central": RECOMPUTED.get(row["id"], row["central"])} for row in rows}


def central() -> dict[str, Any]:
    """The central value of each input."""
    return {name: float(one["central"]) for name, one in inputs().items()}


def simulated(p: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """option → indicator → one value (or one array of draws) a year."""
    found: dict[str, dict[str, list[Any]]] = {}
    for option in ("S0", "S1", "S2", "S3"):
        s0, s1, s2, s3 = (option == name for name in ("S0", "S1", "S2", "S3"))
        kept = 1.0 if s0 else p["tau"]
        part = 0.0 if s0 else p["e1"] if s1 else p["e2"] if s2 else p["e3"]
        seen = 1.0 if s0 else p["V1"] if s1 else p["V2"] if s2 else p["V3"]
        calls = 2.0 if s0 or s1 else 1 + p["h_sess"] if s2 else 1.0
        conventions = p["n_conv"] if s2 or s3 else 0.0
        committee = p["h_com"] if s1 else 0.0
        bilateral = p["h_bil"] * p["n_bil"] if s3 else 0.0
        out: dict[str, list[Any]] = {}
        before, engineering, reached = 0.0, None, p["C0"]
        known = np.minimum(p["NT"], p["D0"])
        sums = dict.fromkeys(("N", "X", "S", "L", "W"), 0.0)
        for k in range(len(YEARS)):
            growth = (1 + p["g"]) ** k
            budget = (p["E0"] / p["reading"] + p["I0"]) * growth
            lille = np.minimum(kept * p["TL"], budget)
            left = budget - lille
            if engineering is not None:
                before = before + engineering / p["c"]
            engineering = np.minimum(p["I0"] * growth, left) if s0 else part * left
            grants = left - engineering
            diagnosed = np.minimum(p["NT"], p["D0"] + before + engineering / p["c"])
            emerging = p["r0"] * seen * (1 + p["lam"]) ** k * (1 + p["alpha"] * before)
            work = (
                p["h_call"] * calls + p["h_proj"] * emerging + p["h_diag"] * (diagnosed - known)
                + p["n_gt"] * p["h_gt"] + p["h_conv"] * conventions + committee + bilateral
            )  # fmt: skip
            known = diagnosed
            paid = grants / p["a"]
            staffed = emerging * np.minimum(1, p["H"] / work)
            projects = np.minimum(staffed, paid)
            block = np.where(paid < staffed, 3, np.where(staffed < emerging, 2, 1))
            reached = p["NC"] - (p["NC"] - reached) * np.maximum(0, 1 - projects * p["m"] / p["NC"])
            sums["N"] = sums["N"] + projects
            sums["X"] = sums["X"] + grants - projects * p["a"]
            sums["S"] = sums["S"] + lille + engineering + projects * p["a"]
            sums["L"] = sums["L"] + lille
            sums["W"] = sums["W"] + work
            year = {
                "N_sum": sums["N"], "unused_sum": sums["X"], "W": work, "W_mean": sums["W"] / (k + 1),
                "C": reached, "lille_share": sums["L"] / sums["S"], "block": block, "staffed": staffed,
                "R": emerging, "L": lille,
            }  # fmt: skip
            for name, value in year.items():
                out.setdefault(name, []).append(value)
        found[option] = out
    return found


@cache
def run() -> dict[str, dict[str, list[Any]]]:
    """The central run."""
    return simulated(central())


@cache
def drawn(draws: int) -> dict[str, dict[str, list[Any]]]:
    """The run of the draws: assumptions that are neither fixed nor a choice between readings."""
    moved = [
        one for one in inputs().values()
        if one["panel"] == "assumption" and one["low"] != one["high"] and "choices" not in one
    ]  # fmt: skip
    unit = qmc.LatinHypercube(len(moved), scramble=False, seed=SEED).random(draws)
    many: dict[str, Any] = central()
    for column, one in enumerate(moved):
        u, low, mode, high = unit[:, column], one["low"], one["central"], one["high"]
        rising = low + np.sqrt(u * (high - low) * (mode - low))
        falling = high - np.sqrt((1 - u) * (high - low) * (high - mode))
        many[one["id"]] = np.where(u < (mode - low) / (high - low), rising, falling)
    return simulated(many)


@cache
def scores() -> tuple[list[str], dict[str, np.ndarray]]:
    """The criteria, and the low, central and high scores: option × criterion."""
    rows = tomllib.loads((RAW / "scenarios" / "criteria.toml").read_text(encoding="utf-8"))["criterion"]
    by = {
        key: np.array(
            [
                [next(s[key] for s in one["score"] if s["option"] == o) for one in rows]
                for o in ("S1", "S2", "S3")
            ],
            dtype=float,
        )
        for key in ("low", "central", "high")
    }
    return [one["id"] for one in rows], by


def _first(model: dict[str, Any]) -> float:
    """The share of the draws of weights and scores in which an option comes first."""
    names, by = scores()
    rng = np.random.default_rng(SEED)
    weights = rng.dirichlet(np.ones(len(names)), size=model["draws"])
    moves = by["high"] > by["low"]
    top = np.where(moves, by["high"], by["low"] + 1.0)
    drawn_scores = rng.triangular(by["low"], by["central"], top, size=(model["draws"], *by["low"].shape))
    drawn_scores = np.where(moves, drawn_scores, by["central"])
    kept, mask = list(range(len(names))), np.ones_like(by["low"])
    kind, name = (model.get("left_out") or ["all", ""])[:2]
    rows = tomllib.loads((RAW / "scenarios" / "criteria.toml").read_text(encoding="utf-8"))["criterion"]
    if kind == "criterion":
        kept = [number for number, one in enumerate(rows) if one["label"] != name]
    elif kind == "paragraph":
        line = name.split("ligne ")[1]
        cited = {row["id"] for row in statements() if row["ligne"] == line}
        for i, option in enumerate(("S1", "S2", "S3")):
            for j, one in enumerate(rows):
                grounds = next(s["statements"] for s in one["score"] if s["option"] == option)
                if grounds and set(grounds) <= cited:
                    mask[i, j] = 0
    totals = np.einsum("dc,doc->do", weights[:, kept], (drawn_scores * mask)[:, :, kept])
    order = np.argsort(-totals, axis=1, kind="stable")
    return float((order[:, 0] == ("S1", "S2", "S3").index(model["option"])).mean())


def _weight(model: dict[str, Any]) -> float:
    """The weight of one criterion at which two options tie, the others sharing the rest equally."""
    names, by = scores()
    number = names.index(model["criterion"])
    one, other = (by["central"]["S1 S2 S3".split().index(option)] for option in model["options"])
    gap = one - other
    rest = (gap.sum() - gap[number]) / (len(names) - 1)
    return float(-rest / (gap[number] - rest))


@cache
def statements() -> list[dict[str, str]]:
    """The statements of annex 3."""
    with (RAW / "mel_2011-2014" / "scenario_statements.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _cases(of: str) -> int:
    """The cases of the evidence matrix: subjects × scenarios, or those without a statement about them."""
    rows = [row for row in statements() if row["critere"]]
    about = {(row["critere"], {"−S3": "S3", "−APT": "S1"}.get(row["signe"], row["id"][:2])) for row in rows}
    cases = len({row["critere"] for row in rows}) * 3
    return cases if of == "cases" else cases - len(about)


def _switches(model: dict[str, Any], value: float) -> bool:
    """Whether the two options change places around this value, within what its rounding allows."""
    step = model["step"] / 10
    gaps = []
    for shift in (-1, 0, 1):
        moved = simulated(central() | {model["input"]: value + shift * step})
        one, other = (moved[option][model["of"]][-1] for option in model["options"])
        gaps.append(float(one) - float(other))
    return min(gaps) <= 1e-9 and max(gaps) >= -1e-9


def modelled(node: dict[str, Any]) -> Decimal:
    """The value of a trace of the model, computed again."""
    model, op = node.get("model", {}), node["op"]
    if op == "setting":
        assert float(node["value"]) in SETTINGS, f"{node['value']} is no known setting"
        return Decimal(str(node["value"]))
    if op == "switch":
        assert _switches(model, node["value"]), f"no switch at {node['value']}"
        return Decimal(str(node["value"]))
    if op == "weight":
        return Decimal(repr(_weight(model)))
    if op == "first":
        return Decimal(repr(_first(model)))
    if op == "cases":
        return Decimal(_cases(model["of"]))
    if "set" in model:
        series = simulated(central() | model["set"])[model["option"]]
    else:
        series = (run() if op == "model" else drawn(model["draws"]))[model["option"]]
    if op == "model":
        values = [float(value) for value in series[model["of"]]]
        return Decimal(repr(max(values) if model["year"] == "max" else values[model["year"] - YEARS[0]]))
    now = {name: values[model["year"] - YEARS[0]] for name, values in series.items()}
    statistic = model["statistic"]
    if statistic == "holds":
        fits = [staffed >= emerging for staffed, emerging in zip(series["staffed"], series["R"], strict=True)]
        return Decimal(repr(float(np.all(fits, axis=0).mean())))
    if statistic in ("low", "high"):
        return Decimal(repr(float(np.quantile(now[model["of"]], {"low": 0.05, "high": 0.95}[statistic]))))
    code = {"projects": 1, "staff": 2, "money": 3}[statistic]
    return Decimal(repr(float((now["block"] == code).mean())))
