"""The French sentences of the reports: computed text whose numbers keep where they come from.

The functions below are pure: numbers and names in, a sentence out, with its plurals, its « aucun », its
elisions. They are written so that no name from the data needs an article.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.display import SILENCE, Number, Sentence, Trace
from ess_analysis.traces import total_trace

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


def as_title(sentence: Sentence) -> Sentence:
    """The sentence without its full stop, as a title."""
    *parts, last = sentence.parts or ("",)
    return Sentence((*parts, last.removesuffix(".") if isinstance(last, str) else last))


def listed(items: Sequence[Sentence | Number | str], last: str = "et") -> Sentence:
    """« a, b et c », numbers keeping their traces."""
    return joined([joined(items[:-1], ", "), *items[-1:]], f" {last} ") if len(items) > 1 else joined(items)


# --- Numbers ------------------------------------------------------------------------------------


def amount(value: float, trace: Trace | None = None) -> Number:
    """The amount in the currency of the data."""
    return Number(french.money(value), trace)


def share(value: float, trace: Trace | None = None, decimals: int = 0) -> Number:
    """The share (0 to 1) in per cent, never « 0 % » or « 100 % » when it is neither (to two decimals)."""
    ends = {french.percent(end, decimals) for end in (0, 1, -1)}
    while decimals < 2 and value not in (0, 1, -1) and french.percent(value, decimals) in ends:
        decimals += 1
        ends = {french.percent(end, decimals) for end in (0, 1, -1)}
    return Number(french.percent(value, decimals), trace)


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


def headline(frame: pd.DataFrame, when: str) -> Sentence:
    """The amounts by stage as a title: « En 2013 : 140 € prévus, 73 € accordés »."""
    amounts = [
        worded(row["amount_eur"], row["stage"], row["trace"]) for row in frame.to_dict(orient="records")
    ]
    return said("{when} : {amounts}", when=french.sentence_case(when), amounts=listed(amounts))


def stages(frame: pd.DataFrame, when: str) -> Sentence:
    """How much at each stage, and why they are not added: « En 2013, 140 € prévus et 73 € accordés. »"""
    amounts = [
        worded(row["amount_eur"], row["stage"], row["trace"]) for row in frame.to_dict(orient="records")
    ]
    told = said("{when}, {amounts}.", when=french.sentence_case(when), amounts=listed(amounts))
    if len(amounts) < 2:
        return told
    why = f"Ces étapes ne s'additionnent pas : le même {french.currency_noun()} peut passer par chacune."
    return said("{told} " + why, told=told)


def leader(frame: pd.DataFrame, noun: str, whole: str, *, feminine: bool = False) -> Sentence:
    """Who comes first: « Premier financeur des montants prévus : Ville de Lille (80 718 €, 57 %). »"""
    known = frame[~frame["missing"] & frame["amount_eur"].gt(0)]
    if known.empty:
        return SILENCE
    top = known[known["amount_eur"] == known["amount_eur"].iloc[0]]
    first = known.iloc[0]
    values: dict[str, Any] = {
        "noun": noun,
        "whole": whole,
        "name": f"{noun} {first['name']}" if str(first["name"]).isdigit() else first["name"],
        "amount": amount(first["amount_eur"], first["trace"]),
        "share": share(first["share"], first["share_trace"]),
        "one": "Une seule" if feminine else "Un seul",
        "first": "Première" if feminine else "Premier",
    }
    if len(frame) == 1:
        return said("{one} {noun} pour les {whole} : {name} ({amount}).", **values)
    if len(top) > 3:
        values["none"] = "Aucune" if feminine else "Aucun"
        return said(
            "{none} {noun} ne se détache pour les {whole} : les plus hauts montants sont égaux.", **values
        )
    if len(top) > 1:
        values |= {"nouns": french.plural(2, noun), "names": french.listing(top["name"])}
        values["each"] = "chacune" if feminine else "chacun"
        values["firsts"] = "Premières" if feminine else "Premiers"
        return said("{firsts} {nouns} des {whole}, à égalité : {names} ({amount}, {share} {each}).", **values)
    return said("{first} {noun} des {whole} : {name} ({amount}, {share}).", **values)


def strongest_year(frame: pd.DataFrame) -> Sentence:
    """The year with most money: « Année la plus soutenue : 2013, avec 198 718 €, soit 61 % du total. »

    Where some money carries no year, the share is that of the dated total.
    """
    known = frame[~frame["missing"] & frame["amount_eur"].gt(0)]
    if known.empty:
        return SILENCE
    first = known.iloc[0]
    if len(known) == 1 and len(frame) == 1:
        return said("Tous ces montants sont de {year}.", year=first["name"])
    undated = ", montants non datés compris" if frame.loc[frame["missing"], "amount_eur"].gt(0).any() else ""
    return said(
        "Année la plus soutenue : {year}, avec {amount}, soit {share} du total" + undated + ".",
        year=first["name"],
        amount=amount(first["amount_eur"], first["trace"]),
        share=share(first["share"], first["share_trace"]),
    )


def concentration(frame: pd.DataFrame, noun: str, whole: str, top: int, trace: Trace) -> Sentence:
    """How few hold how much: « Les 10 premiers bénéficiaires, sur 388, reçoivent 62 % des montants versés. »

    With `top` names or fewer, the part of the first. `trace` is the share of the `top` first together.
    """
    known = frame[~frame["missing"]]
    if known.empty:
        return SILENCE
    if len(known) > top:
        return said(
            "Les {top} premiers {nouns}, sur {all}, reçoivent {share} des {whole}.",
            top=str(top),
            nouns=french.plural(top, noun),
            all=french.number(len(known)),
            share=share(trace["value"], trace),
            whole=whole,
        )
    if len(known) == 1:
        name = known["name"].iloc[0]
        return said("Un seul {noun} pour les {whole} : {name}.", noun=noun, whole=whole, name=name)
    return part_of_all(known, ("reçoit", "reçoivent"), whole)


def part_of_all(frame: pd.DataFrame, verbs: tuple[str, str], whole: str) -> Sentence:
    """What the first name of the frame holds of the whole: « La Ville de Lille reçoit 85 % des… »."""
    known = frame[~frame["missing"]]
    if known.empty:
        return SILENCE
    first = known.iloc[0]
    return said(
        "{name} {verb} {share} des {whole}.",
        name=subject(first["name"]),
        verb=verbs[french.is_plural(first["name"])],
        share=share(first["share"], first["share_trace"]),
        whole=whole,
    )


def subject(name: str) -> str:
    """The name at the head of a sentence: « La Ville de Lille », « Lille Métropole »."""
    return french.sentence_case(french.the(name))


def effort(frame: pd.DataFrame, when: str, shown: int = 3) -> Sentence:
    """What all funders bring, each euro once: « En 2013, 20 € de soutien… : 12 € de A (60 %) et 8 € de B… »

    `frame` is that of the funders, ranked; past `shown`, the others are told together.
    """
    if frame.empty:
        return SILENCE
    whole = total_trace(frame["trace"])
    head = said(
        "{when}, {amount} de soutien, " + counted_once(),
        when=french.sentence_case(when),
        amount=amount(whole["value"], whole),
    )
    if frame["missing"].all():
        return said("{head}, sans financeur renseigné.", head=head)
    if len(frame) == 1:
        return said("{head}, financeur unique : {name}.", head=head, name=frame["name"].iloc[0])
    parts = [
        said(
            "{amount} {of} ({share})",
            amount=amount(row["amount_eur"], row["trace"]),
            of="sans financeur renseigné" if row["missing"] else french.of(row["name"]),
            share=share(row["share"], row["share_trace"]),
        )
        for row in frame.iloc[:shown].to_dict(orient="records")
    ]
    rest = frame.iloc[shown:]
    if len(rest):
        trace = total_trace(rest["trace"])
        others = french.plural(len(rest), "autre financeur", "autres financeurs")
        value = amount(trace["value"], trace)
        parts.append(
            said("{amount} de {n} {others}", amount=value, n=french.number(len(rest)), others=others)
        )
    return said("{head} : {parts}.", head=head, parts=listed(parts))


def counted_once() -> str:
    """« chaque euro compté une seule fois », or what is said of another currency."""
    return f"chaque {french.currency_noun()} compté une seule fois"


def stages_not_added() -> Sentence:
    """Why the stages shown side by side are not added."""
    return said(
        f"Les étapes ne s'additionnent pas : le même {french.currency_noun()} peut passer par chacune."
    )


def not_itemised(gap: Number, parts: Sequence[Sentence]) -> Sentence:
    """What announced totals hold beyond their lines, and whose it is."""
    if len(parts) < 2:
        return said("{gap} annoncés ne sont détaillés par aucune ligne.", gap=gap)
    return said("{gap} annoncés ne sont détaillés par aucune ligne : {parts}.", gap=gap, parts=listed(parts))


def worst_gap(name: str, gap: float, trace: Trace, stated: float, stated_trace: Trace) -> Sentence:
    """The widest gap between an announced total and its lines (of `name`, if any), or that there is none."""
    if not gap:
        return said("Les lignes retrouvent tous les totaux annoncés.")
    return said(
        "Les lignes{of} {verb} le total annoncé de {stated} : {gap} {how}.",
        of=said(" de « {name} »", name=name) if name else SILENCE,
        verb="n’expliquent pas" if gap > 0 else "dépassent",
        stated=amount(stated, stated_trace),
        gap=amount(abs(gap), trace),
        how="manquent" if gap > 0 else "de trop",
    )


def exact_totals(exact: Number | None, number: int, whole: Number) -> Sentence:
    """How many announced totals are found again: « 2 totaux annoncés sur 5 sont retrouvés… »"""
    if str(whole) == "1":
        verb = "est" if number else "n'est pas"
        return said("Le seul total annoncé " + verb + " retrouvé par ses lignes.")
    if exact is None:
        return said("Aucun des {whole} totaux annoncés n'est retrouvé par ses lignes.", whole=whole)
    agreed = "total annoncé sur {whole} est retrouvé par ses" if number == 1 else ""
    agreed = agreed or "totaux annoncés sur {whole} sont retrouvés par leurs"
    return said("{exact} " + agreed + " lignes.", exact=exact, whole=whole)


def envelope(readings: Sequence[Mapping[str, Any]]) -> Sentence:
    """How much of an envelope is used under each reading of the years it covers.

    « Si l'enveloppe de 110 000 € est annuelle, 78 % en sont accordés ; pour deux ou quatre ans, 156 %. »
    """
    first = readings[0]
    together: dict[str, list[Mapping[str, Any]]] = {}
    for row in readings[1:]:
        together.setdefault(str(share(row["share"])), []).append(row)
    rest = [
        said(
            "{reading}, {share}",
            reading=french.listing([row["reading"] for row in same], "ou"),
            share=share(same[0]["share"], same[0]["share_trace"]),
        )
        for same in together.values()
    ]
    told = said(
        "Si l'enveloppe de {one} est {reading}, {share} en sont accordés",
        one=amount(first["one_trace"]["value"], first["one_trace"]),
        reading=first["reading"],
        share=share(first["share"], first["share_trace"]),
    )
    return said("{told}.", told=joined([told, *rest], french.THIN + "; "))


def envelope_kept(reading: Mapping[str, Any]) -> Sentence:
    """Whether the envelope is kept, under the reading followed."""
    template = (
        "L'enveloppe {reading} est tenue : {share} en sont accordés."
        if reading["share"] <= 1
        else "L'enveloppe {reading} est dépassée : {share} en sont accordés."
    )
    held = share(reading["share"], reading["share_trace"])
    return said(template, reading=reading["reading"], share=held)


def undated(amounts: Sequence[Sentence], singular: bool = False) -> Sentence:
    """The amounts that no year can claim: « 25 663 € accordés ne portent pas d'année »."""
    if not amounts:
        return SILENCE
    verb = "ne porte pas d'année" if singular else "ne portent pas d'année"
    return said("{amounts} " + verb + ".", amounts=listed(amounts))


def nothing_dated(when: str) -> Sentence:
    """Why a report has nothing to show: no amount carries its year. A silence of the data, not a zero."""
    return said(
        "Aucun montant n'est daté {when} dans les données : ce n'est pas zéro, c'est un silence.", when=when
    )


def dated_years(years: Sequence[int]) -> Sentence:
    """Which years carry amounts."""
    if not years:
        return said("Aucun montant des données ne porte d'année.")
    one = (
        "Les montants datés sont tous de {years}."
        if len(years) == 1
        else "Les montants datés sont de {years}."
    )
    return said(one, years=listed([str(year) for year in years]))


def when(first_year: int, last_year: int | None = None) -> str:
    """The period in a sentence: « en 2013 », « de 2011 à 2014 »."""
    if last_year is None or last_year == first_year:
        return f"en {first_year}"
    return f"de {first_year} à {last_year}"
