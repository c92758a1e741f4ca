"""The French sentences of the reports: computed text whose numbers keep where they come from.

The functions below are pure: numbers and names in, a sentence
out, with its plurals, its « aucun », its elisions. No name from the data ever needs an article.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.display import SILENCE, Number, Sentence, Trace

STAGE_WORDS = {  # the past participle after an amount, singular then plural
    "allocated": ("alloué", "alloués"),
    "planned": ("prévu", "prévus"),
    "awarded": ("accordé", "accordés"),
    "paid": ("versé", "versés"),
}


def said(template: str, **values: str | Number | Sentence) -> Sentence:
    """The template with its {names} replaced; its own text gets French spaces and apostrophes."""
    parts: list[str | Number] = []
    for text, name, _, _ in Formatter().parse(template):
        if text:
            parts.append(french.typographic(text))
        if name is not None:
            value = values[name]
            parts.extend(value.parts if isinstance(value, Sentence) else [value])
    return Sentence(tuple(parts))


def joined(sentences: Iterable[Sentence | Number | str], between: str = " ") -> Sentence:
    """The sentences one after the other; silent ones are left out."""
    parts: list[str | Number] = []
    for sentence in sentences:
        if sentence:
            parts += [between] if parts else []
            parts.extend(sentence.parts if isinstance(sentence, Sentence) else [sentence])
    return Sentence(tuple(parts))


def listed(items: Sequence[Sentence | Number | str], last: str = "et") -> Sentence:
    """« a, b et c », numbers keeping their traces."""
    return joined([joined(items[:-1], ", "), *items[-1:]], f" {last} ") if len(items) > 1 else joined(items)


# --- Numbers ------------------------------------------------------------------------------------


def amount(value: float, trace: Trace | None = None) -> Number:
    """The amount in euros."""
    return Number(french.euros(value), trace)


def share(value: float, trace: Trace | None = None, decimals: int = 0) -> Number:
    """The share (0 to 1) in per cent, never « 0 % » or « 100 % » when it is neither (to two decimals)."""
    ends = {french.percent(end, decimals) for end in (0, 1, -1)}
    while decimals < 2 and value not in (0, 1, -1) and french.percent(value, decimals) in ends:
        decimals += 1
        ends = {french.percent(end, decimals) for end in (0, 1, -1)}
    return Number(french.percent(value, decimals), trace)


def sum_of(traces: Sequence[Trace]) -> Trace:
    """The trace of a sum of numbers that are themselves traced."""
    return {"op": "sum", "unit": "EUR", "words": f"somme de {len(traces)} montants", "of": list(traces)}


def count(
    value: int, noun: str, plural: str | None = None, *, feminine: bool = False, trace: Trace | None = None
) -> Sentence:
    """« 3 projets », « 1 projet », « aucun projet », « aucune commune »."""
    if value == 0:
        return Sentence((f"{'aucune' if feminine else 'aucun'} {noun}",))
    return Sentence((Number(french.number(value), trace), french.SOLID + french.plural(value, noun, plural)))


def worded(value: float, stage: str, trace: Trace | None = None) -> Sentence:
    """The amount and its stage: « 73 000 € accordés », « 1 € prévu »."""
    return said(
        "{amount} {word}", amount=amount(value, trace), word=STAGE_WORDS[stage][0 if abs(value) < 2 else 1]
    )


# --- What the tables say ------------------------------------------------------------------------
#
# The frames below hold one row per name: `name, amount_eur, share, trace, share_trace, missing`, the
# greatest amount first; `missing` marks the rows « non ventilé », « non détaillé »…, which lead nothing.


def stages(frame: pd.DataFrame, when: str) -> Sentence:
    """How much at each stage, and why they are not added: « En 2013, 140 € prévus et 73 € accordés. »"""
    amounts = [worded(row.amount_eur, row.stage, row.trace) for row in frame.itertuples()]
    told = said("{when}, {amounts}.", when=french.sentence_case(when), amounts=listed(amounts))
    if len(amounts) < 2:
        return told
    return said("{told} Ces étapes ne s'additionnent pas : le même euro peut passer par chacune.", told=told)


def leader(frame: pd.DataFrame, noun: str, whole: str, *, feminine: bool = False) -> Sentence:
    """Who comes first: « Premier financeur des montants prévus : Ville de Lille, 80 718 €, soit 57 % »."""
    known = frame[~frame["missing"] & frame["amount_eur"].gt(0)]
    if known.empty:
        return SILENCE
    top = known[known["amount_eur"] == known["amount_eur"].iloc[0]]
    first = known.iloc[0]
    values: dict[str, Any] = {
        "noun": noun,
        "whole": whole,
        "name": first["name"],
        "amount": amount(first["amount_eur"], first["trace"]),
        "share": share(first["share"], first["share_trace"]),
        "one": "Une seule" if feminine else "Un seul",
        "first": "Première" if feminine else "Premier",
    }
    if len(frame) == 1:
        return said("{one} {noun} {whole} : {name}, {amount}.", **values)
    if len(top) > 3:
        return said("Aucun {noun} ne se détache {whole} : les plus hauts montants sont égaux.", **values)
    if len(top) > 1:
        values |= {"nouns": french.plural(2, noun), "names": french.listing(top["name"])}
        return said("Premiers {nouns} {whole}, à égalité : {names}, {amount} et {share} chacun.", **values)
    return said("{first} {noun} {whole} : {name}, {amount}, soit {share}.", **values)


def concentration(frame: pd.DataFrame, noun: str, whole: str, top: int, trace: Trace | None) -> Sentence:
    """How few hold how much: « Les 10 premiers bénéficiaires, sur 388, en reçoivent 62 %. »

    `trace` is the share of the `top` first together.
    """
    known = frame[~frame["missing"]]
    if len(known) <= top:
        return SILENCE
    held = share(known["share"].iloc[:top].sum(), trace)
    return said(
        "Les {top} premiers {nouns}, sur {all}, en reçoivent {share}.",
        top=str(top),
        nouns=french.plural(top, noun),
        all=Number(french.number(len(known))),
        share=held,
        whole=whole,
    )


def not_itemised(stated: Number, gap: float, gap_number: Number, whole: str) -> Sentence:
    """What the document announces against its lines: the gap, or that there is none."""
    if not gap:
        return said("Les lignes retrouvent le total annoncé {whole}, {stated}.", whole=whole, stated=stated)
    if gap > 0:
        return said(
            "Sur {stated} annoncés {whole}, {gap} ne sont détaillés par aucune ligne.",
            stated=stated,
            whole=whole,
            gap=gap_number,
        )
    return said(
        "Les lignes dépassent de {gap} le total annoncé {whole}, {stated}.",
        gap=gap_number,
        stated=stated,
        whole=whole,
    )


def undated(value: float, stage: str, trace: Trace | None = None) -> Sentence:
    """The amounts that no year can claim: « 25 663 € accordés ne portent pas d'année »."""
    if not value:
        return SILENCE
    verb = "ne porte pas d'année" if abs(value) < 2 else "ne portent pas d'année"
    return said("{money} " + verb + " : montrés à part.", money=worded(value, stage, trace))


def nothing_dated(when: str, dated_years: Sequence[int]) -> Sentence:
    """Why a report has nothing to show: no amount carries its year; which years do."""
    told = said(
        "Aucun montant n'est daté {when} dans les données : ce n'est pas zéro, c'est un silence.", when=when
    )
    if not dated_years:
        return said("{told} Aucun montant ne porte d'année.", told=told)
    years = listed([str(year) for year in dated_years])
    one = "La seule année datée est {years}." if len(dated_years) == 1 else "Les années datées sont {years}."
    return said("{told} " + one, told=told, years=years)


def when(first_year: int | None, last_year: int | None = None) -> str:
    """The period in a sentence: « en 2013 », « de 2011 à 2014 », « sur toutes les années »."""
    if first_year is None:
        return "sur toutes les années"
    if last_year is None or last_year == first_year:
        return f"en {first_year}"
    return f"de {first_year} à {last_year}"
