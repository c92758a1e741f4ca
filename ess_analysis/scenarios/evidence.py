"""What the note says of the scenarios and what it leaves unsaid; the log of assumptions; and my commune?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.scenarios.equations import OPTIONS, simulate
from ess_analysis.scenarios.exploration import SEED, saltelli, spread
from ess_analysis.scenarios.inputs import Inputs, read_observed
from ess_analysis.scenarios.settings import settings
from ess_analysis.traces import amount_trace, difference_of, stated_trace

if TYPE_CHECKING:
    from ess_analysis.load import Tables

SILENCE = "la note se tait"
NO_MARGIN = 2  # resamples: the margins of the indices are not read here
STRONG, MEDIUM = 0.15, 0.05  # share of the variance from which an assumption weighs a lot, or something
IMPACT_LABELS = {"strong": "pèse beaucoup", "medium": "pèse un peu", "weak": "pèse peu"}
QUALITY_LABELS = {
    "measured": "mesurée dans la note",
    "signed": "signe dit par la note, ampleur supposée",
    "supposed": "entièrement supposée",
}
VERDICT_LABELS = {"confirmed": "confirmée", "refuted": "réfutée", "untested": "non éprouvée"}

# What each scenario opens (+) or closes (−) for a commune, always with the statement that says so.
_FOR_A_COMMUNE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "S1": (
        ("+", "répondre, seule ou à plusieurs, à un appel à projets propre aux territoires", "S1-15"),
        ("+", "être suivie pendant que le projet mûrit", "S1-08"),
        ("+", "recevoir diagnostic et aide au montage, si l’ingénierie est « mieux affirmée »", "S1-17"),
    ),
    "S2": (
        ("+", "répondre au volet de l’appel permanent réservé aux collectivités", "S2-03"),
        ("+", "connaître une date butoir, une fois par an", "S2-14"),
        ("+", "signer une convention, si elle est engagée dans une politique ESS", "S2-13"),
        ("−", "perdre la place au comité de sélection, si l’on n’y veille pas", "S2-10"),
    ),
    "S3": (
        ("−", "ne plus avoir d’appel à projets propre aux territoires", "S3-09"),
        ("+", "faire l’objet d’un diagnostic de territoire", "S3-04"),
        ("+", "signer une convention, si l’ESS est déjà à son agenda et dans sa compétence", "S3-10"),
        ("−", "rester à l’écart des projets « d’envergure métropolitaine » si elle est petite", "S3-11"),
    ),
}


def matrix(inputs: Inputs) -> pd.DataFrame:
    """The evidence matrix: one row per subject, one column per scenario, each statement with its sign.

    A statement written under one scenario but about another is filed under the one it is about. An empty
    cell is written « la note se tait ».
    """
    statements = inputs.statements[inputs.statements["subject"] != ""]
    cells: dict[str, dict[str, list[str]]] = {}
    for row in statements.to_dict(orient="records"):
        about = {"−S3": "S3", "−APT": "S1"}.get(row["sign"], row["id"][:2])
        text = f"{_sign(row['sign'])} « {row['text']} » ({row['id']})"
        cells.setdefault(french.sentence_case(row["subject"]), {}).setdefault(about, []).append(text)
    rows = [
        {"Sujet": subject} | {option: " ; ".join(by.get(option, [SILENCE])) for option in OPTIONS[1:]}
        for subject, by in cells.items()
    ]
    return pd.DataFrame(rows, columns=["Sujet", *OPTIONS[1:]])


def _sign(written: str) -> str:
    """+, − or ±; a condition keeps its sign, « si » before it."""
    if written in ("−S3", "−APT", "− implicite", "−"):
        return "−"
    return {"+": "+", "0": "·", "cond.": "si", "+ cond.": "+ si", "− cond.": "− si", "+/−": "±"}[written]


def counts(inputs: Inputs) -> pd.DataFrame:
    """How many statements each scenario gets in its own section: option, statements, for, against."""
    found = inputs.statements[inputs.statements["subject"] != ""]
    option, signs = found["id"].str[:2], found["sign"]
    rows = [
        (
            one,
            int(mine.sum()),
            int(signs[mine].str.startswith("+").sum()),
            int(signs[mine].isin(_AGAINST).sum()),
        )
        for one in OPTIONS[1:]
        for mine in [option == one]
    ]
    return pd.DataFrame(rows, columns=["option", "statements", "for", "against"])


_AGAINST = ("−", "− cond.", "− implicite")


# --- The log of assumptions ------------------------------------------------------------------------


def log(
    inputs: Inputs,
    changes: Mapping[str, Any] | Iterable[str] = (),
    *,
    shares: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Each assumption, the heaviest first: input, label, value, modified, range, impact, share, quality…

    `impact` comes from the sensitivity run (`shares`, by default `weights_of_assumptions`), `quality` from
    the status. `verdict` compares observed values with the bounds: one outside refutes, all inside confirm,
    none leaves untested.
    """
    shares = weights_of_assumptions(inputs, changes) if shares is None else shares
    observed, values = read_observed(inputs), settings(inputs, changes)
    rows = []
    for one in inputs.panel("assumption"):
        weight = shares.get(one.id, 0.0)
        seen = observed.loc[observed["input"] == one.id, "value"]
        inside = seen.between(one.low, one.high)
        rows.append(
            {
                "input": one.id,
                "label": one.label,
                "value": one.said(values[one.id]),
                "modified": values[one.id] != one.central,
                "range": "au choix" if one.choices else one.bounds,
                "impact": "strong" if weight >= STRONG else "medium" if weight >= MEDIUM else "weak",
                "share": weight,
                "quality": quality(one.status, one.sources),
                "verdict": "untested" if seen.empty else "confirmed" if inside.all() else "refuted",
                "why": one.why,
                "author": one.author,
                "date": one.date,
                "sources": ", ".join(one.sources),
            }
        )
    return pd.DataFrame(rows).sort_values(["share", "label"], ascending=[False, True], ignore_index=True)


