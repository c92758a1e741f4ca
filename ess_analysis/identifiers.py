"""SIRET, SIREN and RNA numbers as published: sound, wrong, or destroyed by a spreadsheet.

A destroyed number is recognised and never repaired: it stands for several bodies, so it is the key of none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from stdnum.exceptions import ValidationError
from stdnum.fr import siren, siret

from ess_analysis import french

# What may be wrong with a number, in the order in which it is told: code → what is said of it.
DEFECTS = {
    "scientific": "détruit par la notation scientifique d'un tableur",
    "rounded": "tronqué ou arrondi, il finit par des zéros",
    "float": "suivi de « .0 », passé par un tableur",
    "lost_zero": "zéro de tête perdu",
    "checksum": "clé de contrôle fausse",
    "form": "ni SIRET, ni SIREN, ni RNA",
}
_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*\s*[eE]\s*\+?\s*[0-9]+")
_FOREIGN = re.compile(r"(?:[A-Z]{2}|XI|360G)-[A-Za-z0-9]+-.+")  # org-id.guide: GB-CHC-1136419
_BLANKS = re.compile(r"[\s\u00a0\u202f.\-']+")


@dataclass(frozen=True)
class Identifier:
    """One number: what it identifies a body by, the key if it is sound, what is wrong with it otherwise."""

    written: str
    scheme: str = ""  # SIRET, SIREN, RNA, org-id
    key: str | None = None
    defect: str = ""


@cache
def identify(written: str) -> Identifier:
    """What a published number is worth; `key` is None for one that may not be used to join."""
    text = french.nfc(written).strip().strip("'\"").upper()
    text = re.sub(r"^(?:N°|NO|NUMERO)?\s*(?:DE\s+)?(?:SIRET|SIREN|RNA)\s*:?\s*", "", text)
    if _SCIENTIFIC.fullmatch(text):
        return Identifier(written, defect="scientific")
    if _FOREIGN.fullmatch(text):
        return Identifier(written, "org-id", text)
    floated = re.fullmatch(r"([0-9]{8,14})[.,]0+", text)
    bare = floated[1] if floated else _BLANKS.sub("", text)
    if re.fullmatch(r"W[0-9A-Z][0-9]{8}", bare):
        return Identifier(written, "RNA", bare)
    if not re.fullmatch(r"[0-9]{8,14}", bare):
        return Identifier(written, defect="form")
    return _of_digits(written, bare, bool(floated))


def told(header: str, count: int, defect: str, first: str) -> str:
    """What is said of the numbers of a column that have one defect, the first of them quoted."""
    numbers = french.counted(count, "numéro inutilisable", "numéros inutilisables")
    out = french.plural(count, "écarté")
    return f"« {header} » : {numbers} ({DEFECTS[defect]} : « {first} »), {out} des rapprochements."


def _of_digits(written: str, digits: str, floated: bool) -> Identifier:
    scheme = "SIRET" if len(digits) > 10 else "SIREN"
    if (scheme == "SIRET" and digits.endswith("0000")) or (scheme == "SIREN" and digits.endswith("00000")):
        return Identifier(written, scheme, defect="rounded")  # even when the checksum agrees, by chance
    if floated:
        return Identifier(written, scheme, defect="float")
    if len(digits) in (13, 8):
        return Identifier(written, scheme, defect="lost_zero" if _valid("0" + digits) else "form")
    if len(digits) not in (14, 9):
        return Identifier(written, defect="form")
    return Identifier(
        written, scheme, digits if _valid(digits) else None, "" if _valid(digits) else "checksum"
    )


_DOUBLED = str.maketrans("0123456789", "0246813579")  # Luhn: a digit doubled, its own digits added


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def _valid(digits: str) -> bool:
    """What python-stdnum says; it is asked only where the plain checksum fails (La Poste has its own)."""
    if _luhn(digits) and _luhn(digits[:9]):
        return True
    try:
        (siret if len(digits) == 14 else siren).validate(digits)
    except ValidationError:
        return False
    return True


def sound(texts: pa.Array) -> np.ndarray:
    """Whether each text is plainly a sound SIRET, all checksums computed at once."""
    found = np.array(pc.equal(pc.binary_length(texts), 14), dtype=bool)
    if found.any():
        written = texts.filter(pa.array(found)).cast(pa.binary(14)).buffers()[1]
        places = np.frombuffer(written, np.uint8).reshape(-1, 14).T
        digits = np.ascontiguousarray(places) - 48  # a row for each of the 14 places
        carried = digits > 4  # a digit doubled is 2d, or 2d − 9, which ends as 2d + 1
        added = partial(np.sum, axis=0, dtype=np.uint8)
        siret = 2 * added(digits[0::2]) + added(carried[0::2]) + added(digits[1::2])
        siren = added(digits[0:9:2]) + 2 * added(digits[1:9:2]) + added(carried[1:9:2])
        numbers = (digits < 10).all(axis=0) & digits[10:].any(axis=0)  # « …0000 » is rounded
        found[found] = numbers & (siret % 10 == 0) & (siren % 10 == 0)
    return found


def keys(numbers: pd.Series) -> pd.Series:
    """The sound numbers of a column, by which bodies may be joined; missing for any other."""
    codes, distinct = pd.factorize(numbers)
    sound = pd.Series([*(identify(str(value)).key for value in distinct), None], dtype="str")
    return pd.Series(sound.array.take(codes), index=numbers.index)


def defects(numbers: pd.Series) -> pd.Series:
    """What is wrong with each number of a column (a key of DEFECTS); missing where nothing is, or it is blank."""
    codes, distinct = pd.factorize(numbers)
    texts = [value if isinstance(value, str) else "" for value in distinct]
    read = [
        None if sure else identify(str(value)).defect or None
        for value, sure in zip(distinct, sound(pa.array(texts, pa.large_string())), strict=True)
    ]
    wrong = pd.Series([*read, None], dtype="str")
    return pd.Series(wrong.array.take(codes), index=numbers.index)
