"""The French of the reports, read aloud: plurals, « aucun », ties, silences; numbers keep their traces."""

from __future__ import annotations

import pandas as pd
import pytest

from ess_analysis import sentences
from ess_analysis.display import Number
from ess_analysis.sentences import said

TRACE = {"op": "sum", "unit": "EUR", "value": 1.0, "cells": [["f.xlsx", "A", "G5"]]}


def ranked(*rows: tuple[str, float], missing: tuple[str, ...] = ()) -> pd.DataFrame:
    total = sum(value for _, value in rows)
    return pd.DataFrame(
        {
            "name": [name for name, _ in rows],
            "amount_eur": [float(value) for _, value in rows],
            "share": [value / total if total else float("nan") for _, value in rows],
            "trace": [{**TRACE, "value": float(value)} for _, value in rows],
            "share_trace": [{"op": "share", "of": [TRACE, TRACE]} for _ in rows],
            "missing": [name in missing for name, _ in rows],
        }
    )


def plain(sentence: object) -> str:
    return str(sentence).replace("\u202f", " ").replace("\u00a0", " ")


def test_numbers_keep_their_traces_wherever_the_sentence_puts_them() -> None:
    inner = said("{a} et {b}", a=sentences.amount(12, TRACE), b="rien")
    outer = said("Voici : {inner} !", inner=inner)
    assert [part.trace for part in outer.parts if isinstance(part, Number)] == [TRACE]
    assert str(outer) == "Voici\u00a0: 12\u00a0€ et rien\u202f!"


def test_names_from_the_data_are_written_as_they_are() -> None:
    assert str(said("Axe : {name}", name="« a {b} ; 'c'")) == "Axe\u00a0: « a {b} ; 'c'"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "aucun projet"), (1, "1 projet"), (2, "2 projets"), (1200, "1 200 projets")],
)
def test_counting_agrees(value: int, written: str) -> None:
    assert plain(sentences.count(value, "projet")) == written


def test_counting_agrees_in_the_feminine() -> None:
    assert plain(sentences.count(0, "commune", feminine=True)) == "aucune commune"


@pytest.mark.parametrize(
    ("value", "stage", "written"),
    [(1, "planned", "1 € prévu"), (2, "awarded", "2 € accordés"), (-73000, "paid", "−73 000 € versés")],
)
def test_an_amount_agrees_with_its_stage(value: float, stage: str, written: str) -> None:
    assert plain(sentences.worded(value, stage)) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 %"), (1, "100 %"), (0.8505, "85 %"), (0.9985, "99,9 %"), (0.004, "0,4 %"), (0.0004, "0,04 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(value: float, written: str) -> None:
    assert plain(sentences.share(value)) == written


def test_lists_of_none_one_two_three() -> None:
    assert [plain(sentences.listed(["a", "b", "c"][:n])) for n in range(4)] == [
        "",
        "a",
        "a et b",
        "a, b et c",
    ]


def test_the_first_is_named_with_its_amount_and_share() -> None:
    told = sentences.leader(ranked(("Ville", 80), ("Métropole", 20)), "financeur", "montants prévus")
    assert plain(told) == "Premier financeur des montants prévus : Ville (80 €, 80 %)."
    assert all(part.trace for part in told.parts if isinstance(part, Number))


def test_what_is_not_itemised_leads_nothing() -> None:
    frame = ranked(("non détaillé", 90), ("Ville", 10), missing=("non détaillé",))
    assert "Ville" in plain(sentences.leader(frame, "financeur", "montants prévus"))
    assert not sentences.leader(
        ranked(("non ventilé", 9), missing=("non ventilé",)), "axe", "x", feminine=False
    )


def test_a_tie_names_both() -> None:
    told = sentences.leader(ranked(("A", 50), ("B", 50)), "bénéficiaire", "montants accordés")
    assert plain(told) == (
        "Premiers bénéficiaires des montants accordés, à égalité : A et B (50 €, 50 % chacun)."
    )


def test_a_single_one_is_said_so() -> None:
    assert plain(sentences.leader(ranked(("A", 5)), "commune", "montants versés", feminine=True)) == (
        "Une seule commune pour les montants versés : A (5 €)."
    )


