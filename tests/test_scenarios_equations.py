"""The model: its check values, its accounting, and the restricted language its formulas are written in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ess_analysis.scenarios import equations
from ess_analysis.scenarios.equations import OPTIONS, YEARS, simulate
from ess_analysis.scenarios.inputs import Inputs, read_inputs
from ess_analysis.scenarios.settings import settings

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return read_inputs(RAW)


def at_the_end(run: dict[str, np.ndarray], name: str) -> list[float]:
    return [float(value) for value in run[name][:, -1, 0]]


@pytest.fixture(scope="module")
def central(inputs: Inputs) -> dict[str, np.ndarray]:
    return simulate(inputs.central())


@pytest.mark.parametrize(
    ("name", "expected", "step"),
    [
        ("N_sum", [12.7, 14.7, 11.5, 8.1], 0.1),
        ("C", [55, 59, 53, 44], 1),
        ("W_mean", [86, 98, 91, 140], 1),
        ("lille_share", [0.60, 0.56, 0.61, 0.58], 0.01),
        ("unused_sum", [113_000, 58_000, 122_000, 94_000], 1_000),
    ],
)
def test_central_results_are_those_of_the_design(
    central: dict[str, np.ndarray], name: str, expected: list[float], step: float
) -> None:
    assert [round(value / step) * step for value in at_the_end(central, name)] == pytest.approx(expected)


def test_more_projects_than_two_a_year_turn_the_reinforced_call_into_the_poorer_one(inputs: Inputs) -> None:
    s0, s1, *_ = at_the_end(simulate(settings(inputs, {"r0": 3})), "N_sum")
    assert (round(s0, 1), round(s1, 1)) == (23.4, 21.2)


def random_values(inputs: Inputs, draws: int) -> dict[str, np.ndarray]:
    """Every input anywhere between its bounds, readings included."""
    rng = np.random.default_rng(7)
    values = {one.id: rng.uniform(one.low, one.high, draws) for one in inputs}
    return values | {"reading": rng.choice([1.0, 2.0, 4.0], draws)}


def test_every_euro_of_ten_thousand_draws_is_accounted_for_to_the_cent(inputs: Inputs) -> None:
    run = simulate(random_values(inputs, 10_000))
    parts = run["L"] + run["I"] + run["spent"] + run["unused"]
    assert np.abs(run["B"] - parts).max() < 0.005
    for name in ("B", "L", "I", "spent", "unused"):
        assert run[name].min() > -0.005, name
    totals = run["spent_sum"][:, -1] + run["unused_sum"][:, -1]
    assert np.abs(run["B"].sum(axis=1) - totals).max() < 0.005


def test_all_options_have_the_same_budget(inputs: Inputs) -> None:
    budget = simulate(random_values(inputs, 100))["B"]
    assert (budget == budget[0]).all()


def test_communes_reached_never_pass_the_number_of_communes_nor_go_back(inputs: Inputs) -> None:
    reached = simulate(random_values(inputs, 2_000))["C"]
    assert reached.max() <= 85
    assert (np.diff(reached, axis=1) >= 0).all()


def test_supported_projects_are_the_smallest_of_the_three_limits_and_the_block_names_it(
    inputs: Inputs,
) -> None:
    run = simulate(random_values(inputs, 2_000))
    assert (run["N"] <= run["R"] + 1e-12).all()
    assert np.allclose(run["N"], np.minimum(run["staffed"], run["pay"]))
    money, staff, projects = (run["block"] == code for code in (3, 2, 1))
    assert (run["pay"][money] < run["staffed"][money]).all()
    assert (run["staffed"][staff] < run["R"][staff]).all()
    assert np.allclose(run["N"][projects], run["R"][projects])
    assert money.any() and staff.any() and projects.any()


def test_staff_without_a_single_day_supports_nothing_and_the_staff_is_what_blocks(inputs: Inputs) -> None:
    run = simulate(inputs.central() | {"H": 0.0})
    assert (run["N"] == 0).all()
    assert (run["block"] == 2).all()


def test_a_budget_shrunk_to_nothing_gives_zeros_and_not_errors(inputs: Inputs) -> None:
    run = simulate(inputs.central() | {"g": -1.0})
    assert (run["B"][:, 1:] == 0).all()
    assert all(np.isfinite(run[name]).all() for name in run)
    assert (run["N"][:, 1:] == 0).all()


def test_the_reference_ignores_what_only_the_scenarios_change(inputs: Inputs) -> None:
    moved = {"tau": 0.0, "e1": 0.7, "V1": 1.4, "n_conv": 10}
    before, after = simulate(inputs.central()), simulate(settings(inputs, moved))
    assert (before["N"][0] == after["N"][0]).all()
    assert (before["N"][1] != after["N"][1]).any()


def test_inputs_are_left_untouched(inputs: Inputs) -> None:
    values = random_values(inputs, 5)
    copies = {name: array.copy() for name, array in values.items()}
    simulate(values)
    assert all((values[name] == copies[name]).all() for name in values)


def test_one_draw_gives_the_same_as_that_draw_among_many(inputs: Inputs) -> None:
    values = random_values(inputs, 50)
    many = simulate(values)
    alone = simulate({name: array[7] for name, array in values.items()})
    assert all((many[name][:, :, 7] == alone[name][:, :, 0]).all() for name in many)


def test_results_have_one_value_per_option_and_year(central: dict[str, np.ndarray]) -> None:
    assert {array.shape for array in central.values()} == {(len(OPTIONS), len(YEARS), 1)}


@pytest.mark.parametrize(
    "formula",
    ["__import__('os')", "a.b", "a[0]", "'text'", "True", "lambda: 1", "open(x)", "min(x, key=y)", "prev(1)",
     "a < b < c", "a and b", "a if b", "[1]"],
)  # fmt: skip
def test_a_formula_outside_the_restricted_language_is_refused(formula: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        equations.parsed(formula)


def test_a_formula_is_printed_with_french_signs_and_no_useless_bracket() -> None:
    known = {"x": "x", "y": "y"}
    assert equations.symbols("(x + 1.5) * y / 2 - min(x, y)", known) == "(x + 1,5) × y ÷ 2 − min(x ; y)"
    assert equations.symbols("x - (y - 1)", known) == "x − (y − 1)"
    assert equations.symbols("prev(A) if x > 0 else y**k", known) == "A de l’an passé si x > 0, sinon yᵏ"


def test_every_equation_reads_only_what_is_computed_before_it() -> None:
    known = equations.inputs_read() | set(equations.OPTION_TERMS) | {"k"}
    for equation in equations.EQUATIONS:
        text = equation.formula
        for name in equations.INDICATORS:
            text = text.replace(f"prev({name})", "0")
        assert equations.names_in(text) <= known, equation.name
        known.add(equation.name)


def test_the_javascript_says_the_same_formula_fully_bracketed() -> None:
    assert equations.script_source("B - L * 2 if a > 0 else min(B, L, 3)") == (
        "((p.a > 0) ? (v.B - (v.L * 2)) : Math.min(Math.min(v.B, v.L), 3))"
    )
