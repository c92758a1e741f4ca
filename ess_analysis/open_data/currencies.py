"""The currency and the unit of amounts, as the texts, the signs and the number formats around them tell."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNIT = re.compile(
    r"\bk ?€|\bm ?€|\bk(?:ilo)?-?euros?\b|\bm(?:é|e)ga-?euros?\b|\bkf\b|\b(?:en|in) (?:milliers|millions|thousands)\b|"
    r"\bmilliers? (?:d['’ ]?\s*)?(?:€|euros?)|\bmillions? (?:d['’ ]?\s*)?(?:€|euros?)|[x×*] ?1[ .]?000\b|"
    r"\bcentimes?\b|\bcentaines? d ?['’]? ?(?:€|euros?)|"
    r"£ ?k\b|\bk ?£|€ ?k\b|\bk ?eur(?:os?)?\b|\bk[eE]\b|\bunit[ée]s? ?:? ?1[ .]?000\b|\(0{3} ?€\)|^0{3} ?€",
    re.IGNORECASE,
)
CURRENCIES = {
    "XPF": r"\b(?:xpf|cfp|francs? pacifiques?|f\.? ?cfp)\b",
    "XOF": r"\b(?:f\.? ?cfa|fcfa|xof)\b",
    "CHF": r"\b(?:chf|francs? suisses?|sfr)\b|\(fr\.?\)|\bfr\. ?(?=\d)|(?<=\d) ?fr\.",
    "FRF": r"\bfrancs?\b(?! (?:pacifique|suisse|cfp))|\(ff?\)",
    "MAD": r"\bdirhams?\b",
    "GBP": r"£|\bgbp\b|\bpounds?\b|\bsterling\b",
    "USD": r"\busd\b|\bus ?\$|\bdollars? (?:us|am[ée]ricains?)\b",
    "CAD": r"\bcad\b|\bca ?\$|\$ ?can?\b|\bdollars? canadiens?\b",
}
# Those that a text names by their code alone, in capitals, in brackets or at its end: « Montant (PLN) ».
_CODES = re.compile(
    r"(?:\(\s*(?:en |in )?|\b(?i:en|in|montant|amount|total)\s+)(AED|AUD|BGN|BRL|CNY|CZK|DKK|DZD|HKD|HTG|HUF|ILS|INR|ISK|"
    r"JPY|KMF|LBP|MAD|MGA|MUR|NOK|NZD|PLN|RON|RSD|RUB|RWF|SEK|TND|TRY|UAH|VND|XAF|XOF|XPF|ZAR)(?:\s*\)|\s*$)"
)
_BRACKETED_SIGN = re.compile(r"\(\s*(?:ar|da|dt|dhs?|kr\.?|z[lł]|kč|ft|lei|¥|₺|₽|₹)\s*\)", re.IGNORECASE)
_DOLLARS = r"\$|\bdollars?\b"  # of which country, only a person can say
_EURO = r"€|\beur(?:os?)?\b"
_SIGN = re.compile(
    r"\[\$([^\]-]+)-?([^\]]*)\]"
)  # of a number format: [$€-40C], a sign and the country that writes it so
_FORMAT = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|[_*].|[0#?.,]+|(.)')
_UNIT_ALONE = re.compile(
    r"(?:en )?(?:k ?€|m ?€|keur|kf|milliers?|millions?|k|centimes?|kiloeuros?)", re.IGNORECASE
)


def unit(texts: Iterable[str]) -> str | None:
    """The first text that says amounts are in thousands, millions or cents."""
    return next((text.strip()[:80] for text in texts if _UNIT.search(text)), None)


def shown(number_format: str) -> str:
    """The words and signs that a number format writes around the digits."""
    said = (
        "".join(part or "" for part in found.groups()) or " " for found in _FORMAT.finditer(number_format)
    )
    return " ".join("".join(said).split())


def shown_currencies(number_formats: Iterable[str]) -> set[str]:
    """The currencies that number formats show, the euro included; a sign of none of them stands for itself."""
    found: set[str] = set()
    for one in number_formats:
        signs = [(sign.strip(), country.upper()) for sign, country in _SIGN.findall(one) if sign.strip()]
        foreign = {
            sign for sign, country in signs
            if "$" in sign and not (sign in ("$", "US$") and re.fullmatch("|409|.*US", country))
        }  # fmt: skip
        words = shown(one)
        codes = {
            code
            for code, sign in {"EUR": _EURO, **CURRENCIES}.items()
            if re.search(sign, words, re.IGNORECASE)
        }
        if re.search(r"\bF\b", words) and not codes:
            codes.add("FRF")
        if any("$" in sign and sign not in foreign for sign, _ in signs):
            codes.add("USD")
        elif "$" in words and not foreign | codes:
            codes.add("$")
        found |= foreign or codes or {sign for sign, _ in signs}
    return found


def scaled(number_format: str) -> bool:
    """Whether a number format shows euros divided by a thousand: the value of the cell is whole."""
    return bool(re.search(r"[0#],+(?![0#,])", number_format))


def shown_unit(number_formats: Iterable[str]) -> str | None:
    """The first number format that says amounts are in thousands, millions or cents, and does not divide them."""
    return next((one for one in number_formats if not scaled(one) and _UNIT.search(shown(one))), None)


def unit_alone(values: Iterable[object]) -> str | None:
    """The first value of a column that is nothing but a unit (« k€ »)."""
    return next((str(value) for value in values if _UNIT_ALONE.fullmatch(str(value).strip())), None)


def named(texts: Iterable[str]) -> set[str]:
    """The currencies other than the euro that texts name, in the header, around the table or in its cells.

    A sign in brackets that may be that of several countries, or no money's, stands for itself.
    """
    found = set()
    for text in texts:
        found |= {code for code, sign in CURRENCIES.items() if re.search(sign, text, re.IGNORECASE)}
        found |= {*_CODES.findall(text), *_BRACKETED_SIGN.findall(text)}
    return found


def said_alone(values: Iterable[object]) -> set[str]:
    """The currencies of a column that holds nothing else: « € », « FCFA »; empty where it holds anything else."""
    signs = {"EUR": r"€|eur(?:os?)?", **CURRENCIES}
    found: set[str] = set()
    for value in values:
        text = str(value).strip()
        codes = {code for code, sign in signs.items() if re.fullmatch(sign, text, re.IGNORECASE)}
        codes |= {*_CODES.findall(f"({text})")}
        if not codes:
            return set()
        found |= codes
    return found


def bare_dollar(texts: Iterable[str]) -> str | None:
    """The first text that says dollars, and not of which country."""
    of_a_country = f"{CURRENCIES['USD']}|{CURRENCIES['CAD']}"
    return next(
        (
            text.strip()[:60]
            for text in texts
            if re.search(_DOLLARS, re.sub(of_a_country, " ", text, flags=re.IGNORECASE))
        ),
        None,
    )
