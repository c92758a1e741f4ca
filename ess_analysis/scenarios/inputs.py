"""The inputs of the scenarios: what is decided, what is assumed, where each value comes from.

They live in `data/raw/scenarios/*.toml`, written by people, and are checked each time they are read.
Inputs with a `recomputed` name are computed again from the tidy tables: a changed source changes them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.scenarios import derived, equations

if TYPE_CHECKING:
    from ess_analysis.load import Tables

PANEL_LABELS = {"decision": "Décisions", "assumption": "Hypothèses"}
STATUS_LABELS = {
    "note": "tiré de la note",
    "derived": "calculé d’après la note",
    "external": "source extérieure",
    "assumption": "hypothèse",
}
BADGES = {
    "note": "tiré de la note",
    "derived": "tiré de la note",
    "external": "source extérieure",
    "assumption": "hypothèse",
    "modified": "modifié",
}
_FOLDER = "scenarios"
_WORDS = ("id", "symbol", "label", "panel", "unit", "status", "why", "author")
_NUMBERS = ("central", "low", "high", "step")


@dataclass(frozen=True)
class Input:
    """One input: its value, its bounds, its status, who wrote it and on what grounds."""

    id: str
    symbol: str
    label: str
    panel: str  # decision or assumption
    central: float
    low: float
    high: float
    step: float
    unit: str
    status: str  # note, derived, external or assumption
    sources: tuple[str, ...]
    why: str
    author: str
    date: dt.date
    explain: str = ""
    recomputed: str = ""
    choices: Mapping[str, float] = field(default_factory=dict)
    signed: float = float("nan")  # `central` as written in the file, before it was recomputed

    @property
    def fixed(self) -> bool:
        """True when the bounds leave no room: the value is shown, not moved."""
        return self.low == self.high

    def said(self, value: float) -> str:
        """The value as a reader sees it: « 55 % », « 8 554 € par projet », « pour deux ans »."""
        for label, number in self.choices.items():
            if number == value:
                return label
        if self.unit.startswith("part"):
            rest = self.unit.removeprefix("part").strip()
            decimals = 0 if abs(value * 100 - round(value * 100)) < 1e-9 else 1
            return f"{french.percent(value, decimals)} {rest}".strip()
        if self.unit.startswith("indice"):
            return french.number(value, 2)
        tenths = abs(value * 10 - round(value * 10)) < 1e-9
        decimals = 0 if abs(value) >= 1000 or value == round(value) else 1 if tenths else 2
        text = french.number(value, decimals)
        return f"{text}{french.SOLID}{self.unit}"

    @property
    def bounds(self) -> str:
        """The bounds as a reader sees them: « de 1 à 3 projets par an »."""
        unit = self.unit.removeprefix("part").strip()
        low = self.said(self.low).removesuffix(unit).strip()
        return f"de {low} à {self.said(self.high)}"

    def rounded(self, value: float) -> float:
        """The value to a tenth of the step: more digits would promise what the model cannot give."""
        return round(round(value / (self.step / 10)) * (self.step / 10), 10)


@dataclass(frozen=True)
class Inputs:
    """All inputs by id, the quotes they rest on, and what reading them revealed."""

    by_id: Mapping[str, Input]
    quotes: pd.DataFrame  # id, place, text, remark: facts, statements and anomalies of the note
    remarks: tuple[str, ...]
    note_sha256: str
    data: Path

    def __iter__(self) -> Any:
        return iter(self.by_id.values())

    def __getitem__(self, name: str) -> Input:
        return self.by_id[name]

    def central(self) -> dict[str, float]:
        """The central value of every input."""
        return {one.id: one.central for one in self}

    def panel(self, name: str) -> list[Input]:
        """The inputs of a panel that can be moved."""
        return [one for one in self if one.panel == name and not one.fixed]

    @property
    def statements(self) -> pd.DataFrame:
        """The statements of annex 3 alone: id, line, sign, subject (the criterion), text, remark."""
        return self.quotes[self.quotes["id"].str.match(r"S\d-")]

    def quoted(self, source: str) -> str:
        """The words of the note under a source id; the id itself for a file."""
        found = self.quotes.loc[self.quotes["id"] == source, "text"]
        return found.iloc[0] if len(found) else source


def read_inputs(data: str | Path = "data/raw", tables: Tables | None = None) -> Inputs:
    """The inputs of `scenarios/inputs.toml`, checked, the derived ones recomputed from the tables.

    Raises DataError on an input that is incomplete, unsourced, out of its own bounds, or whose source is
    not in the note. A derived value that no longer equals the one signed is used and told in `remarks`.
    """
    if tables is None:
        from ess_analysis.load import load

        tables = load(data)
        data = tables.data
    data = Path(data)
    path = data / _FOLDER / "inputs.toml"
    quotes = read_quotes(data)
    rows = read_toml(path).get("input", [])
    if not rows:
        raise DataError(f"{path} ne contient aucune entrée.", todo="ajoutez des blocs [[input]].")
    known = set(quotes["id"])
    inputs = [_input(row, path, known, data) for row in rows]
    _no_duplicates([one.id for one in inputs], path)
    _all_used(inputs, path)
    inputs, remarks = _recomputed(inputs, derived.values(tables, data), path)
    return Inputs({one.id: one for one in inputs}, quotes, tuple(remarks), note_sha256(data), data)


def read_quotes(data: str | Path) -> pd.DataFrame:
    """The facts, statements and anomalies of the note that inputs and scores may cite: id, place, text…"""
    folder = Path(data) / derived.NOTE
    shapes = {
        "facts.csv": {"id": "id", "lieu": "place", "citation": "text", "note": "remark", "sujet": "subject"},
        "scenario_statements.csv": {
            "id": "id",
            "critere": "subject",
            "citation": "text",
            "lecture": "remark",
            "classe": "place",
            "signe": "sign",
            "ligne": "line",
        },
        "anomalies.csv": {"id": "id", "lieu": "place", "constat": "text", "traitement": "remark"},
    }
    frames = []
    for name, columns in shapes.items():
        path = folder / name
        if not path.exists():
            raise DataError(
                f"{path} est introuvable.", todo="remettez ce fichier : les entrées en citent les lignes."
            )
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
        frames.append(frame.rename(columns=columns)[list(columns.values())])
    return pd.concat(frames, ignore_index=True).fillna("")


def note_sha256(data: str | Path) -> str:
    """The checksum of the note's facts and statements: what a frozen scenario was built on."""
    digest = hashlib.sha256()
    for name in ("facts.csv", "scenario_statements.csv"):
        digest.update((Path(data) / derived.NOTE / name).read_bytes())
    return digest.hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; DataError when it is missing or cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path} est introuvable.", todo="vérifiez le chemin ou remettez le fichier."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} n’est pas lisible : {error}.", todo="corrigez la ligne indiquée.") from None


