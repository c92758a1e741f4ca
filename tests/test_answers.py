"""The answers of the reports: every number shown is traced and true to it, the parts make the whole."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ess_analysis import answers, french, schema
from ess_analysis.about import About, about
from ess_analysis.errors import DataError
from ess_analysis.load import Tables, load

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = (
    answers.key_points,
    answers.quality_points,
    answers.how_much,
    answers.who_funds,
    answers.who_funds_which_axis,
    answers.which_territories,
    answers.how_concentrated,
    answers.is_the_envelope_kept,
    answers.do_lines_explain_totals,
    answers.who_carries_out,
    answers.which_communes,
    answers.which_results,
    answers.which_years,
    answers.which_share,
    answers.which_projects,
    answers.which_findings,
    answers.what_is_missing,
    answers.which_names_were_matched,
    answers.which_remarks,
    answers.what_to_know,
    answers.what_they_rest_on,
)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load(ROOT / "data" / "raw")


@pytest.fixture(scope="module")
def every(tables: Tables) -> dict[str, About]:
    """Every report that the embedded data can give."""
    found = {str(year): about(tables, year=year) for year in range(2011, 2015)}
    found["2011-2014"] = about(tables, first_year=2011, last_year=2014)
    found["all"] = about(tables)
    found |= {name: about(tables, territory=name) for name in ("Lille métropole", "Territoire lillois")}
    return found | {name: about(tables, funder=name) for name in tables.funding["funder"].dropna().unique()}


def numbers(shown: Any) -> Iterator[dict[str, Any]]:
    """Every number shown anywhere in a published object."""
    if isinstance(shown, dict) and "number" in shown:
        yield shown
    elif isinstance(shown, dict):
        for name, value in shown.items():
            yield from numbers(value) if name != "trace" else ()
    elif isinstance(shown, list):
        for value in shown:
            yield from numbers(value)


def ways_to_write(trace: dict[str, Any]) -> set[str]:
    if trace["unit"] == "EUR":
        return {french.money(trace["value"])}
    if trace["unit"] == "%":
        return {french.percent(trace["value"], decimals) for decimals in (0, 1, 2)}
    return {french.number(trace["value"])}


def figures_of(text: str) -> str:
    """The digits, decimal comma and sign of a number, without its spaces, its unit and its noun."""
    return "".join(character for character in text if character in "0123456789,\u2212")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.__name__)
def test_every_number_shown_is_that_of_its_trace(question: Any, every: dict[str, About]) -> None:
    for name, asked in every.items():
        for one in numbers(question(asked).json()):
            trace = one["trace"]
            if one["number"] == french.NOTHING:
                continue
            assert trace, f"{name}: {one['number']} comes from nowhere"
            stated = (
                trace["op"] == "stated" and trace["unit"] == "count"
            )  # « 6 à 10 communes », word for word
            assert stated or figures_of(one["number"]) in map(figures_of, ways_to_write(trace)), name


def test_the_territories_make_the_whole_and_no_amount_counts_twice(every: dict[str, About]) -> None:
    for name, asked in every.items():
        for figure in figures(answers.which_territories(asked)):
            found = sum(value for label in ("Montant", "Daté", "Non daté") for value in column(figure, label))
            stage = asked.stage_that_tells("territory")
            lines = pd.concat([asked.dated, asked.undated]).drop_duplicates("funding_id")
            lines = lines[lines["stage"] == stage]
            if asked.territory is None:
                assert found == pytest.approx(lines["amount_eur"].sum(), abs=0.001), name


def figures(group: Any) -> list[dict[str, Any]]:
    return [item for item in group.json()["items"] if item["kind"] == "figure"]


def column(figure: dict[str, Any], label: str) -> list[float]:
    """The values of a column of a figure's data, from the traces of its cells."""
    labels = [one["label"] for one in figure["data"]["columns"]]
    if label not in labels:
        return []
    cells = [row[labels.index(label)] for row in figure["data"]["rows"]]
    return [cell[0]["trace"]["value"] for cell in cells if cell[0]["trace"]]


