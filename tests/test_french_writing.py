"""Numbers, amounts, nouns and dates as a French reader expects them."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from ess_analysis import french

THIN, SOLID = "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (1234567, f"1{THIN}234{THIN}567"),
        (1576.67, f"1{THIN}576,67"),
        (-29346, f"\u221229{THIN}346"),
        (-0.001, "0"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_numbers_have_thin_spaces_a_decimal_comma_and_the_true_minus(value: float, written: str) -> None:
    assert french.number(value) == written


def test_amounts_show_cents_only_when_there_are_some() -> None:
    assert french.money(59827) == f"59{THIN}827{SOLID}€"
    assert french.money(1576.67) == f"1{THIN}576,67{SOLID}€"
    assert french.money(0.5) == f"0,50{SOLID}€"
    assert french.money(None) == "–"


def test_shares_are_written_in_per_cent() -> None:
    assert french.percent(0.8505) == f"85{SOLID}%"
    assert french.percent(0.8505, 2) == f"85,05{SOLID}%"


def test_a_change_always_shows_its_sign() -> None:
    assert french.signed(french.money(12)) == f"+12{SOLID}€"
    assert french.signed(french.money(-3)) == f"\u22123{SOLID}€"


@pytest.mark.parametrize(
    ("count", "noun", "written"),
    [
        (0, "projet", "aucun projet"),
        (1, "projet", f"1{SOLID}projet"),
        (3, "projet soutenu", f"3{SOLID}projets soutenus"),
        (2, "tableau", f"2{SOLID}tableaux"),
        (4, "mois", f"4{SOLID}mois"),
        (2, "appel à projets", f"2{SOLID}appels à projets"),
    ],
)
def test_nouns_agree_with_their_number(count: int, noun: str, written: str) -> None:
    assert french.counted(count, noun) == written


def test_nothing_agrees_in_gender() -> None:
    assert french.counted(0, "action", feminine=True) == "aucune action"


def test_names_take_the_elision_their_first_letter_asks_for() -> None:
    assert french.of("Anstaing") == "d’Anstaing"
    assert french.of("Hem") == "de Hem"
    assert french.of("Houplines") == "d’Houplines"
    assert french.of("Échanges") == "d’Échanges"
    assert french.of("le Forum") == "du Forum"
    assert french.elided("le", "axe") == "l’axe"


def test_a_list_reads_as_a_sentence() -> None:
    assert french.listing([]) == ""
    assert french.listing(["Lille"]) == "Lille"
    assert french.listing(["Lille", "Loos", "Hem"]) == "Lille, Loos et Hem"


def test_a_date_is_written_in_full() -> None:
    assert french.day(dt.date(2014, 11, 1)) == "1er novembre 2014"
    assert french.day(dt.date(2013, 8, 14)) == "14 août 2013"


def test_typography_puts_unbreakable_spaces_before_high_punctuation() -> None:
    assert french.typographic("« a » : b ; l'axe ?") == (f"«{THIN}a{THIN}»{SOLID}: b{THIN}; l’axe{THIN}?")


def test_a_file_name_never_leaves_its_folder() -> None:
    assert french.slug("Réalisé : œuvre/../../etc") == "realise-oeuvre-etc"
    assert french.slug("../..") == "sans-nom"
    assert len(french.slug("a" * 500)) <= 80


def test_composed_and_decomposed_accents_are_the_same_key() -> None:
    assert french.nfc("e\u0301te\u0301") == "été"


@pytest.mark.parametrize(
    ("name", "inside", "of"),
    [
        ("Ville de Lille", "la Ville de Lille", "de la Ville de Lille"),
        ("Villes de Lille et Loos", "les Villes de Lille et Loos", "des Villes de Lille et Loos"),
        ("Territoire est", "le Territoire est", "du Territoire est"),
        ("Association A", "l’Association A", "de l’Association A"),
        ("Lille Métropole", "Lille Métropole", "de Lille Métropole"),
        ("VILLE DE LILLE", "VILLE DE LILLE", "de VILLE DE LILLE"),
        ("Assemblée nationale", "l’Assemblée nationale", "de l’Assemblée nationale"),
        ("Fondation de France", "la Fondation de France", "de la Fondation de France"),
    ],
)
def test_the_name_of_an_institution_takes_its_article(name: str, inside: str, of: str) -> None:
    assert (french.the(name), french.of(name)) == (inside, of)


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("2014-11", "novembre 2014"),
        ("2014-11-01", "1er novembre 2014"),
        ("2026", "2026"),
        ("2014-13", "2014-13"),
        ("2014-02-31", "2014-02-31"),
    ],
)
def test_the_date_of_a_source_is_told_in_words(kept: str, told: str) -> None:
    assert french.month(kept) == told
