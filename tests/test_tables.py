"""Display tables: one row for one, French headers and numbers, traces kept, text left as it is."""

from __future__ import annotations

import pandas as pd

from ess_analysis import schema
from ess_analysis.display import Number
from ess_analysis.sentences import said
from ess_analysis.tables import display_table

TRACE = {"op": "sum", "unit": "EUR", "value": 1234.5, "cells": [["f.xlsx", "A", "G5", "1234,5", 0]]}


def lines() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "funder": ["Ville <b>", None],
            "stage": ["planned", "paid"],
            "year": pd.array([2013, None], dtype="Int64"),
            "amount_eur": [1234.5, float("nan")],
            "share": [1.0, float("nan")],
            "trace": [TRACE, None],
            "share_trace": [None, None],
        }
    )


def test_numbers_are_french_and_keep_their_trace() -> None:
    table = display_table(lines(), "Titre")
    amount = table.rows[0][3]
    assert isinstance(amount, Number)
    assert (amount.text, amount.trace) == ("1\u202f234,50\u00a0€", TRACE)
    assert str(table.rows[0][4]) == "100,0\u00a0%"


def test_headers_and_words_are_french_and_traces_are_not_columns() -> None:
    table = display_table(lines(), "Titre", labels={"funder": "Qui"})
    assert [column.label for column in table.columns] == ["Qui", "Étape", "Année", "Montant", "Part"]
    assert [column.numeric for column in table.columns] == [False, False, False, True, True]
    assert table.rows[0][1] == schema.STAGE_LABELS["planned"]


def test_what_is_missing_is_a_dash_never_a_zero_and_years_are_not_grouped() -> None:
    table = display_table(lines(), "Titre")
    assert [str(cell) for cell in table.rows[1]] == ["–", "versé", "–", "–", "–"]
    assert table.rows[0][2] == "2013"


def test_a_total_row_leaves_empty_what_it_does_not_name() -> None:
    table = display_table(lines(), "Titre", total={"funder": "Total", "amount_eur": 1234.5, "trace": TRACE})
    assert [str(cell) for cell in table.total] == ["Total", "", "", "1\u202f234,50\u00a0€", ""]


def test_a_table_is_published_for_the_page_and_escaped_for_the_notebook() -> None:
    table = display_table(lines(), said("Un <titre> de {n}", n=Number("3", TRACE)), note="S & Cie")
    bundle = table._repr_mimebundle_()
    shown = bundle["application/vnd.ess+json"]
    assert shown["caption"] == ["Un <titre> de ", {"number": "3", "trace": TRACE}]
    assert shown["rows"][0][0] == ["Ville <b>"]
    assert "Ville &lt;b&gt;" in bundle["text/html"] and "<b>" not in bundle["text/html"]
    assert 'scope="row"' in bundle["text/html"] and bundle["text/html"].count('scope="col"') == 5


def test_the_input_is_untouched_and_an_empty_table_does_not_crash() -> None:
    frame = lines()
    before = frame.copy(deep=True)
    display_table(frame, "Titre", total={"amount_eur": 1.0})
    pd.testing.assert_frame_equal(frame, before)
    assert display_table(frame.iloc[:0], "Titre").rows == ()
