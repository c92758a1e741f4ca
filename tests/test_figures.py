"""Bars and maps: what is drawn is what is in the table, without colour, on a phone, with any text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from ess_analysis import figures
from ess_analysis.figures import MISSING, REST, Bar, Point

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + name))


def bar_widths(svg: str) -> list[float]:
    return [float(e.get("width")[:-1]) for e in drawn(svg, "rect") if e.get("width", "").endswith("%")]


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in drawn(svg, "text")]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_parts_of_a_bar_make_its_whole_on_one_common_scale() -> None:
    svg = figures.bars_svg(
        [Bar("A", "", ((10, 0), (30, 1), (20, MISSING))), Bar("B", "", ((15, 0),))], alt="deux barres"
    )
    assert bar_widths(svg) == [16.67, 50, 33.33, 25]


def test_a_missing_or_null_part_is_not_drawn() -> None:
    assert bar_widths(figures.bars_svg([Bar("A", "", ((float("nan"), 0), (0, 1), (5, 2)))], alt="x")) == [100]


def test_a_negative_amount_goes_left_of_zero() -> None:
    svg = figures.bars_svg([Bar("annulé", "", ((-25, 0),)), Bar("voté", "", ((75, 0),))], alt="x")
    places = [(e.get("x"), e.get("width")) for e in drawn(svg, "rect")]
    assert places == [("0.00%", "25.00%"), ("25.00%", "75.00%")]


def test_no_bar_and_bars_of_nothing_do_not_crash() -> None:
    assert ElementTree.fromstring(figures.bars_svg([], alt="vide")).get("aria-label") == "vide"
    assert bar_widths(figures.bars_svg([Bar("A", "–", ((0, 0),))], alt="x")) == []


def test_hostile_text_stays_text() -> None:
    svg = figures.bars_svg(
        [Bar('<script>alert("1")</script>\x00\x0b', "<b>1 €</b>", ((1, 0),))], alt='" onload="alert(1)'
    )
    assert drawn(svg, "script") == [] and drawn(svg, "b") == []
    assert ElementTree.fromstring(svg).get("onload") is None


def test_a_long_name_is_cut_for_a_phone_and_kept_whole_in_its_title() -> None:
    name = "Association départementale des pupilles de l'enseignement public de la Loire-Atlantique, " * 2
    name = name.removesuffix(", ")
    svg = figures.bars_svg([Bar(name, "12 000 €", ((1, 0),))], alt="x")
    assert [e.text for e in drawn(svg, "title")] == [name]
    assert any("…" in line for line in texts(svg))


def test_a_name_and_its_value_never_meet_on_a_phone() -> None:
    for name in ("Recherche, développement, innovation", "ANIMATION TERRITORIALE", "X" * 80, "a " * 60):
        value = "1 234 567,89 €"
        first, *others = figures._lines(name, 15, figures.PHONE - figures.text_width(value, 15) - 14)
        assert figures.text_width(f"{first} {value}", 15) <= figures.PHONE
        assert all(figures.text_width(line, 15) <= figures.PHONE for line in others)
        assert len(others) <= 2


def test_the_names_that_people_give_are_not_cut() -> None:
    for name in (
        "Métropole d'Aix-Marseille-Provence",
        "15 816 autres, ensemble (hors échelle)",
        "CENTRE DRAMATIQUE NATIONAL TOULOUSE OCCITANIE",
        "Construction, habitat, urbanisme, patrimoine, transport",
    ):
        lines = figures._lines(name, 15, figures.PHONE - figures.text_width("1 504 397 913 €", 15) - 14)
        assert " ".join(lines).replace("- ", "-") == name


def test_series_read_without_colour() -> None:
    """Each has a hatching of its own; what is missing is empty and dashed."""
    parts = tuple((10.0, series) for series in (1, 2, 3, REST, MISSING))
    svg = figures.bars_svg([Bar("A", "", parts)], alt="x")
    patterns = [re.sub(r"#\w{6}|id=\"[^\"]*\"", "", p) for p in re.findall(r"<pattern.*?</pattern>", svg)]
    assert len(set(patterns)) == 5
    assert [
        e.get("stroke-dasharray") is not None for e in drawn(svg, "rect") if "%" in e.get("width", "")
    ] == [
        False,
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("series", [0, 1, 2, 3, REST])
def test_every_colour_stands_out_and_carries_its_text(series: int | str) -> None:
    ground = figures.MUTED if series == REST else figures.COLOURS[int(series)]
    assert contrast(ground, figures.PAPER) >= 3
    assert contrast(ground, figures._ON[series]) >= 4.5


def test_a_figure_is_the_same_on_every_machine_and_its_patterns_are_its_own() -> None:
    one, two = ([Bar("A", "", ((1, 1),))], [Bar("B", "", ((1, 1),))])
    assert figures.bars_svg(one, alt="x") == figures.bars_svg(one, alt="x")
    ids = {e.get("id") for bars in (one, two) for e in drawn(figures.bars_svg(bars, alt="x"), "pattern")}
    assert len(ids) == 2


def test_the_map_draws_every_place_and_names_those_reached() -> None:
    points = [Point(f"C{i}", 3 + i / 100, 50.6 + (i * 7 % 10) / 100, weight=int(i < 3)) for i in range(95)]
    svg = figures.map_svg(points, alt="carte")
    assert len(drawn(svg, "circle")) == 95
    assert {"C0", "C1", "C2"} == set(texts(svg))


def test_a_degree_of_longitude_is_shorter_than_one_of_latitude() -> None:
    corners = [Point("so", 3, 60), Point("se", 4, 60), Point("no", 3, 60.0001), Point("n", 3.5, 61)]
    at = {
        e[0].text: (float(e.get("cx")), float(e.get("cy")))
        for e in drawn(figures.map_svg(corners, alt="x"), "circle")
    }
    wide, tall = at["se"][0] - at["so"][0], at["so"][1] - at["n"][1]
    assert tall / wide == pytest.approx(2, abs=0.02)


def test_one_place_alone_and_no_place_at_all_do_not_crash() -> None:
    assert len(drawn(figures.map_svg([Point("Lille", 3.05, 50.63, 2)], alt="x"), "circle")) == 1
    assert drawn(figures.map_svg([], alt="x"), "circle") == []


def test_circles_follow_the_weight_by_their_area() -> None:
    svg = figures.map_svg([Point("a", 3, 50, 4), Point("b", 3.1, 50.1, 1)], alt="x")
    radii = {e[0].text: float(e.get("r")) for e in drawn(svg, "circle")}
    assert radii["a"] == 2 * radii["b"]


def test_in_a_notebook_a_figure_has_its_message_its_source_and_its_data_on_white() -> None:
    frame = pd.DataFrame({"name": ["A <b>", "B"], "amount_eur": [60.0, 40.0]})
    figure = figures.ranked_bars(
        frame, "name", title="Un <titre>", alt="x", source="S & Cie", reading="Comme si"
    )
    shown = figure._repr_mimebundle_()["text/html"]
    assert "<strong>Un &lt;titre&gt;</strong>" in shown and "S &amp; Cie" in shown and "Comme si" in shown
    assert "background:#fff" in shown and "<details>" in shown and "60\u00a0€" in shown
    assert "<b>" not in shown