def test_what_the_embedded_data_must_give(tables: Tables) -> None:
    plain = str.maketrans({"\u202f": " ", "\u00a0": " "})
    told = [str(item).translate(plain) for item in answers.key_points(about(tables, year=2013)).items]
    assert told == [
        "En 2013, 198 718 € de soutien, chaque euro compté une seule fois : 118 000 € de Lille Métropole "
        "(59 %) et 80 718 € de la Ville de Lille (41 %).",
        "En 2013, 73 000 € accordés, 169 891 € prévus et 45 000 € alloués. "
        "Ces étapes ne s’additionnent pas : le même euro peut passer par chacune.",
        "Premier axe des montants prévus en 2013 : Recherche, développement, innovation (52 345 €, 31 %).",
        "La Ville de Lille reçoit 85 % des montants accordés, toutes années confondues.",
        "29 346 € annoncés ne sont détaillés par aucune ligne : 13 173 € (Lille Métropole) et 16 173 € "
        "(Ville de Lille).",
    ]


def test_the_key_point_on_recipients_is_that_of_the_years_asked(tables: Tables) -> None:
    lines = tables.funding[tables.funding["stage"].eq("awarded")]
    lines = lines.assign(year=[2012 + place % 2 for place in range(len(lines))])
    for year in (2012, 2013):
        asked = about(replace(tables, funding=lines.astype({"year": "Int64"})), year=year)
        told = answers.concentration_told(asked)
        assert f"en {year}" in str(told)
        assert figures(answers.how_concentrated(asked))[0]["caption"] == answers.as_title(told).json()["text"]


def test_the_cover_says_whose_report_it_is(tables: Tables) -> None:
    assert answers.cover(about(tables, year=2013), "Rapport annuel").title == (
        "Rapport annuel 2013 · Métropole européenne de Lille"
    )
    lines = tables.funding.assign(funder="Département de la Somme")
    unsaid = [replace(sheet, producer="non précisé") for sheet in tables.sources]
    one = about(replace(tables, funding=lines, sources=unsaid), year=2013)
    made = answers.cover(one, "Rapport annuel")
    assert made.title == "Rapport annuel 2013 · Département de la Somme"
    assert "Producteur" not in dict(made.facts)
    silent = about(replace(tables, sources=unsaid), year=2013)
    assert answers.cover(silent, "Rapport annuel").title == "Rapport annuel 2013"


def test_a_gift_in_kind_is_told_in_words(tables: Tables) -> None:
    kind = tables.funding["kind"].where(tables.funding["amount_eur"].isna(), "in_kind")
    told = str(answers.other_kinds(about(replace(tables, funding=tables.funding.assign(kind=kind)))))
    assert "(en nature)" in told


def test_a_single_funder_is_named_without_article(tables: Tables) -> None:
    lines = tables.funding[tables.funding["stage"].eq("awarded")].assign(funder="Assemblée nationale")
    told = str(answers.stages_told(about(replace(tables, funding=lines))))
    assert told.replace("\u00a0", " ").endswith(", financeur unique : Assemblée nationale.")


def test_the_stages_are_never_added_in_a_total_row(every: dict[str, About]) -> None:
    assert figures(answers.how_much(every["2013"]))[0]["data"]["total"] == []
    assert figures(answers.who_funds_which_axis(every["2013"]))[0]["data"]["total"] != []


def test_the_axis_by_funder_table_gives_the_gap_to_the_stated_totals(every: dict[str, About]) -> None:
    data = figures(answers.who_funds_which_axis(every["2013"]))[0]["data"]
    rows = {row[0][0]: [cell[0]["trace"]["value"] for cell in row[1:]] for row in data["rows"]}
    assert rows["Animation Territoriale"] == [23500, 18500, 42000]
    assert rows["non détaillé"] == [13173, 16173, 29346]
    assert [cell[0]["trace"]["value"] for cell in data["total"][1:]] == [73000, 96891, 169891]


def test_a_funder_keeps_its_colour_from_one_figure_to_the_next(every: dict[str, About]) -> None:
    for question in (answers.how_much, answers.who_funds_which_axis, answers.which_years):
        svg = figures(question(every["2013"]))[0]["svg"]
        assert svg.index("Lille Métropole") < svg.index("Ville de Lille")