def test_stages_are_named_side_by_side_and_never_added() -> None:
    frame = pd.DataFrame({"stage": ["planned", "awarded"], "amount_eur": [100.0, 1], "trace": [TRACE, TRACE]})
    told = plain(sentences.stages(frame, "en 2013"))
    assert told.startswith("En 2013, 100 € prévus et 1 € accordé. Ces étapes ne s’additionnent pas")
    assert "101" not in told
    assert "s’additionnent" not in plain(sentences.stages(frame[:1], "en 2013"))


def test_a_gap_a_surplus_and_an_exact_total_are_three_sentences() -> None:
    def told(gap: float, name: str = "") -> str:
        return plain(sentences.worst_gap(name, gap, TRACE, 100, TRACE))

    assert told(20) == "Les lignes n’expliquent pas le total annoncé de 100 € : 20 € manquent."
    assert told(20, "Ville") == (
        "Les lignes de « Ville » n’expliquent pas le total annoncé de 100 € : 20 € manquent."
    )
    assert told(-20) == "Les lignes dépassent le total annoncé de 100 € : 20 € de trop."
    assert told(0) == "Les lignes retrouvent tous les totaux annoncés."


def test_what_totals_hold_beyond_their_lines_is_told_funder_by_funder() -> None:
    parts = [
        said("{a} (Ville)", a=sentences.amount(5, TRACE)),
        said("{a} (Métropole)", a=sentences.amount(7, TRACE)),
    ]
    assert plain(sentences.not_itemised(sentences.amount(12, TRACE), parts)) == (
        "12 € annoncés ne sont détaillés par aucune ligne : 5 € (Ville) et 7 € (Métropole)."
    )
    assert plain(sentences.not_itemised(sentences.amount(5, TRACE), parts[:1])).endswith("aucune ligne.")


@pytest.mark.parametrize(
    ("exact", "whole", "written"),
    [
        (0, 1, "Le seul total annoncé n’est pas retrouvé par ses lignes."),
        (1, 1, "Le seul total annoncé est retrouvé par ses lignes."),
        (0, 5, "Aucun des 5 totaux annoncés n’est retrouvé par ses lignes."),
        (1, 5, "1 total annoncé sur 5 est retrouvé par ses lignes."),
        (2, 5, "2 totaux annoncés sur 5 sont retrouvés par leurs lignes."),
    ],
)
def test_exact_totals_agree_in_number(exact: int, whole: int, written: str) -> None:
    found = Number(str(exact)) if exact else None
    assert plain(sentences.exact_totals(found, exact, Number(str(whole)))) == written


def test_an_envelope_is_told_under_each_reading_and_titled_by_the_one_followed() -> None:
    one = {**TRACE, "value": 110_000.0}
    readings = [
        {"reading": reading, "share": share, "share_trace": TRACE, "one_trace": one}
        for reading, share in (("annuelle", 0.78), ("pour deux ans", 1.56), ("pour quatre ans", 1.56))
    ]
    assert plain(sentences.envelope(readings[:2])) == (
        "Si l’enveloppe de 110 000 € est annuelle, 78 % en sont accordés ; pour deux ans, 156 %."
    )
    assert plain(sentences.envelope(readings)).endswith("; pour deux ans ou pour quatre ans, 156 %.")
    assert plain(sentences.envelope_kept(readings[0])) == (
        "L’enveloppe annuelle est tenue : 78 % en sont accordés."
    )
    assert plain(sentences.envelope_kept(readings[1])).startswith("L’enveloppe pour deux ans est dépassée")


def test_amounts_without_a_year_are_told_together() -> None:
    amounts = [sentences.worded(5, "awarded", TRACE), sentences.worded(7, "allocated", TRACE)]
    assert plain(sentences.undated(amounts)) == "5 € accordés et 7 € alloués ne portent pas d’année."
    assert not sentences.undated([])


def test_few_recipients_and_many_are_two_sentences() -> None:
    few, many = ranked(("A", 85), ("B", 15)), ranked(*((f"N{i}", 100 - i) for i in range(12)))
    part = {**TRACE, "value": 0.62}
    assert plain(sentences.concentration(few, "bénéficiaire", "montants accordés", 10, part)) == (
        "A reçoit 85 % des montants accordés."
    )
    assert plain(sentences.concentration(many, "bénéficiaire", "montants versés", 10, part)) == (
        "Les 10 premiers bénéficiaires, sur 12, reçoivent 62 % des montants versés."
    )
    alone = sentences.concentration(few[:1], "bénéficiaire", "montants accordés", 10, part)
    assert plain(alone) == "Un seul bénéficiaire pour les montants accordés : A."


