"""What a user sets: values checked against their bounds, and scenarios frozen to be replayed."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.scenarios.inputs import Input, Inputs, is_number, need, read_toml
from ess_analysis.writing import write_whole


def settings(inputs: Inputs, changes: Mapping[str, Any] | Iterable[str] = ()) -> dict[str, float]:
    """The value of every input once `changes` are made: a mapping, or texts « nom=valeur ».

    French and English numbers, per cents and choice labels are read (« tau=50 % », « a=9 000 € »).
    Raises DataError on an unknown name, a text for a number, or a value out of its bounds.
    """
    pairs = changes.items() if isinstance(changes, Mapping) else [_pair(text) for text in changes]
    values = inputs.central()
    for name, value in pairs:
        one = inputs[find(inputs, str(name))]
        values[one.id] = read_value(one, value)
    return values


def changed_names(inputs: Inputs, changes: Mapping[str, Any] | Iterable[str]) -> set[str]:
    """The ids of the inputs that `changes` set."""
    names = changes if isinstance(changes, Mapping) else [_pair(text)[0] for text in changes]
    return {find(inputs, str(name)) for name in names}


def find(inputs: Inputs, name: str) -> str:
    """The id of an input given by its id or its symbol; DataError if there is none."""
    for one in inputs:
        if name in (one.id, one.symbol):
            return one.id
    close = difflib.get_close_matches(name, list(inputs.by_id), n=3, cutoff=0.5)
    todo = f"peut-être : {', '.join(close)}." if close else f"au choix : {', '.join(inputs.by_id)}."
    raise DataError(f"Entrée inconnue : « {name} ».", todo=todo)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    readable = bool(sign and name.strip() and value.strip())
    need(readable, f"Réglage illisible : « {text} ».", (), "écrivez NOM=VALEUR, par exemple tau=0,5.")
    return name.strip(), value.strip()


def read_value(one: Input, value: Any) -> float:
    """The number meant for the input, inside its bounds; DataError otherwise."""
    name, bounds = f"{one.label} ({one.id})", f"{one.bounds}."
    number = _number(one, value)
    need(is_number(number), f"{name} : un nombre est attendu.", [value], bounds)
    if one.choices:
        todo = f"au choix : {french.listing(one.choices, 'ou')}."
        need(number in one.choices.values(), f"{name} : choix inconnu.", [value], todo)
    if one.fixed:
        todo = f"elle vaut {one.said(one.central)} ; changez sa source pour la changer."
        told = f"{name} : cette valeur vient de la note et ne se règle pas."
        need(abs(number - one.central) <= 1e-9 * abs(one.central), told, [value], todo)
    slack = 1e-9 * max(1.0, abs(one.low), abs(one.high))
    need(one.low - slack <= number <= one.high + slack, f"{name} : valeur hors bornes.", [value], bounds)
    return min(max(number, one.low), one.high)


def _number(one: Input, value: Any) -> float:
    """The number written, NaN if there is none; « 50 % » is 0.5, a choice label is its number."""
    if not isinstance(value, str):
        return float(value) if is_number(value) else float("nan")
    if value.strip() in one.choices:
        return one.choices[value.strip()]
    bare = re.sub(r"[\s\u00a0\u202f€]", "", value).replace("−", "-").replace(",", ".")
    try:
        return round(float(bare.removesuffix("%")) * (0.01 if bare.endswith("%") else 1.0), 12)
    except ValueError:
        return float("nan")


# --- A scenario frozen to be replayed -------------------------------------------------------------


@dataclass(frozen=True)
class Frozen:
    """A frozen scenario: what was set, who froze it and when, and what changed since."""

    title: str
    author: str
    date: dt.date
    changes: Mapping[str, float]
    remarks: tuple[str, ...]


def freeze(
    inputs: Inputs,
    changes: Mapping[str, Any],
    folder: str | Path,
    *,
    author: str,
    title: str,
    today: dt.date | None = None,
) -> Path:
    """The path of the TOML written: settings, statuses, author, date, checksum of the note."""
    today = today or dt.date.today()
    told = "Un scénario figé porte un titre et un auteur."
    need(bool(author.strip() and title.strip()), told, (), "écrivez les deux, puis figez à nouveau.")
    values, modified = settings(inputs, changes), changed_names(inputs, changes)
    lines = [
        "# Un scénario figé : ess report scenarios --scenario CE_FICHIER le rejoue.",
        f"title = {_quoted(title)}",
        f"author = {_quoted(author)}",
        f"date = {today.isoformat()}",
        f'note_sha256 = "{inputs.note_sha256}"',
    ]
    for one in (one for one in inputs if not one.fixed):
        value = values[one.id]
        set_here = one.id in modified and value != one.central
        lines += [
            "",
            "[[setting]]",
            f'input = "{one.id}"',
            f"label = {_quoted(f'{one.label} : {one.said(value)}')}",
            f"value = {value!r}",
            f'status = "{"modified" if set_here else one.status}"',
        ]
    path = _free(Path(folder) / f"{today.isoformat()}-{french.slug(title)}.toml")
    write_whole(path, ("\n".join(lines) + "\n").encode("utf-8"))
    return path


def _free(path: Path) -> Path:
    """The path, or the first numbered one that no file has: a frozen scenario is never overwritten."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(one for one in chain([path], numbered) if not one.exists())


def _quoted(text: str) -> str:
    """The text as a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'


def read_frozen(path: str | Path, inputs: Inputs) -> Frozen:
    """The frozen scenario of a file; DataError on a setting that is unknown, unreadable or out of bounds.

    Only what was modified is replayed: the rest follows today's inputs, and `remarks` says what moved.
    """
    path = Path(path)
    content = read_toml(path)
    kinds = {"title": str, "author": str, "date": dt.date, "note_sha256": str, "setting": list}
    missing = [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]
    need(
        not missing, f"{path} n’est pas un scénario figé.", missing, "figez-le à nouveau depuis le notebook."
    )
    changes, remarks = {}, []
    if content["note_sha256"] != inputs.note_sha256:
        remarks.append("La note lue aujourd’hui n’est plus celle sur laquelle ce scénario a été figé.")
    for row in content["setting"]:
        one = inputs[find(inputs, str(row.get("input", "")))]
        value = read_value(one, row.get("value")) if not one.fixed else one.central
        if row.get("status") == "modified":
            changes[one.id] = value
        elif abs(value - one.central) > 1e-9 * max(1.0, abs(one.central)):
            remarks.append(f"{one.label} : {one.said(one.central)} aujourd’hui, {one.said(value)} alors.")
    return Frozen(content["title"], content["author"], content["date"], changes, tuple(remarks))
