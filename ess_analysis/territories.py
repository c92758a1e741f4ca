"""Commune and territory names → INSEE codes; what a name tolerates, and what is said about it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from ess_analysis import french

# Communes associées: named as towns, without an INSEE line of their own (Etalab, découpage administratif).
ASSOCIATED = {
    "lomme": ("59350", "Lille"),
    "hellemmes": ("59350", "Lille"),
    "hellemmes lille": ("59350", "Lille"),
}
CLOSE = 0.85  # difflib ratio above which one single commune is taken as the same name, and said so
NEAR = 0.6  # ratio above which a commune is worth proposing to the reader

EMBEDDED = Path(__file__).resolve().parents[1] / "data" / "raw" / "reference" / "mel_communes.csv"


@dataclass(frozen=True)
class Match:
    """A commune found for a name, and how: exact, spelling, associated or none."""

    written_as: str
    insee_code: str | None
    commune: str | None
    how: str


@cache
def communes(path: Path = EMBEDDED) -> pd.DataFrame:
    """The reference communes: insee_code, name, siren (text), population, centroid (degrees WGS84)."""
    frame = pd.read_csv(path, dtype={"insee_code": "str", "siren": "str"}, encoding="utf-8")
    return frame.assign(member_in_2013=frame["member_in_2013"].eq("yes"))


@cache
def name_key(name: str) -> str:
    """The name without case, accents, hyphens or apostrophes: equal keys are the same name."""
    bare = french.strip_accents(french.nfc(name)).lower()
    bare = re.sub(r"[^a-z0-9]+", " ", bare).strip()
    return re.sub(r"\b(?:les|lez)\b", "lez", re.sub(r"\bst\b", "saint", bare))


@cache
def _known(reference: Path) -> dict[str, tuple[str, str]]:
    """Name key or INSEE code → INSEE code and name."""
    pairs = [(code, name) for code, name in communes(reference)[["insee_code", "name"]].values]
    return {name_key(name): (code, name) for code, name in pairs} | {pair[0]: pair for pair in pairs}


@cache
def match(written_as: str, tolerant: bool = True, reference: Path = EMBEDDED) -> Match:
    """The commune that a name or an INSEE code stands for.

    With `tolerant`, a near spelling is matched when one single commune is near, begins with the same letter
    and the name is not the beginning of another (« Houplin » could be Houplines or Houplin-Ancoisne).
    """
    known = _known(reference)
    key = name_key(written_as)
    if key in known:
        return Match(written_as, *known[key], "exact")
    if key in ASSOCIATED:
        return Match(written_as, *ASSOCIATED[key], "associated")
    if not tolerant:
        return Match(written_as, None, None, "none")
    near = [name for name in difflib.get_close_matches(key, known, n=3, cutoff=CLOSE) if name[0] == key[:1]]
    alone = near and (len(near) == 1 or _likeness(key, near[0]) > _likeness(key, near[1]) + 0.05)
    if alone and not any(name.startswith(f"{key} ") for name in known):
        return Match(written_as, *known[near[0]], "spelling")
    return Match(written_as, None, None, "none")


def proposals(written_as: str, reference: Path = EMBEDDED) -> list[str]:
    """The communes whose name is nearest to one that was not found, three at most."""
    known = _known(reference)
    near = difflib.get_close_matches(name_key(written_as), known, n=3, cutoff=NEAR)
    return [known[key][1] for key in near]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


_LEAD = re.compile(
    r"^\s*(?:les\s+)?(?:villes?|communes?)\s+(?:de\s+la\s+|de\s+|du\s+|des\s+|d['’]\s*)", re.IGNORECASE
)
_GROUP = re.compile(
    r"^(?:communes?|villes?)\s+(?:du|des|de\s+la)\s+(?:territoire|canton|secteur)", re.IGNORECASE
)
_NAMED = re.compile(r"\b(?:Villes?|Communes?)\s+(?:de|d['’])\s*([^.;()]+)")


def place_names(text: str) -> list[str]:
    """The places that a cell names: « Villes de Tressin, Willems et Anstaing » gives three."""
    pieces = re.split(r"[,;()\n/]|\s+et\s+|\s+&\s+", text)
    names = [_LEAD.sub("", piece).strip(" .") for piece in pieces if not _GROUP.match(piece.strip())]
    return [name for name in names if name]


def places_mentioned(text: str) -> list[str]:
    """The places that a running text calls « Ville(s) de … » or « Commune(s) de … »."""
    found = []
    for match in _NAMED.finditer(text):
        names = place_names(match[0].split(" pour ")[0])
        found += names if match[0].split()[0].endswith("s") else names[:1]
    return found


PLURALS = r"^\s*(territoires|secteurs|cantons|bassins|zones|quartiers|arrondissements|pôles)\s+(.*)$"


def territory_names(text: str) -> list[str]:
    """The territories of a cell: « Territoires lillois, tourquennois » gives two, in the singular."""
    plural = re.match(PLURALS, text, re.IGNORECASE)
    if not plural:
        return [text.strip()] if text.strip() else []
    singular = plural[1][:-1]
    return [f"{singular} {part.strip()}" for part in re.split(r",|\s+et\s+", plural[2]) if part.strip()]