def _input(row: Mapping[str, Any], path: Path, known: set[str], data: Path) -> Input:
    """One [[input]] block, every field checked."""
    where = f"{path}, entrée « {row.get('id', 'sans id')} »"
    allowed = {*_WORDS, *_NUMBERS, "sources", "date", "recomputed", "choices", "explain"}
    unknown = [key for key in row if key not in allowed]
    need(not unknown, f"{where} : champ inconnu.", unknown, "corrigez le nom du champ ou retirez-le.")
    for key in _WORDS:
        need(_is_text(row.get(key)), f"{where} : « {key} » manque.", (), f'écrivez {key} = "…".')
    for key in _NUMBERS:
        todo = f"écrivez {key} = 0.5, sans guillemets ni unité."
        need(
            is_number(row.get(key)),
            f"{where} : « {key} » n’est pas un nombre.",
            [row.get(key, "absent")],
            todo,
        )
    for key, labels in (("panel", PANEL_LABELS), ("status", STATUS_LABELS)):
        todo = f"au choix : {', '.join(labels)}."
        need(row[key] in labels, f"{where} : « {key} » inconnu.", [row[key]], todo)
    _need_date(row, where)
    bounds = [row["low"], row["central"], row["high"]]
    todo = "il faut low ≤ central ≤ high."
    need(bounds == sorted(bounds), f"{where} : la valeur centrale sort de ses bornes.", bounds, todo)
    todo = f"recomputed = l’un de : {', '.join(derived.NAMES)}."
    recomputed = row.get("recomputed", "")
    need(bool(recomputed) or row["status"] != "derived", f"{where} : calculée, mais comment ?", (), todo)
    need(recomputed in ("", *derived.NAMES), f"{where} : calcul inconnu.", [recomputed], todo)
    checked: dict[str, Any] = {key: french.nfc(row[key]) for key in _WORDS}
    checked |= {key: float(row[key]) for key in _NUMBERS}
    return Input(
        **checked,
        sources=_sources(row.get("sources"), where, known, data),
        date=row["date"],
        choices={str(label): float(value) for label, value in row.get("choices", {}).items()},
        explain=row.get("explain", ""),
        recomputed=recomputed,
        signed=float(row["central"]),
    )


