"""The model of 2015-2020: its equations, written once, then computed by NumPy, by JavaScript, or printed.

A formula is a Python expression restricted to names, numbers, + - * / **, comparisons, `x if test else y`,
`min(…)`, `max(…)` and `prev(name)` (the value one year earlier). Names are inputs of `inputs.toml`, terms
that change with the option (OPTION_TERMS), `k` (years since the first), or equations written above.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np

OPTIONS = ("S0", "S1", "S2", "S3")
OPTION_LABELS = {
    "S0": "référence que nous ajoutons : l’appel à projets tel qu’en 2012-2013",
    "S1": "poursuite de l’appel à projets, amendé et renforcé",
    "S2": "réorientation vers l’appel à projets permanent",
    "S3": "arrêt de l’appel à projets",
}
OPTION_SHORT = {"S0": "référence", "S1": "poursuite", "S2": "réorientation", "S3": "arrêt"}
YEARS = (2015, 2016, 2017, 2018, 2019, 2020)
BLOCKS = {1: "projects", 2: "staff", 3: "money"}
BLOCK_LABELS = {"projects": "les projets", "staff": "le temps d’équipe", "money": "l’argent"}


@dataclass(frozen=True)
class Equation:
    """One line of the model: `name = formula`, in `unit`, said in French by `label` and `words`."""

    number: str
    name: str
    symbol: str
    formula: str
    unit: str
    label: str
    words: str
    start: str = "0"  # value before the first year, read by prev(name)


# What changes from one option to the next: symbol, words, formula for each of OPTIONS. The rest is common.
OPTION_TERMS: dict[str, tuple[str, str, tuple[str, str, str, str]]] = {
    "tau_s": ("τₛ", "part du transfert à Lille conservée", ("1", "tau", "tau", "tau")),
    "e_s": ("eₛ", "part d’ingénierie après Lille", ("0", "e1", "e2", "e3")),
    "same_I": ("gardeₛ", "1 si l’ingénierie garde son montant de 2012-2013", ("1", "0", "0", "0")),
    "V_s": ("Vₛ", "visibilité", ("1", "V1", "V2", "V3")),
    "calls": ("nₛ", "appels à projets par an", ("2", "2", "1 + h_sess", "1")),
    "conventions": ("convₛ", "conventions suivies", ("0", "0", "n_conv", "n_conv")),
    "committee": ("comitéₛ", "jours du comité étoffé", ("0", "h_com", "0", "0")),
    "bilateral": ("bilatₛ", "jours de suivi commune par commune", ("0", "0", "0", "h_bil * n_bil")),
}

EQUATIONS: tuple[Equation, ...] = (
    Equation("1", "B", "B", "(E0 / reading + I0) * (1 + g)**k", "€", "Budget de l’année",
             "l’enveloppe et l’ingénierie de 2012-2013, au rythme du budget ; le même pour tous"),
    Equation("2", "L", "L", "min(tau_s * TL, B)", "€", "Transféré à la Ville de Lille",
             "la part conservée du transfert, dans la limite du budget"),
    Equation("3", "M", "M", "B - L", "€", "Reste pour les territoires", "le budget moins Lille"),
    Equation("4", "I", "I", "min(I0 * (1 + g)**k, M) if same_I == 1 else e_s * M", "€", "Ingénierie",
             "en S0 le montant de 2012-2013, dans la limite du reste ; sinon une part du reste"),
    Equation("5", "G", "G", "M - I", "€", "Disponible pour les subventions", "le reste moins l’ingénierie"),
    Equation("6a", "A", "A", "prev(A) + prev(I) / c", "diagnostics", "Diagnostics déjà financés",
             "l’ingénierie des années d’avant, divisée par le coût d’un diagnostic"),
    Equation("6b", "D", "D", "min(NT, D0 + A + I / c)", "territoires", "Territoires diagnostiqués",
             "ceux de 2014 et ceux que l’ingénierie a payés depuis, sans dépasser le total",
             start="min(NT, D0)"),
    Equation("7", "R", "R", "r0 * V_s * (1 + lam)**k * (1 + alpha * A)", "projets", "Projets qui émergent",
             "ceux de 2012-2013, corrigés de la visibilité, de la loi et des diagnostics d’avant"),
    Equation("8", "W", "W",
             "h_call * calls + h_proj * R + h_diag * (D - prev(D)) + n_gt * h_gt + h_conv * conventions"
             " + committee + bilateral", "jours", "Temps d’équipe nécessaire",
             "appels, projets, nouveaux diagnostics, réunions, conventions, comité, suivi des communes"),
    Equation("9", "pay", "P", "G / a", "projets", "Projets que l’argent peut payer",
             "le disponible divisé par la subvention moyenne"),
    Equation("10a", "staffed", "E", "R * min(1, H / W)", "projets", "Projets que l’équipe peut suivre",
             "les projets qui émergent, réduits si l’équipe manque de temps"),
    Equation("10b", "N", "N", "min(staffed, pay)", "projets", "Projets soutenus",
             "le plus petit des deux"),
    Equation("10c", "block", "ce qui bloque", "3 if pay < staffed else (2 if staffed < R else 1)", "code",
             "Ce qui bloque", "1 : trop peu de projets ; 2 : trop peu de temps ; 3 : trop peu d’argent"),
    Equation("11", "C", "C", "NC - (NC - prev(C)) * max(0, 1 - N * m / NC)", "communes", "Communes touchées",
             "chaque projet touche des communes au hasard parmi toutes, déjà touchées ou non", start="C0"),
    Equation("12a", "spent", "S", "N * a", "€", "Subventions versées",
             "projets soutenus fois subvention moyenne"),
    Equation("12b", "unused", "X", "G - N * a", "€", "Non dépensé",
             "le disponible moins les subventions versées"),
    Equation("13a", "N_sum", "ΣN", "prev(N_sum) + N", "projets", "Projets soutenus depuis 2015",
             "somme des années"),
    Equation("13b", "unused_sum", "ΣX", "prev(unused_sum) + unused", "€", "Non dépensé depuis 2015",
             "somme des années"),
    Equation("13c", "spent_sum", "ΣS", "prev(spent_sum) + L + I + spent", "€", "Dépensé depuis 2015",
             "Lille, ingénierie et subventions, somme des années"),
    Equation("13d", "L_sum", "ΣL", "prev(L_sum) + L", "€", "Transféré à Lille depuis 2015",
             "somme des années"),
    Equation("13e", "lille_share", "ℓ", "L_sum / spent_sum if spent_sum > 0 else 0", "part",
             "Part de Lille dans la dépense depuis 2015", "transféré à Lille, divisé par la dépense"),
    Equation("13f", "W_sum", "ΣW", "prev(W_sum) + W", "jours", "Temps d’équipe depuis 2015",
             "somme des années"),
    Equation("13g", "W_mean", "W̄", "W_sum / (k + 1)", "jours par an", "Temps d’équipe moyen par an",
             "somme des années, divisée par leur nombre"),
)  # fmt: skip
INDICATORS = {equation.name: equation for equation in EQUATIONS}

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Lt: "<", ast.Gt: ">",
    ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==",
}  # fmt: skip


@cache
def parsed(formula: str) -> ast.expr:
    """The formula as a syntax tree, holding only what the restricted language allows.

    Raises ValueError on anything else (attribute, call of another function, string…).
    """
    tree = ast.parse(formula, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else "?"
            if name not in {"min", "max", "prev"} or node.keywords:
                raise ValueError(f"call not allowed in « {formula} »: {name}")
            if name == "prev" and not (len(node.args) == 1 and isinstance(node.args[0], ast.Name)):
                raise ValueError(f"prev() takes one name in « {formula} »")
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, bool) or not isinstance(node.value, int | float):
                raise ValueError(f"not a number in « {formula} »: {node.value!r}")
        elif isinstance(node, ast.Compare):
            if len(node.ops) != 1:
                raise ValueError(f"chained comparison in « {formula} »")
        elif not isinstance(node, (ast.Name, ast.BinOp, ast.IfExp, ast.Load, ast.Pow, *_OPERATORS)):
            raise ValueError(f"not allowed in « {formula} »: {type(node).__name__}")
    return tree


def names_in(formula: str) -> set[str]:
    """The names that the formula reads (without the functions)."""
    return {node.id for node in ast.walk(parsed(formula)) if isinstance(node, ast.Name)} - {
        "min",
        "max",
        "prev",
    }


def inputs_read() -> set[str]:
    """The inputs the whole model reads."""
    formulas = [text for one in EQUATIONS for text in (one.formula, one.start)]
    formulas += [text for _, _, by_option in OPTION_TERMS.values() for text in by_option]
    return set().union(*map(names_in, formulas)) - {*INDICATORS, *OPTION_TERMS, "k"}


def _written(
    node: ast.expr, name: Callable[[str], str], power: str, choice: str, call: dict[str, str]
) -> str:
    """The tree as program text, fully bracketed so that every language computes in the same order."""

    def write(part: ast.expr) -> str:
        return _written(part, name, power, choice, call)

    match node:
        case ast.Name(id=text):
            return name(text)
        case ast.Constant(value=value):
            return repr(value)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return power.format(write(left), write(right))
        case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"({write(left)} {_OPERATORS[type(op)]} {write(right)})"
        case ast.IfExp(test=test, body=body, orelse=other):
            return choice.format(test=write(test), yes=write(body), no=write(other))
        case ast.Call(func=ast.Name(id="prev"), args=[ast.Name(id=text)]):
            return call["prev"].format(text)
        case ast.Call(func=ast.Name(id=function), args=[first, *others]):
            return reduce(lambda a, b: call[function].format(a, b), map(write, others), write(first))
    raise ValueError(ast.dump(node))


_NUMPY = {"min": "np.minimum({}, {})", "max": "np.maximum({}, {})", "prev": "before['{}']"}
_SCRIPT = {"min": "Math.min({}, {})", "max": "Math.max({}, {})", "prev": "before.{}"}


def numpy_source(formula: str) -> str:
    """The formula as a NumPy expression over `p` (inputs and terms), `v` (this year), `before`, `k`."""
    return _written(parsed(formula), _numpy_name, "({} ** {})", "np.where({test}, {yes}, {no})", _NUMPY)


def script_source(formula: str) -> str:
    """The formula as a JavaScript expression over the same names."""
    return _written(parsed(formula), _script_name, "Math.pow({}, {})", "({test} ? {yes} : {no})", _SCRIPT)


def _numpy_name(name: str) -> str:
    return name if name == "k" else f"{'v' if name in INDICATORS else 'p'}['{name}']"


def _script_name(name: str) -> str:
    return name if name == "k" else f"{'v' if name in INDICATORS else 'p'}.{name}"


@cache
def _program() -> dict[str, Any]:
    """The NumPy program: option terms, starting values and yearly formulas, compiled once."""

    def code(formula: str) -> Any:
        return compile(numpy_source(formula), formula, "eval")

    return {
        "terms": {n: [code(one) for one in by] for n, (_, _, by) in OPTION_TERMS.items()},
        "start": [(e.name, code(e.start)) for e in EQUATIONS],
        "year": [(e.name, code(e.formula)) for e in EQUATIONS],
    }


def simulate(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every indicator as an array option × year × draw.

    `values`: each input as a number or as an array of draws, all of one length. Nothing is checked here
    (see `inputs.settings`); with no money left after Lille the indicators are 0 and `block` is 3.
    """
    program = _program()
    p: dict[str, Any] = {name: np.asarray(value, dtype=float).reshape(-1) for name, value in values.items()}
    scope: dict[str, Any] = {"np": np, "p": p, "__builtins__": {}}
    draws = max(array.size for array in p.values())
    shape = (len(OPTIONS), draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = {
            name: np.array([np.broadcast_to(eval(code, scope), draws) for code in codes])
            for name, codes in program["terms"].items()
        }
        p.update(terms)
        before = {name: np.broadcast_to(eval(code, scope), shape) for name, code in program["start"]}
        out = {name: np.empty((len(OPTIONS), len(YEARS), draws)) for name, _ in program["year"]}
        for k in range(len(YEARS)):
            now: dict[str, Any] = {}
            scope |= {"v": now, "before": before, "k": k}
            for name, code in program["year"]:
                now[name] = eval(code, scope)
                out[name][:, k, :] = now[name]
            before = now
    return out


def script() -> str:
    """The same model as a JavaScript function `simulate(p)` → {option: {indicator: [one value a year]}}."""
    terms = ",\n".join(
        f"  {option}: (p) => ({{"
        + ", ".join(f"{name}: {script_source(by[number])}" for name, (_, _, by) in OPTION_TERMS.items())
        + "})"
        for number, option in enumerate(OPTIONS)
    )
    start = ", ".join(f"{e.name}: {script_source(e.start)}" for e in EQUATIONS)
    year = "\n".join(f"      v.{e.name} = {script_source(e.formula)};" for e in EQUATIONS)
    return f"""const TERMS = {{
{terms}
}};
function simulate(inputs) {{
  const run = {{}};
  for (const option of Object.keys(TERMS)) {{
    const p = Object.assign({{}}, inputs, TERMS[option](inputs));
    let before = {{{start}}};
    const out = run[option] = {{}};
    for (const name of Object.keys(before)) out[name] = [];
    for (let k = 0; k < {len(YEARS)}; k++) {{
      const v = {{}};
{year}
      for (const name of Object.keys(v)) out[name].push(v[name]);
      before = v;
    }}
  }}
  return run;
}}
"""


def symbols(formula: str, symbol_of: Mapping[str, str]) -> str:
    """The formula as it is printed: « min(τₛ × T_L ; B) », « A de l’an passé »."""
    known = (
        {n: s for n, (s, _, _) in OPTION_TERMS.items()}
        | {e.name: e.symbol for e in EQUATIONS}
        | {"k": "k"}
        | dict(symbol_of)
    )
    return _printed(parsed(formula), known, 0)


_STRENGTH: dict[type[ast.AST], int] = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2}
_SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷", "<": "<", ">": ">", "<=": "≤", ">=": "≥", "==": "="}


