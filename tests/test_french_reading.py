"""Amounts, years and quantities as people write them: read exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ess_analysis import french


@pytest.mark.parametrize(
    ("text", "euros"),
    [
        ("10 000 €", 10000),
        ("73 000,00 €", 73000),
        ("4730 €", 4730),
        ("5\u202f933,00\u00a0€", 5933),
        ("17 k€", 17000),
        ("1,5 k€", 1500),
        ("1,234 k€", 1234),
        ("2 M€", 2_000_000),
        ("50 000 euros", 50000),
        ("12 EUR", 12),
        ("110 k€ (enveloppe allouée / cf détails consommation en annexe 1)", 110000),
        ("240 000 € (pour les 3 saisons)", 240000),
        ("26 956,00", 26956),
        ("840690.0", 840690),
        ("1234,5", 1234.5),
        ("1.234,56 €", 1234.56),
        ("1,234.56", 1234.56),
        ("1.234.567,89", 1234567.89),
        ("0.125", 0.125),
        ("-500", -500),
        ("\u2212500 €", -500),
        ("(1 234,50)", -1234.5),
        ("(1 234,50 €)", -1234.5),
        ("en 2012 17 k€", 17000),
        ("en 2012, 17 k€", 17000),
        ("N   82 584,28", 82584.28),
        ("1,2 million d'euros", 1_200_000),
        ("5 milliers d’euros", 5000),
        ("12 K€", 12000),
        ("3 M€", 3_000_000),
        ("1 234 €uros", 1234),
        ("12 EUROS", 12),
    ],
)
def test_an_amount_alone(text: str, euros: float) -> None:
    assert [amount.euros for amount in french.cell_amounts(text)] == [euros]


@pytest.mark.parametrize(
    "text",
    [
        "Moyens humains",
        "",
        "5 OOO €",
        "5.000 €",  # five thousand, or five
        "1.234",
        "1,234",
        "12 34 €",
        "10-15 €",
        "- 5 €",
        "1..2",
        "1.234.567",
        "1.234,5,6",
        "2,43E+13",
        "5 000 $",
        "£500",
        "$ 500 €",
        "12 € 50",
        "2 x 500 €",
        "12 000 (10 000 €)",
        "K 12,50",
        "1 000,-",
        "1e5",
        "en 2012 170 k€",  # 170 k€, or 12 170 k€
        "12 000 € dont 3 000 € en nature",
        "73 000 € 73 000 €",
        "73 000 € (2012) 73 000 € (2012)",
        "17 k€ en 2012 17 k€",
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(text: str) -> None:
    assert french.cell_amounts(text) == []


@pytest.mark.parametrize(
    "text",
    ["73 000,00 € (2012) 73 000,00 € (2013)", "73 k€ en 2012 73 k€ en 2013", "73 k€ (2012), 73 k€ (2013)"],
)
def test_two_amounts_in_a_cell_each_with_its_year(text: str) -> None:
    assert [(amount.euros, amount.year) for amount in french.cell_amounts(text)] == [
        (73000, 2012),
        (73000, 2013),
    ]


def test_the_decimal_sign_once_known_says_what_a_point_is() -> None:
    assert [amount.euros for amount in french.cell_amounts("1.234", ",")] == [1234]
    assert [amount.euros for amount in french.cell_amounts("1.234", ".")] == [1.234]
    assert [amount.euros for amount in french.cell_amounts("1,234", ".")] == [1234]


def test_an_amount_keeps_the_words_it_was_read_from() -> None:
    assert french.cell_amounts("26 956,00")[0].text == "26 956,00"
    assert french.cell_amounts("17 k€ en 2012 17 k€ en 2013")[1].text == "17 k€ en 2013"


def test_amounts_are_found_in_a_sentence() -> None:
    found = french.amounts("⇒ 4 projets soutenus pour un montant global de 171 663 €.")
    assert [amount.euros for amount in found] == [171663]


def test_an_endless_cell_is_not_read() -> None:
    assert french.cell_amounts("1 " * 100_000 + "€") == []


@given(
    st.integers(0, 10**10),
    st.sampled_from([" ", "\u00a0", "\u202f", ""]),
    st.sampled_from(["", " €", "\u00a0€"]),
)
def test_what_french_people_write_is_read_back_to_the_cent(cents: int, space: str, unit: str) -> None:
    text = f"{cents // 100:,}".replace(",", space) + f",{cents % 100:02d}{unit}"
    assert [Decimal(str(amount.euros)) for amount in french.cell_amounts(text)] == [Decimal(cents) / 100]


@given(st.text(alphabet="0123456789 .,-()k€\u00a0enou/+", max_size=25))
def test_no_text_makes_the_reading_fall(text: str) -> None:
    assert all(amount.euros == amount.euros for amount in french.cell_amounts(text))


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2013", 2013),
        ("2013.0", 2013),
        ("31/12/2013", 2013),
        ("2013-03-01", 2013),
        ("2017/09/08", 2017),
        ("2017-03-01T00:00:00+01:00", 2017),
        ("1er mars 2013", 2013),
        ("Mars 2013", 2013),
        ("31/02/2013", None),
        ("13/25/2013", None),
        ("2013-13-01", None),
        ("20133", None),
        ("13", None),
        ("vers 2013", None),
        ("2013-2014", None),
        ("", None),
    ],
)
def test_the_year_of_a_date_kept_as_text(text: str, year: int | None) -> None:
    assert french.year_of(text) == year


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 réunions organisées", [(3, 3, "réunions")]),
        ("mobilisant 6 à 10 communes", [(6, 10, "communes")]),
        ("Réunions tous les deux mois", [(6, 6, "réunions par an")]),
        ("réunions tous les mois", [(12, 12, "réunions par an")]),
        ("réunions toutes les 2 semaines", [(26, 26, "réunions par an")]),
        ("comité trimestriel", [(4, 4, "comité par an")]),
        ("Un DLA collectif", [(1, 1, "DLA")]),
        ("1 200 habitants et 2,5 ETP", [(1200, 1200, "habitants"), (2.5, 2.5, "ETP")]),
        ("4 projets soutenus pour 171 663 €", [(4, 4, "projets")]),
        ("17 k€ en 2012", []),
        ("en 2013 et en 2014", []),
        ("depuis 2013 avec les villes", []),
    ],
)
def test_the_quantities_a_result_states(text: str, found: list[tuple[float, float, str]]) -> None:
    assert [(one.low, one.high, one.unit) for one in french.quantities(text)] == found
