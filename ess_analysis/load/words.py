"""The words of the columns of stages and kinds: what a cell of a closed list stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ess_analysis import french, schema

# A source sheet may add others under [names.stage] and [names.kind].
STAGE_WORDS = {
    **{label: stage for stage, label in schema.STAGE_LABELS.items()},
    "alloué": "allocated",
    "enveloppe allouée": "allocated",
    "voté": "awarded",
    "mandaté": "paid",
}
KIND_WORDS = {
    **{label: kind for kind, label in schema.KIND_LABELS.items()},
    "aide en numéraire": "cash",
    "subvention en numéraire": "cash",
    "aide financière": "cash",
    "financière": "cash",
    "aide directe": "cash",
    "subvention": "cash",
    "subvention de fonctionnement": "cash",
    "subvention d'investissement": "cash",
    "subvention d'équipement": "cash",
    "subvention exceptionnelle": "cash",
    "aide en nature": "in_kind",
    "aide indirecte": "in_kind",
    "matérielle": "in_kind",
    "en nature": "in_kind",
    "prestation en nature": "in_kind",
    "mise à disposition": "in_kind",
    "in kind": "in_kind",
    "prêt de matériel": "in_kind",
    "prêt de salle": "in_kind",
    "prêt de locaux": "in_kind",
    "grant": "cash",
    "direct grant": "cash",
    "loan": "loan",
    "soft loan": "loan",
    "guarantee": "guarantee",
    "prêt d'honneur": "loan",
    "prêt participatif": "loan",
    "microcrédit": "loan",
    "garantie d'emprunt": "guarantee",
    "garantie de prêt": "guarantee",
    "prêt à taux zéro": "loan",
    "avance": "loan",
    "avance remboursable": "loan",
    "avance récupérable": "loan",
    "garantie": "guarantee",
    "cautionnement": "guarantee",
}
MIXED = "cash+"  # a line of cash and kind together, whose shares the source does not give: kept in cash, told


def closed_word(written: str, words: Mapping[str, str]) -> str | None:
    """The word of a closed list that a cell stands for, whatever its case, accents and plural; None for none.

    « aide en numéraire;aide en nature » is MIXED.
    """
    known = {_bare_word(word): kept for word, kept in words.items()}
    for said in (written, re.sub(r"\([^()]*\)", " ", written)):  # « En nature (locaux) »
        if (bare := _bare_word(said)) in known:
            return known[bare]
    parts = {known.get(_bare_word(part)) for part in re.split(r"[;,/+]| et ", written) if part.strip()}
    if len(parts) == 1:
        return parts.pop()
    return MIXED if parts == {"cash", "in_kind"} else None


def kind_of(written: str) -> str | None:
    """The kind that a cell says, or begins by saying: « Garantie bancaire »; None for none, or for two."""
    if said := closed_word(written, KIND_WORDS):
        return said
    bare = f"{_bare_word(written)} "
    known = {f"{_bare_word(word)} ": kind for word, kind in KIND_WORDS.items() if len(word) > 3}
    begun = {kind for word, kind in known.items() if bare.startswith(word)}
    inside = {kind for word, kind in known.items() if f" {word}" in f" {bare}"}
    of_things = bare.startswith("pret de ")  # of a room, of chairs
    return begun.pop() if len(begun) == 1 and begun == inside and not of_things else None


@cache
def _bare_word(text: str) -> str:
    bare = re.sub(r"[^a-z ]+", " ", french.strip_accents(text).lower())
    return " ".join(word.rstrip("s") for word in bare.split())