def weights_of_assumptions(
    inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = (), *, size: int = 256, seed: int = SEED
) -> dict[str, float]:
    """For each assumption, its largest share of the variance of a gap between two scenarios.

    Gaps S1−S0, S2−S1 and S3−S1, in projects, communes and staff days: total Sobol indices. A choice between
    readings is not drawn: its share is the variance its readings make, over that plus the draws' variance.
    """
    values = settings(inputs, changes)
    heaviest: dict[str, float] = {}
    sample, many = (
        saltelli(inputs, changes, size=size, seed=seed),
        spread(inputs, changes, draws=size, seed=seed),
    )
    choices = [one for one in inputs.panel("assumption") if one.choices]
    read = {one.id: simulate(values | {one.id: np.array(list(one.choices.values()))}) for one in choices}
    for indicator, (option, other) in product(
        ("N_sum", "C", "W_mean"), (("S1", "S0"), ("S2", "S1"), ("S3", "S1"))
    ):
        found = sample.indices(indicator, option, other, resamples=NO_MARGIN)["ST"]
        shares = dict(zip(sample.names, map(float, found), strict=True))
        for name, run in read.items():
            between, within = (_gap(one, indicator, option, other).var() for one in (run, many))
            shares[name] = between / (between + within) if between > 0 else 0.0
        heaviest = {name: max(share, heaviest.get(name, 0.0)) for name, share in shares.items()}
    return heaviest


def _gap(run: Mapping[str, np.ndarray], indicator: str, option: str, other: str) -> np.ndarray:
    """The difference between two options in the last year, one value per draw."""
    last = run[indicator][:, -1, :]
    return last[OPTIONS.index(option)] - last[OPTIONS.index(other)]


def quality(status: str, sources: Iterable[str]) -> str:
    """measured (note, derived, external), signed (the note says the direction), or supposed."""
    if status != "assumption":
        return "measured"
    return "signed" if any(source.startswith("S") for source in sources) else "supposed"


# --- What a lever loses ------------------------------------------------------------------------------


