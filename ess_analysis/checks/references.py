"""Checks of references: an annex that is nowhere, a project that another record names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pandas as pd

from ess_analysis import french
from ess_analysis.checks.lines import each, place_of, small
from ess_analysis.checks.naming import record_name, words_around, words_of
from ess_analysis.checks.spelling import folded_texts
from ess_analysis.checks.view import Found, View

_ANNEX = re.compile(r"annexe\W{0,4}(\d+)", re.IGNORECASE)
_ANNEX_TITLE = re.compile(r"^\W*annexe\W{0,4}(\d+)", re.IGNORECASE)


def self_references(view: View) -> Iterator[Found]:
    """« cf annexe 1 » written in annex 1."""
    for record in each(small(view.records)):
        own, text = _ANNEX_TITLE.search(view.name(record.table_id)), words_of(record)
        for named in _ANNEX.finditer(text):
            if own and named[1] == own[1]:
                yield Found(
                    f"{record_name(record)} : renvoie à l'annexe {named[1]}, où elle se trouve déjà "
                    f"(« {words_around(text, named)} »).",
                    *place_of(record),
                    stated=f"annexe {named[1]}",
                )


def lost_references(view: View) -> Iterator[Found]:
    """« en annexe 3 » where no sheet, no heading of a text kept as proof, is annex 3."""
    quoted = [(record, words_of(record)) for record in each(small(view.records))]
    lines = pd.DataFrame(view.proofs, columns=["source", "sheet", "cell", "text"])
    quoted += [(line, line.text) for line in each(lines)]
    known = {found[1] for name in view.names.values() if (found := _ANNEX_TITLE.search(name))}
    known |= {found[1] for text in lines["text"] if (found := _ANNEX_TITLE.search(text))}
    told: set[str] = set()
    for place, text in quoted:
        for named in _ANNEX.finditer(text):
            if known and named[1] not in known | told:
                told.add(named[1])
                yield Found(
                    f"L'annexe {named[1]} est annoncée (« {words_around(text, named)} »), rien ne porte ce titre.",
                    *place_of(place),
                    stated=f"annexe {named[1]}",
                )


_QUOTED = re.compile(r"[\"«“]\s*([^\"«»“”]{5,80}?)\s*[\"»”]")


def funded_twice(view: View) -> Iterator[Found]:
    """A project named in quotation marks in one record and found, spelt otherwise or not, in one other."""
    lines = view.funding[view.funding["record_id"].notna()]
    funded = lines.groupby("record_id")["amount_eur"].sum(min_count=1)
    records = {
        row.record_id: row
        for row in each(small(view.records).drop_duplicates("record_id"))
        if funded.get(row.record_id, 0) > 0
    }
    words = {key: words_of(row) for key, row in records.items()}
    quoted = [(key, name) for key, text in words.items() for name in _QUOTED.findall(text)]
    if not quoted:
        return
    folded = [
        f" {text} " for text in folded_texts(pd.Series([*words.values(), *(name for _, name in quoted)]))
    ]
    texts = dict(zip(words, folded, strict=False))
    holders: dict[str, list[str]] = {}  # word → the records that hold it
    for key, text in texts.items():
        for word in set(text.split()):
            holders.setdefault(word, []).append(key)
    may_be_one = _may_be_one(view, lines)
    told: set[str | frozenset[str]] = set()
    for (key, name), bare in zip(quoted, folded[len(words) :], strict=True):
        if bare in told or sum(len(word) >= 3 for word in bare.split()) < 2:
            continue
        rarest = min((holders[word] for word in bare.split()), key=len)
        named = [other for other in rarest if bare in texts[other]]
        pair = frozenset(named)
        if (
            len(named) != 2 or pair in told or not may_be_one(*named)
        ):  # met more often, it is no one's own name
            continue
        told |= {bare, pair}
        row, twin = records[key], next(records[other] for other in named if other != key)
        first, second = (lines[lines["record_id"] == one.record_id] for one in (row, twin))
        yield Found(
            f"« {name} » pourrait être le même projet, financé deux fois : {view.money(first)} "
            f"({view.name(row.table_id)}, {row.cell}) et {view.money(second)} "
            f"({view.name(twin.table_id)}, {twin.cell}). À vérifier.",
            *place_of(row),
            stated=french.money(funded[key]),
            computed=french.money(funded[twin.record_id]),
        )


def _may_be_one(view: View, lines: pd.DataFrame) -> Callable[[str, str], bool]:
    """Whether two records may be one project: the same recipient or place; else, neither known, other funders.

    A territory alone is no place: it may be a region.
    """
    places = view.places.assign(place=view.places["insee_code"].fillna(view.places["written_as"]))
    places = places[places["insee_code"].notna() | places["written_as"].ne(places["territory"])]

    def sets(frame: pd.DataFrame, column: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        named = frame[["record_id", column]].dropna()
        for key, folded in zip(named["record_id"], folded_texts(named[column]), strict=True):
            found.setdefault(key, set()).add(folded)
        return found

    recipients, communes, funders = sets(lines, "recipient"), sets(places, "place"), sets(lines, "funder")

    def may_be_one(one: str, other: str) -> bool:
        known = [kept for kept in (recipients, communes) if one in kept and other in kept]
        if known:
            return any(kept[one] & kept[other] for kept in known)
        return one in funders and other in funders and funders[one] != funders[other]

    return may_be_one
