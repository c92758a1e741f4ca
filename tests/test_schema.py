"""The tidy tables' own description."""

from __future__ import annotations

import pandas as pd

from ess_analysis import schema


def test_every_column_says_in_french_what_it_is() -> None:
    for table in schema.TABLES.values():
        for column in table.columns:
            assert column.label and column.meaning.endswith("."), f"{table.name}.{column.name}"


def test_column_names_are_unique_and_keys_exist() -> None:
    for table in schema.TABLES.values():
        assert len(set(table.names)) == len(table.names)
        assert set(table.key) <= set(table.names)


def test_conforming_types_the_columns_and_keeps_blanks_missing() -> None:
    raw = pd.DataFrame({"amount_eur": [None, 10.0], "year": [2013, None], "funder": ["Lille", None]})
    before = raw.copy()
    funding = schema.conform(raw, "funding")
    assert list(funding.columns) == schema.FUNDING.names
    assert funding["amount_eur"].isna().tolist() == [True, False]
    assert str(funding["year"].dtype) == "Int64"
    assert funding["funder"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(raw, before)


def test_an_empty_table_has_its_columns_and_types() -> None:
    for name, table in schema.TABLES.items():
        frame = schema.empty(name)
        assert list(frame.columns) == table.names
        assert len(frame) == 0
        assert str(frame.dtypes[table.names[0]]) == "str"
