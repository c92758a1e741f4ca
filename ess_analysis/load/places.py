"""The places that the records name, as the reference of communes knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from ess_analysis import french, schema, territories
from ess_analysis.errors import DataError
from ess_analysis.load.body import Body
from ess_analysis.load.cells import mapped
from ess_analysis.load.notes import SHOWN_NOTES, note, others_counted
from ess_analysis.sources import OUTSIDE


def _named(body: Body, records: pd.DataFrame, role: str, reader: Callable[[str], list[str]]) -> pd.DataFrame:
    """One row per place named in the columns of a role: row, record_id, text, name, cell."""
    frames = []
    for _, column in body.role(role):
        frame = pd.DataFrame(
            {
                "row": body.rows,
                "record_id": records["record_id"].array,
                "text": body.text(column).array,
                "cell": body.cells(column).array,
            }
        )
        frame = frame.dropna(subset="text").reset_index(drop=True)
        frames.append(frame.assign(name=mapped(frame["text"], reader)).explode("name").dropna(subset="name"))
    empty = pd.DataFrame(
        {name: pd.Series(dtype="object") for name in ("row", "record_id", "text", "cell", "name")}
    )
    return pd.concat([empty, *frames], ignore_index=True)


def _matches(body: Body, records: pd.DataFrame) -> dict[str, territories.Match]:
    """How each place named in the table is read.

    A near spelling is accepted only where half of the names or more are communes of the reference: a table
    that speaks of other places does not misspell ours.
    """
    named = pd.concat(
        [
            _named(body, records, "places", _place_names),
            _named(body, records, "partners", territories.places_mentioned),
        ]
    )
    names = named["name"].unique()
    kept = {name: body.sheet.kept_name("place", name) for name in names}
    exact = sum(territories.match(kept[name], tolerant=False).how != "none" for name in names)
    near = exact * 2 >= len(names)
    return {
        name: territories.match(kept[name], tolerant=near)
        if kept[name] != OUTSIDE
        else territories.Match(name, None, None, "outside")
        for name in names
    }


def _place_names(text: str) -> list[str]:
    """The places of a cell; a name that is one commune is not cut at its « et »."""
    whole = territories.match(text, tolerant=False)
    return [text] if whole.how != "none" else territories.place_names(text)


def places_of(body: Body, records: pd.DataFrame) -> pd.DataFrame:
    """One row per place named, with its territory if the record has only one; else one row per territory."""
    named, areas = (
        _named(body, records, "places", _place_names),
        _named(body, records, "territory", territories.territory_names),
    )
    matches = _matches(body, records)
    once = areas[~areas["row"].duplicated(keep=False)].set_index("row")["name"]
    told = named.assign(
        written_as=named["name"],
        insee_code=named["name"].map(lambda name: matches[name].insee_code),
        commune=named["name"].map(lambda name: matches[name].commune),
        territory=named["row"].map(once),
        first=0,
    )
    alone = areas["row"].isin(once.index) & areas["row"].isin(named["row"])
    rest = areas[~alone].assign(written_as=areas["text"], territory=areas["name"], first=1)
    both = pd.concat([told, rest], ignore_index=True).sort_values(["row", "first"], kind="stable")
    both = both.reset_index(drop=True).assign(source=body.source, sheet=body.grid.sheet)
    return schema.conform(both, "places")


def place_notes(body: Body, records: pd.DataFrame) -> list[dict[str, Any]]:
    """What is told of the places that are not written as the reference writes them.

    An unknown commune in a column of places stops the reading, unless the source sheet declares it
    ([names.place] "hors référence") or the table speaks of places of elsewhere.
    """
    matches = _matches(body, records)
    ours = sum(match.how != "none" for match in matches.values()) * 2 >= len(matches)
    notes: list[dict[str, Any]] = []
    for role, reader in (("places", _place_names), ("partners", territories.places_mentioned)):
        named = _named(body, records, role, reader)
        how = named["name"].map(lambda name: matches[name].how)
        lost = named[how == "none"]
        if role == "places" and len(lost) and ours and body.strict:
            first = lost.iloc[0]
            near = territories.proposals(first["name"])
            asked = f"écrivez le nom officiel ({', '.join(near)} ?)" if near else "corrigez le nom"
            raise DataError(
                f"{body.said('Commune inconnue')}, {first['cell']}.",
                seen=[f"{cell} : {name}" for cell, name in zip(lost["cell"], lost["name"], strict=True)],
                todo=f"{asked}, ou déclarez dans la fiche source [names.place] "
                f'"{OUTSIDE}" = ["{first["name"]}"].',
            )
        if role == "places" and not ours and len(lost):
            count = french.counted(lost["name"].nunique(), "lieu", "lieux")
            text = f"{count} hors de la référence des communes : noms gardés comme ils sont écrits."
            notes.append(note("READ-PLACE-ELSEWHERE", body, "", text, lost["name"].iloc[0]))
        for said, (code, words) in _PLACE_WORDS.items():
            found = named[how == said]
            if said == "none" and not ours:
                continue
            for name, cell in zip(found["name"][:SHOWN_NOTES], found["cell"], strict=False):
                match = matches[name]
                message = words.format(name=name, commune=match.commune, code=match.insee_code)
                notes.append({**note(code, body, cell, message, name), "computed": match.commune})
            notes += others_counted(body, code, len(found))
    return notes


_PLACE_WORDS = {
    "none": ("READ-PLACE-UNKNOWN", "« {name} » n’est aucune commune de la référence."),
    "outside": (
        "READ-PLACE-UNKNOWN",
        "« {name} » n’est aucune commune de la référence, la fiche source le dit.",
    ),
    "spelling": ("READ-PLACE-SPELLING", "« {name} » est lu {commune} ({code})."),
    "associated": (
        "READ-PLACE-ASSOCIATED",
        "« {name} » est une commune associée : elle compte pour {commune} ({code}).",
    ),
}