def _printed(node: ast.expr, known: Mapping[str, str], around: int) -> str:
    """The tree with French signs and only the brackets it needs."""
    match node:
        case ast.Name(id=text):
            return known[text]
        case ast.Constant(value=value):
            return str(value).replace(".", ",")
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            power = _printed(right, known, 3)
            return f"{_printed(left, known, 3)}{'ᵏ' if power == 'k' else '^' + power}"
        case ast.BinOp(left=left, op=op, right=right):
            strength = _STRENGTH[type(op)]
            closer = strength + isinstance(op, ast.Sub | ast.Div)
            sign = _SIGNS[_OPERATORS[type(op)]]
            text = f"{_printed(left, known, strength)} {sign} {_printed(right, known, closer)}"
            return f"({text})" if strength < around else text
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"{_printed(left, known, 0)} {_SIGNS[_OPERATORS[type(op)]]} {_printed(right, known, 0)}"
        case ast.IfExp(test=test, body=body, orelse=other):
            shown = [_printed(part, known, 0) for part in (body, test, other)]
            return "{} si {}, sinon {}".format(*shown)
        case ast.Call(func=ast.Name(id="prev"), args=[ast.Name(id=text)]):
            return f"{known[text]} de l’an passé"
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return f"{function}({' ; '.join(_printed(part, known, 0) for part in arguments)})"
    raise ValueError(ast.dump(node))