def test_a_year_without_amount_says_so_and_shows_no_zero(every: dict[str, About]) -> None:
    for year in ("2011", "2014"):
        asked = every[year]
        assert "ce n’est pas zéro, c’est un silence" in str(answers.key_points(asked).items[0])
        for question in (
            answers.how_much,
            answers.who_funds_which_axis,
            answers.which_communes,
            answers.which_years,
        ):
            assert figures(question(asked)) == []
            assert "0\u00a0€" not in [one["number"] for one in numbers(question(asked).json())]


def test_alternative_texts_are_short_and_differ_from_captions(every: dict[str, About]) -> None:
    for asked in every.values():
        for question in QUESTIONS[2:]:
            for figure in figures(question(asked)):
                assert 0 < len(figure["alt"]) <= 80
                assert figure["alt"] not in "".join(
                    part for part in figure["caption"] if isinstance(part, str)
                )


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.__name__)
def test_empty_tables_are_answered_in_words(question: Any) -> None:
    nothing = Tables(**{name: schema.empty(name) for name in schema.TABLES})
    for asked in (
        about(nothing),
        about(nothing, year=2013),
        about(nothing, funder="X"),
        about(nothing, territory="X"),
    ):
        assert list(numbers(question(asked).json())) == [] or question in (
            answers.key_points,
            answers.quality_points,
        )
        assert question(asked).items


def test_asking_leaves_the_tables_untouched(tables: Tables) -> None:
    before = {name: copy.deepcopy(getattr(tables, name)) for name in schema.TABLES}
    asked = about(tables, year=2013)
    for question in QUESTIONS:
        question(asked).json()
    for name, frame in before.items():
        pd.testing.assert_frame_equal(getattr(tables, name), frame)


def test_the_glossary_holds_only_the_acronyms_used(every: dict[str, About]) -> None:
    terms = [term for term, _ in answers.glossary(every["2013"]).items]
    assert {"ESS", "PTCE", "SCIC"} <= set(terms)
    assert "SIRET" not in terms


def test_the_acronyms_of_the_recipients_names_are_not_explained(tables: Tables) -> None:
    lines = tables.funding.assign(title="Fonctionnement", recipient="AMI ESS DLA")
    terms = [term for term, _ in answers.glossary(about(replace(tables, funding=lines))).items]
    assert "AMI" not in terms


def reading(tables: Tables, name: str, default: str) -> Tables:
    """The tables, with another reading of one ambiguous point."""
    readings = tables.readings or {}
    return replace(tables, readings={**readings, name: {**readings[name], "default": default}})


def of_territories(asked: About) -> dict[str, list[float]]:
    data = figures(answers.which_territories(asked))[0]["data"]
    return {
        row[0][0]: [cell[0]["trace"]["value"] for cell in row[1:] if cell[0]["trace"]] for row in data["rows"]
    }


def test_amounts_without_a_year_are_spread_where_the_reading_says_so(tables: Tables) -> None:
    asked = about(reading(tables, "undated", "spread"), year=2013)
    found = of_territories(asked)
    assert found["Territoire est"][0] == 2966.5 and found["Lille métropole"][0] == 73000
    assert round(sum(values[0] for values in found.values()), 2) == 73000 + 25663 / 2
    assert "25 663 € accordés" not in str(answers.how_much(asked).items[-1])
    envelope_alone = str(answers.undated_told(asked)).replace("\u202f", " ")
    assert envelope_alone.startswith("120 000")  # an envelope is never spread


def test_a_shared_amount_follows_the_reading(tables: Tables) -> None:
    by_population = of_territories(about(reading(tables, "shared_territories", "population")))
    assert round(sum(values[0] for values in by_population.values()), 2) == 171663
    assert by_population["Territoire lillois"][0] > by_population["Territoire roubaisien"][0]
    whole = of_territories(about(reading(tables, "shared_territories", "whole")))
    assert whole["Territoires lillois, tourquennois, roubaisien"][0] == 4730
    told = answers.shared_told(about(reading(tables, "shared_territories", "population")))
    assert "partagés selon la population" in str(told)