def actions_at_stake(tables: Tables) -> pd.DataFrame:
    """The Lille actions the Métropole pays part of (annex 2, forecast 2013): axis, title, amount_eur, trace.

    The last row is what the stated total holds and no line details.
    """
    planned = tables.funding[tables.funding["stage"] == "planned"]
    paid = planned[planned["funder"].map(is_mel) & (planned["amount_eur"] > 0)]
    traces = [amount_trace([name], tables) for name in paid["funding_id"]]
    rows = paid[["axis", "title", "amount_eur"]].assign(trace=pd.Series(traces, index=paid.index))
    totals = tables.stated_totals[tables.stated_totals["stage"] == "planned"]
    stated = totals[totals["funder"].map(is_mel) & (totals["measure"] == "funding")]
    gap = round(float(stated["amount_eur"].sum() - rows["amount_eur"].sum()), 2)
    if stated.empty or not gap:
        return rows.reset_index(drop=True)
    total = stated_trace(stated["total_id"].iloc[0], tables)
    trace = difference_of(total, amount_trace(list(paid["funding_id"]), tables))
    rest = {"axis": "", "title": "non détaillé dans l’annexe 2", "amount_eur": gap, "trace": trace}
    return pd.concat([rows, pd.DataFrame([rest])], ignore_index=True)


def is_mel(name: object) -> bool:
    """True for the Métropole under any of the names the note gives it."""
    known = {"lille metropole", "mel", "lm", "la metropole", "metropole europeenne de lille"}
    return french.strip_accents(str(name)).lower() in known


def loss(kept: float, transfer: float, actions: pd.DataFrame) -> str:
    """The sentence that says what keeping only a part of Lille's transfer puts at stake."""
    if kept >= 1:
        return "Tout le transfert à Lille est conservé : aucune action de l’annexe 2 n’est touchée."
    detailed = actions[actions["axis"] != ""]
    removed = french.money(round(transfer * (1 - kept)), 0)
    count = french.counted(len(detailed), "action", feminine=True)
    if kept <= 0:
        return f"{removed} par an ne vont plus à Lille : les {count} de l’annexe 2 perdent cet argent."
    return (
        f"{removed} par an ne vont plus à Lille, sur {french.money(transfer, 0)} : il faut choisir parmi "
        f"les {count} de l’annexe 2. La note ne dit pas lesquelles arrêter."
    )


# --- And my commune? ---------------------------------------------------------------------------------


def communes(tables: Tables, inputs: Inputs) -> pd.DataFrame:
    """What is known of each of the 95 communes: insee_code, name, population, member, projects."""
    reference = pd.read_csv(inputs.data / "reference" / "mel_communes.csv", dtype="str")
    awarded = tables.funding.loc[tables.funding["stage"] == "awarded", "record_id"]
    places = tables.places[tables.places["record_id"].isin(awarded) & tables.places["insee_code"].notna()]
    titles = tables.records.set_index("record_id")["title"]
    named = places.drop_duplicates(["record_id", "insee_code"])
    projects = named.groupby("insee_code")["record_id"].agg(list)
    known = reference["insee_code"].map(projects)
    table = pd.DataFrame(
        {
            "insee_code": reference["insee_code"],
            "name": reference["name"],
            "population": reference["municipal_population"].astype(int),
            "member": reference["member_in_2013"] == "yes",
            "projects": [tuple(titles[ids]) if isinstance(ids, list) else () for ids in known],
        }
    )
    order = sorted(table.index, key=lambda row: french.strip_accents(str(table.at[row, "name"])).lower())
    return table.loc[order].reset_index(drop=True)


def told(commune: Mapping[str, Any]) -> list[str]:
    """What happened there, in sentences, without an amount that the note does not give for the commune."""
    name, projects = commune["name"], commune["projects"]
    said = []
    if not commune["member"]:
        said.append(f"{name} n’était pas membre de la Métropole en 2013 : la note n’en dit rien.")
    elif projects:
        titles = french.listing(f"« {title} »" for title in projects)
        noun = french.plural(len(projects), "projet")
        said.append(
            f"{name} est nommée dans l’annexe 1, pour {len(projects)} {noun} de 2012-2013 : {titles}."
        )
        said.append("La note donne le montant du projet, pas la part de chaque commune.")
    else:
        said.append(f"{name} n’est nommée dans aucun projet de l’annexe 1 (2012-2013).")
        said.append("Cela ne dit pas que rien ne s’y est fait : la note ne cite que les projets soutenus.")
    return said


def openings(inputs: Inputs) -> pd.DataFrame:
    """What each scenario opens or closes for a commune: option, sign, text, statement, quote. No amount."""
    rows = [(option, sign, text, source, inputs.quoted(source))
            for option, lines in _FOR_A_COMMUNE.items() for sign, text, source in lines]  # fmt: skip
    return pd.DataFrame(rows, columns=["option", "sign", "text", "statement", "quote"])