def _sources(sources: Any, where: str, known: set[str], data: Path) -> tuple[str, ...]:
    """The source ids, each found in the note or among the reference files."""
    todo = "citez un fait (F-…), un énoncé (S1-…), une anomalie (A-…, B-…) ou un fichier de référence."
    need(isinstance(sources, list) and bool(sources), f"{where} : aucune source.", (), todo)
    lost = [s for s in sources if s not in known and not (isinstance(s, str) and (data / s).is_file())]
    todo = "vérifiez le numéro dans facts.csv, scenario_statements.csv ou anomalies.csv."
    need(not lost, f"{where} : source introuvable.", lost, todo)
    return tuple(sources)


def _no_duplicates(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    need(not twice, f"{path} : entrée écrite deux fois.", twice, "gardez-en une.")


def _all_used(inputs: list[Input], path: Path) -> None:
    """Every name the equations read is an input, and every input is read."""
    names, read = {one.id for one in inputs}, equations.inputs_read()
    missing, extra = sorted(read - names), sorted(names - read)
    need(
        not missing, f"{path} : il manque une entrée que les équations lisent.", missing, "ajoutez son bloc."
    )
    need(not extra, f"{path} : aucune équation ne lit cette entrée.", extra, "corrigez son id.")


def need(holds: bool, what_where: str, seen: Iterable[object] = (), todo: str = "") -> None:
    """Nothing when the condition holds; DataError otherwise."""
    if not holds:
        raise DataError(what_where, seen=seen, todo=todo)


def is_number(value: Any) -> bool:
    """True for a finite int or float, not for a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _need_date(row: Mapping[str, Any], where: str) -> None:
    todo = "écrivez date = 2026-11-23, sans guillemets."
    need(
        isinstance(row.get("date"), dt.date), f"{where} : la date manque.", [row.get("date", "absente")], todo
    )


def _recomputed(
    inputs: list[Input], values: Mapping[str, float], path: Path
) -> tuple[list[Input], list[str]]:
    """The inputs with their recomputed values, and a sentence for each that is not the one signed."""
    done, remarks = [], []
    for one in inputs:
        value = values[one.recomputed] if one.recomputed else one.central
        where = f"{path}, entrée « {one.id} » : la note lue ne permet plus de la calculer."
        need(is_number(value), where, one.sources, "vérifiez les tables lues (ess check).")
        if abs(value - one.signed) > 5e-4 * max(1.0, abs(one.signed)):
            remarks.append(
                f"{one.label} : {one.said(value)}, recalculé d’après les tables ; la valeur signée le "
                f"{french.day(one.date)} était {one.said(one.signed)}. La source a changé."
            )
        low, high = (value, value) if one.fixed else (min(one.low, value), max(one.high, value))
        done.append(replace(one, central=value, low=low, high=high))
    said = {one.id: one.said(one.central) for one in done}
    return [replace(one, explain=_filled(one, said, path)) for one in done], remarks


def _filled(one: Input, said: Mapping[str, str], path: Path) -> str:
    """The explanation with the values it names: « Les {TL} » is « Les 73 000 € par an »."""
    unknown = [name for name in re.findall(r"\{(.*?)\}", one.explain) if name not in said]
    where = f"{path}, entrée « {one.id} » : « explain » nomme une entrée inconnue."
    need(not unknown, where, unknown, f"au choix : {', '.join(said)}.")
    return re.sub(r"\{(.*?)\}", lambda found: said[found[1]], one.explain)


# --- What was observed since ----------------------------------------------------------------------


def read_observed(inputs: Inputs) -> pd.DataFrame:
    """The observed values of `scenarios/observed.toml`: input, year, value, source, author, date."""
    path = inputs.data / _FOLDER / "observed.toml"
    rows = read_toml(path).get("observed", [])
    for row in rows:
        name, year, value = (row.get(key, "absent") for key in ("input", "year", "value"))
        where = f"{path}, valeur observée de « {name} »"
        need(
            name in inputs.by_id,
            f"{where} : entrée inconnue.",
            [name],
            f"au choix : {', '.join(inputs.by_id)}.",
        )
        need(is_number(value), f"{where} : « value » n’est pas un nombre.", [value], "écrivez value = 2.")
        todo = f"de {equations.YEARS[0]} à {equations.YEARS[-1]}."
        need(year in equations.YEARS, f"{where} : année hors période.", [year], todo)
        for key in ("source", "author"):
            need(_is_text(row.get(key)), f"{where} : « {key} » manque.", (), "dites d’où vient la valeur.")
        _need_date(row, where)
    return pd.DataFrame(rows, columns=["input", "year", "value", "source", "author", "date"])