@pytest.mark.parametrize(
    ("name", "default"),
    [("undated", "spread"), ("shared_territories", "population"), ("shared_territories", "whole")],
)
def test_every_answer_stands_under_each_reading(tables: Tables, name: str, default: str) -> None:
    read = reading(tables, name, default)
    for asked in (
        about(read, year=2013),
        about(read, year=2014),
        about(read, territory="Territoire lillois"),
    ):
        for question in (*QUESTIONS[:11], answers.which_years, answers.which_share, answers.which_projects):
            for one in numbers(question(asked).json()):
                if one["number"] != french.NOTHING and one["trace"]["op"] != "stated":
                    assert figures_of(one["number"]) in map(figures_of, ways_to_write(one["trace"]))


def test_a_reading_that_does_not_exist_says_which_do(tables: Tables) -> None:
    with pytest.raises(DataError, match="Lecture inconnue") as error:
        answers.which_territories(about(reading(tables, "shared_territories", "tirage au sort")))
    assert "equal, population, whole" in str(error.value)


def test_the_map_shows_the_95_communes_and_names_the_15_reached(every: dict[str, About]) -> None:
    svg = figures(answers.which_communes(every["2013"]))[0]["svg"]
    assert svg.count("<circle") == 95 + 2  # two in the legend
    named = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if " " not in text]
    assert len(named) == 15 and "Sailly-lez-Lannoy" in named


def test_results_are_quoted_whole(every: dict[str, About]) -> None:
    rows = answers.which_results(every["2013"]).json()["items"][0]["rows"]
    told = {
        row[0][0]: "".join(part if isinstance(part, str) else part["number"] for part in row[1])
        for row in rows
    }
    assert told["Appel à projets aux territoires et aux communes"] == (
        "4 projets soutenus pour un montant global de 171\u202f663\u00a0€"
    )
    assert "2 territoires diagnostiqués (roubaisien, tourquennois)" in told["Actions de diagnostic"]


def test_a_table_of_one_file_without_funder_is_told_without_inventing_one(tmp_path: Path) -> None:
    """As open data are: one CSV, no source sheet's words, no funder, axes that are numbers."""
    lines = [
        {"funding_id": "F!1", "record_id": "1", "axis": "1", "recipient": "A", "amount_eur": 30.0},
        {"funding_id": "F!2", "record_id": "2", "axis": "2", "recipient": "B", "amount_eur": 70.0},
    ]
    rows = [{**line, "stage": "awarded", "kind": "cash", "year": 2023, "source": "f.csv"} for line in lines]
    blank: dict[str, Any] = {name: schema.empty(name) for name in schema.TABLES}
    funding = schema.conform(pd.DataFrame(rows), "funding")
    asked = about(Tables(**{**blank, "funding": funding}, data=tmp_path), year=2023)
    plain = str.maketrans({"\u202f": " ", "\u00a0": " "})
    told = [str(point).translate(plain) for point in answers.key_points(asked).items]
    assert told[0] == "En 2023, 100 € accordés."
    assert told[1] == "Premier axe des montants accordés en 2023 : axe 2 (70 €, 70 %)."
    assert "non renseigné" not in " ".join(told)
    assert (
        str(answers.who_funds(asked).items[0]) == "Aucun montant daté de 2023 n’est attribué à un financeur."
    )


def test_the_source_names_the_file_of_a_table_that_has_no_sheet(tables: Tables) -> None:
    sheet = next(one for one in tables.sources if one.tables)
    read = replace(tables, sources=(replace(sheet, producer="", date=""),))
    assert answers.source(about(read)) == french.typographic(sheet.title)
    cells = pd.DataFrame({"trace": [{"cells": [[f"x/{sheet.path.name}", "", "A1", "1", 0]]}]})
    assert answers.source(about(read), cells) == french.typographic(sheet.title)


def test_amounts_without_a_stage_stop_a_report_and_say_what_to_write(tables: Tables) -> None:
    funding = tables.funding.copy()
    funding.loc[funding["amount_eur"].dropna().index[:2], "stage"] = None
    with pytest.raises(DataError, match="Étape non précisée") as refused:
        about(replace(tables, funding=funding))
    assert re.search(r"2\smontants", str(refused.value)) and 'stage = "allocated"' in str(refused.value)
