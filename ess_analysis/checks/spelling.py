"""Checks of spelling: names and words written otherwise elsewhere, texts cut short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ess_analysis import french, schema
from ess_analysis.checks.lines import each, first_of, groups_of, place_of, small
from ess_analysis.checks.naming import SHOWN, TEXTS, others_told, rows_told, words_of
from ess_analysis.checks.view import Found, View


def folded_text(text: str) -> str:
    """The text without case, accents or punctuation: the key under which spellings meet."""
    return re.sub(r"[\W_]+", " ", french.strip_accents(text).casefold()).strip()


def folded_texts(texts: pd.Series) -> list[str]:
    """`folded_text` of many texts at once."""
    bare = pc.utf8_lower(pc.utf8_normalize(pa.array(texts, pa.large_string()), "NFKD"))
    letters = pc.replace_substring_regex(bare, r"\p{M}+", "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(letters, r"[^\p{L}\p{N}]+", " ")).to_pylist()


_LABELLED = {
    "records": ("axis", "legal_status", "strand", "programme"),
    "funding": ("funder", "recipient", "operator", "programme"),
    "delivery": ("operator",),
    "places": ("territory",),
}


def label_variants(view: View) -> Iterator[Found]:
    """Labels of one column that differ by case, accents, spaces or punctuation only."""
    seen: set[tuple[str, ...]] = set()
    for name, columns in _LABELLED.items():
        frame = getattr(view.tables, name)
        for column in columns:
            variants = [group for group in _same_but_written_otherwise(frame[column]) if group not in seen]
            seen.update(variants)
            if not variants:
                continue
            label = next(c.label for c in schema.TABLES[name].columns if c.name == column)
            groups = [french.listing(f"« {one} »" for one in group) for group in variants]
            more = f" (et {others_told(len(groups) - SHOWN)})" if len(groups) > SHOWN else ""
            first = first_of(frame[frame[column] == variants[0][-1]])
            yield Found(
                f"{label} : le même nom écrit autrement : {' ; '.join(groups[:SHOWN])}{more}.",
                *place_of(first),
            )


def _same_but_written_otherwise(labels: pd.Series) -> list[tuple[str, ...]]:
    known = labels.dropna().drop_duplicates()
    keys = pd.Series(folded_texts(known), known.index)
    again = keys.duplicated(keep=False) & (keys != "")
    return [tuple(group) for _, group in known[again].groupby(keys[again], sort=False)]


_WORD = re.compile(r"[^\W\d_]{8,}")


def unaccented_words(view: View) -> Iterator[Found]:
    """Long words written here with their accents and there without."""
    spelt: dict[str, set[str]] = {}
    places: dict[str, Any] = {}
    for record in each(small(view.records)):
        for word in _WORD.findall(words_of(record)):
            lower = word.lower()
            spelt.setdefault(french.strip_accents(lower), set()).add(lower)
            places.setdefault(lower, record)
    for bare, words in spelt.items():
        accented = sorted(word for word in words if word != bare and word[1:-2] != bare[1:-2])
        if bare in words and accented:
            yield Found(
                f"« {bare} » est aussi écrit « {accented[0]} » : accent oublié ?",
                *place_of(places[bare]),
                stated=bare,
                computed=accented[0],
            )


def trailing_separators(view: View) -> Iterator[Found]:
    """Texts that end with a separator, as if cut."""
    texts = small(view.records)
    for column, label in TEXTS.items():
        cut = texts[texts[column].fillna("").str.contains(r"[,;:]\s*$")]
        for _, rows in groups_of(cut, ["source", "sheet"]):
            yield Found(
                f"{view.counted(rows, 'texte fini', 'textes finis')} par un séparateur "
                f"({label}, {rows_told(rows)}) : rien n'a été perdu ?",
                *place_of(first_of(rows)),
            )