def test_institutions_take_their_article_and_their_verb() -> None:
    part = {**TRACE, "value": 0.85}

    def told(name: str) -> str:
        frame = ranked((name, 85), ("B", 15))
        return plain(sentences.concentration(frame, "bénéficiaire", "montants accordés", 10, part))

    assert told("Ville de Lille") == "La Ville de Lille reçoit 85 % des montants accordés."
    assert told("Villes de Lille et Loos").startswith("Les Villes de Lille et Loos reçoivent")
    assert told("Association Solidarités").startswith("L’Association Solidarités reçoit")


def test_the_effort_of_all_is_told_funder_by_funder() -> None:
    assert plain(sentences.effort(ranked(("Ville de Lille", 60), ("Métropole", 40)), "en 2013")) == (
        "En 2013, 100 € de soutien, chaque euro compté une seule fois : 60 € de la Ville de Lille (60 %) et "
        "40 € de la Métropole (40 %)."
    )
    assert plain(sentences.effort(ranked(("Anstaing", 60)), "en 2013")).endswith(
        "une seule fois, financeur unique : Anstaing."
    )
    many = plain(sentences.effort(ranked(*((f"N{i}", 5) for i in range(5))), "en tout"))
    assert many.endswith("et 10 € de 2 autres financeurs.")
    unknown = ranked(("A", 60), ("non renseigné", 40), missing=("non renseigné",))
    assert plain(sentences.effort(unknown, "en tout")).endswith("et 40 € sans financeur renseigné (40 %).")
    assert plain(sentences.effort(unknown[1:], "en tout")).endswith(
        "une seule fois, sans financeur renseigné."
    )
    assert not sentences.effort(ranked(), "en 2013")


def test_an_axis_that_is_only_a_number_is_called_an_axis() -> None:
    assert "Premier axe des montants prévus : axe 2 (" in plain(
        sentences.leader(ranked(("2", 60), ("1", 40)), "axe", "montants prévus")
    )


def test_one_year_alone_is_not_called_the_first() -> None:
    assert plain(sentences.strongest_year(ranked(("2013", 5)))) == "Tous ces montants sont de 2013."
    assert plain(sentences.strongest_year(ranked(("2013", 80), ("2012", 20)))) == (
        "Année la plus soutenue : 2013, avec 80 €, soit 80 % du total."
    )
    undated = ranked(("2013", 60), ("2012", 20), ("non daté", 20), missing=("non daté",))
    assert plain(sentences.strongest_year(undated)) == (
        "Année la plus soutenue : 2013, avec 60 €, soit 60 % du total, montants non datés compris."
    )


def test_a_title_has_no_full_stop() -> None:
    assert plain(sentences.as_title(said("Une {a}.", a=sentences.amount(5, TRACE)))) == "Une 5 €"
    assert plain(sentences.as_title(sentences.SILENCE)) == ""


def test_a_year_without_amount_is_a_silence_not_a_zero() -> None:
    assert plain(sentences.nothing_dated("de 2011")) == (
        "Aucun montant n’est daté de 2011 dans les données : ce n’est pas zéro, c’est un silence."
    )
    assert plain(sentences.dated_years([2012, 2013])) == "Les montants datés sont de 2012 et 2013."
    assert plain(sentences.dated_years([2012])) == "Les montants datés sont tous de 2012."
    assert plain(sentences.dated_years([])) == "Aucun montant des données ne porte d’année."


def test_periods_are_said_as_people_say_them() -> None:
    assert [
        sentences.when(2013),
        sentences.when(2011, 2014),
        sentences.when(2013, 2013),
    ] == [
        "en 2013",
        "de 2011 à 2014",
        "en 2013",
    ]


def test_sentences_leave_their_table_untouched() -> None:
    frame = ranked(("A", 50), ("B", 50))
    before = frame.copy(deep=True)
    sentences.leader(frame, "axe", "x")
    sentences.concentration(frame, "axe", "x", 1, {**TRACE, "value": 0.5})
    pd.testing.assert_frame_equal(frame, before)
