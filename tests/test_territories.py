"""Names of places → communes: what is the same name, what is near, what is left unread."""

from __future__ import annotations

import pytest

from ess_analysis import territories


def test_the_95_communes_and_the_85_of_2013() -> None:
    communes = territories.communes()
    assert len(communes) == 95 and communes["insee_code"].is_unique
    assert communes["member_in_2013"].sum() == 85
    assert communes["insee_code"].str.fullmatch(r"\d{5}").all()


@pytest.mark.parametrize(
    ("written", "code", "how"),
    [
        ("Lille", "59350", "exact"),
        ("LILLE", "59350", "exact"),
        ("59350", "59350", "exact"),
        ("Villeneuve d'Ascq", "59009", "exact"),
        ("Villeneuve-d’Ascq", "59009", "exact"),
        ("Marcq en Baroeul", "59378", "exact"),
        ("Forest sur marque", "59247", "exact"),
        ("Lomme", "59350", "associated"),
        ("Hellemmes", "59350", "associated"),
        ("Saily les Lannoy", "59522", "spelling"),
        ("Tourcoin", "59599", "spelling"),
        ("Gondrecourt", None, "none"),
        ("Lillers", None, "none"),  # a town of another département, not a slip
        ("Houplin", None, "none"),  # Houplines, or Houplin-Ancoisne
        ("", None, "none"),
    ],
)
def test_a_name_and_the_commune_it_stands_for(written: str, code: str | None, how: str) -> None:
    match = territories.match(written)
    assert (match.insee_code, match.how, match.written_as) == (code, how, written)


def test_a_near_spelling_is_not_taken_when_it_is_not_tolerated() -> None:
    assert territories.match("Tourcoin", tolerant=False).how == "none"
    assert territories.match("Lomme", tolerant=False).how == "associated"


def test_every_commune_is_found_by_its_own_name() -> None:
    communes = territories.communes()
    found = [territories.match(name, tolerant=False).insee_code for name in communes["name"]]
    assert found == communes["insee_code"].tolist()


def test_a_name_that_is_not_found_comes_with_the_nearest_ones() -> None:
    assert territories.proposals("Houplin") == ["Houplines", "Houplin-Ancoisne"]
    assert territories.proposals("Zanzibar") == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ville de Lille", ["Lille"]),
        (
            "Villes de Tressin, Willems, Anstaing et Villeneuve d'Ascq",
            ["Tressin", "Willems", "Anstaing", "Villeneuve d'Ascq"],
        ),
        (
            "Ville de Hem et communes du territoire MDE Val de marque (Wasquehal, Croix, Lannoy)",
            ["Hem", "Wasquehal", "Croix", "Lannoy"],
        ),
        ("Villes de Lomme, Loos,", ["Lomme", "Loos"]),
        ("", []),
    ],
)
def test_the_places_of_a_cell(text: str, names: list[str]) -> None:
    assert territories.place_names(text) == names


def test_the_places_a_running_text_mentions() -> None:
    text = "Relais, le Centre d'insertion des Bois Blancs, Commune de Gondrecourt, Gabnor..."
    assert territories.places_mentioned(text) == ["Gondrecourt"]
    assert territories.places_mentioned("Villes de Lomme, Loos, Roubaix, Tourcoing,") == [
        "Lomme", "Loos", "Roubaix", "Tourcoing",
    ]  # fmt: skip
    assert territories.places_mentioned("Initiatives et Cités, APES, CRESS") == []


def test_territories_named_together_are_told_apart() -> None:
    assert territories.territory_names("Territoires lillois, tourquennois, roubaisien") == [
        "Territoire lillois", "Territoire tourquennois", "Territoire roubaisien",
    ]  # fmt: skip
    assert territories.territory_names("Territoire est") == ["Territoire est"]
    assert territories.territory_names("  ") == []
