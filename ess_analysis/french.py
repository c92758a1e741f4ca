"""Amounts, numbers, dates and names as French people write them: writing first, reading below.

Typography: U+202F between thousands, decimal comma, U+00A0 before a currency and %, the true minus sign.
Years, pages and codes are never grouped: write them with `str`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import NamedTuple

THIN = "\u202f"  # between thousands, and before ; : ! ? »
SOLID = "\u00a0"  # before a currency and %
MINUS = "\u2212"
NOTHING = "–"  # a missing value in a table

MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


# --- Writing -----------------------------------------------------------------------------------


def number(value: float | None, decimals: int | None = None) -> str:
    """The number as French people write it: « 1 234,5 »; a missing value is « – ».

    Without `decimals`, whole numbers have none and others at most two.
    """
    if value is None or math.isnan(value):
        return NOTHING
    if decimals is None:
        decimals = 0 if abs(value - round(value)) < 0.005 else 2
    text = f"{abs(value):,.{decimals}f}".replace(",", THIN).replace(".", ",")
    negative = value < 0 and any(digit in "123456789" for digit in text)
    return (MINUS if negative else "") + text


_shown_in = ContextVar("currency", default="EUR")
SIGNS = {"EUR": "€", "GBP": "£", "USD": "$"}  # others are written by their code (ISO 4217)


def show_in(currency: str) -> None:
    """From now on, amounts are those of this currency (an ISO 4217 code); reading data says so."""
    _shown_in.set(currency)


def shown_in() -> str:
    """The code of the currency in force: that of the data read last, euros before any."""
    return _shown_in.get()


def sign(currency: str | None = None) -> str:
    """How the currency is written, that in force if none is given: « € », « £ », « CHF »."""
    currency = currency or shown_in()
    return SIGNS.get(currency, currency)


def money(value: float | None, decimals: int | None = None, currency: str | None = None) -> str:
    """The amount in the currency given, or in force: « 59 827 € », « 500 CHF », cents only when there are some."""
    text = number(value, decimals if decimals is not None else _cents(value))
    return text if text == NOTHING else f"{text}{SOLID}{sign(currency)}"


def currency_noun() -> str:
    """What a sentence counts once: « euro », or « montant » in any other currency; both are masculine."""
    return "euro" if shown_in() == "EUR" else "montant"


def _cents(value: float | None) -> int:
    """Two decimals as soon as the amount has cents, none otherwise."""
    if value is None or math.isnan(value):
        return 0
    return 0 if abs(value - round(value)) < 0.005 else 2


def percent(share: float | None, decimals: int = 0) -> str:
    """The share (0 to 1) in per cent: 0.8505 gives « 85 % », or « 85,05 % » with two decimals."""
    if share is None or math.isnan(share):
        return NOTHING
    return f"{number(share * 100, decimals)}{SOLID}%"


def signed(text: str) -> str:
    """A written number with its sign always shown: « +12 € », « −3 € »."""
    return text if text.startswith((MINUS, NOTHING)) else f"+{text}"


_INVARIABLE_ENDINGS = ("s", "x", "z")


def plural(count: float, singular: str, plural_form: str | None = None) -> str:
    """The noun group agreed with its number, without the number (in French, 0 and 1 are singular)."""
    if abs(count) < 2:
        return singular
    return (
        plural_form
        if plural_form is not None
        else " ".join(_plural_word(word) for word in singular.split(" "))
    )


def _plural_word(word: str) -> str:
    """A regular French plural; -al and -eau nouns are given by the caller when they differ."""
    if word in {"de", "du", "d'", "à", "en", "par", "au", "sur"} or word.endswith(_INVARIABLE_ENDINGS):
        return word
    return word + ("x" if word.endswith(("eau", "eu")) else "s")


def counted(count: float, singular: str, plural_form: str | None = None, *, feminine: bool = False) -> str:
    """The number and its noun: « 3 projets », « aucun projet », « aucune action »."""
    if count == 0:
        return f"{'aucune' if feminine else 'aucun'} {singular}"
    return f"{number(count)}{SOLID}{plural(count, singular, plural_form)}"


def listing(items: Iterable[object], last: str = "et") -> str:
    """The items in a sentence: « a, b et c »; nothing gives an empty text."""
    texts = [str(item) for item in items]
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def elided(word: str, following: str) -> str:
    """« de » or « le » before the next word: « d'Anstaing », « de Lille », « l'axe »."""
    bare = strip_accents(following.lstrip("« " + SOLID + THIN)).lower()
    if bare[:1] in tuple("aeiouy") or (bare[:1] == "h" and bare.split(" ")[0].split("-")[0] in _MUTE_H):
        return word[:-1] + "’" + following
    return f"{word} {following}"


_MUTE_H = {  # words and communes whose h is mute; « Hem » is not among them
    "habitant",
    "habitants",
    "habitat",
    "hotel",
    "histoire",
    "homme",
    "hommes",
    "humain",
    "halluin",
    "hantay",
    "haubourdin",
    "hellemmes",
    "herlies",
    "houplin",
    "houplines",
}


def of(name: str) -> str:
    """« de » with its contractions: « de la Ville », « du Forum », « d'Anstaing », « des Villes »."""
    name = the(name)
    for article, contracted in (("le ", "du "), ("les ", "des ")):
        if name.lower().startswith(article):
            return contracted + name[len(article) :]
    return elided("de", name)


_ARTICLES = {  # first words of institutions' names that take an article in a sentence
    "la": "ville commune métropole communauté région caisse chambre mission fondation préfecture direction banque fédération",
    "le": "département conseil centre syndicat fonds territoire groupement ministère sénat comité",
    "l’": "association agence union état assemblée académie office université établissement",
    "les": "villes communes associations territoires départements régions",
}


def the(name: str) -> str:
    """The name with the article its first word asks for: « la Ville de Lille », « Lille Métropole »."""
    first = name.split(" ")[0]
    for article, words in _ARTICLES.items():
        if first.lower() in words.split() and not first.isupper():
            return f"{article}{name}" if article.endswith("’") else f"{article} {name}"
    return name


def is_plural(name: str) -> bool:
    """Whether the name asks for a plural verb: « Villes de Lille et Loos »."""
    return name.split(" ")[0].lower() in _ARTICLES["les"].split()


def day(date: dt.date) -> str:
    """The date in full: « 1er novembre 2014 »."""
    number_of_day = "1er" if date.day == 1 else str(date.day)
    return f"{number_of_day} {MONTHS[date.month - 1]} {date.year}"


def month(text: str) -> str:
    """A date kept as « 2014-11 » or « 2014-11-03 », in words: « novembre 2014 »; anything else as it is."""
    dated = re.fullmatch(r"((?:19|20)\d\d)-(0[1-9]|1[0-2])(?:-(\d\d))?", text)
    if dated is None:
        return text
    year, number_of_month, number_of_day = dated.groups()
    if number_of_day:
        with suppress(ValueError):
            return day(dt.date(int(year), int(number_of_month), int(number_of_day)))
        return text
    return f"{MONTHS[int(number_of_month) - 1]} {year}"


def sentence_case(text: str) -> str:
    """The text with a capital first letter and the rest untouched."""
    return text[:1].upper() + text[1:]


def typographic(text: str) -> str:
    """The text with French spaces before ; : ! ? » and after «, and curly apostrophes."""
    text = re.sub(r"[ \u00a0]+([;!?»])", THIN + r"\1", text)
    text = re.sub(r"[ \u00a0]+:", SOLID + ":", text)
    text = re.sub(r"«[ \u00a0]+", "«" + THIN, text)
    return re.sub(r"(?<=\w)'(?=\w)", "’", text)


def strip_accents(text: str) -> str:
    """The text without its accents, ligatures opened (« œuvre » → « oeuvre »)."""
    opened = text.replace("œ", "oe").replace("Œ", "OE").replace("æ", "ae").replace("Æ", "AE")
    return "".join(c for c in unicodedata.normalize("NFD", opened) if not unicodedata.combining(c))


def slug(text: str) -> str:
    """A file name for the text: lower case letters, digits and hyphens, nothing else, never empty."""
    bare = re.sub(r"[^a-z0-9]+", "-", strip_accents(text).lower()).strip("-")
    return bare[:80].rstrip("-") or "sans-nom"


def nfc(text: str) -> str:
    """The text with composed accents: « é » is one character, so that equal words are equal keys."""
    return unicodedata.normalize("NFC", text)


# --- Reading -------------------------------------------------------------------------------------

_SPACES = " \u00a0\u202f\u2009\t"
_WHOLE = (
    rf"(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+|\d{{1,3}}(?:\.\d{{3}})+(?=,)|\d{{1,3}}(?:,\d{{3}})+(?=\.)|\d+)"
)
_AMOUNT = re.compile(
    rf"(?<![\d.,])(?P<whole>{_WHOLE})(?:[.,](?P<decimals>\d+))?\s*"
    r"(?P<unit>[kK] ?€|[kK](?:EUR|euros?)\b|M ?€|M(?:EUR|euros?)\b"
    r"|millions? d['’](?:€|euros?\b)|milliers? d['’](?:€|euros?\b)"
    rf"|€uros?\b|€|(?:euros?|Euros?|EUROS?|EUR|eur)\b)"
    rf"(?:\s*(?:\(\s*(?P<year1>(?:19|20)\d\d)\s*\)|(?:en|pour)\s+(?P<year2>(?:19|20)\d\d)\b))?"
)
_UNITS = {"k": 1000, "K": 1000, "M": 1_000_000, "milli": 1000, "millio": 1_000_000}


def _unit(written: str) -> int:
    """What one is worth in euros: 1000 for « k€ », 1 for « € »."""
    for start in ("millio", "milli", "k", "K", "M"):
        if written.startswith(start):
            return _UNITS[start]
    return 1


_LONGEST = 4000  # characters; no cell of amounts is longer
_SIGN = re.compile(r"(?:^|[^\w.,])[-\u2212]$")  # stuck to the number
_UNFINISHED = re.compile(
    rf"\d[-\u2212\u2013+*/.,{_SPACES}]*$|[-\u2212\u2013+*/][{_SPACES}]+$|[$£¥][{_SPACES}]*$"
)
_YEAR_BEFORE = re.compile(r"(?<!\d)(?:19|20)\d\d\s*[,:]?\s+$")
_ALONE = re.compile(rf"[-\u2212]?\d[\d.,{_SPACES}]*")
_IN_BRACKETS = re.compile(rf"\(\s*(\d[\d.,{_SPACES}]*\s*€?)\s*\)")
_ASIDE = re.compile(r"\([^()]*\)|\b(?:19|20)\d\d\b")  # what may stand beside an amount: brackets, years
_BESIDE = set(  # words that may stand beside an amount without changing what it is
    "a l d la le les de du des en pour par an ans annee annees et soit montant total subvention subventions aide "
    "ttc net euro euros verse versee verses versees accorde accordee accordes accordees attribue attribuee attribues "
    "attribuees vote votee votes votees somme saison saisons numeraire exercice".split()
)
# « 10 000 € (refusé) »
_NOT_GIVEN = re.compile(
    r"\([^()]*\b(?:refus|annul|rejet|ajourn|retir|en attente|rembours|prets?\b|avances?\b|en nature)"
)
_EACH_YEAR = re.compile(r"(?:/ ?|\bpar )(?:ans?|annees?)\b")
# « 12'500.00 », « 12'500.- », « 12500.– »
_SWISS = re.compile(r"([-\u2212]?\d{1,3}(?:['’]\d{3})+(?:\.\d\d)?|\d+(?=\.[-–—]))(?:\.[-–—]{1,2})?")
_MARKED = re.compile(rf"[A-JLN-Z][{_SPACES}]+(\d[\d.{_SPACES}]*,\d\d)")  # a letter apart: « N   82 584,28 »


class Amount(NamedTuple):
    """One amount as written: euros, the year beside it if there is one, the words it was read from."""

    euros: float
    year: int | None
    text: str


def amounts(text: str, decimal: str = "") -> list[Amount]:
    """The amounts written in a text, in order: « 17 k€ en 2012 17 k€ en 2013 » gives two.

    A text without an amount in euros (« Moyens humains ») gives none, and so does one that can be read in
    two ways (« 5.000 € », « 12 34 € », « 10-15 € », « - 5 € »); it is for the caller to say so.
    `decimal` (« , » or « . »), where it is known, says how « 5.000 » is read.
    """
    found: list[Amount] = []
    if len(text) > _LONGEST:
        return found
    if decimal:
        text = re.sub(rf"(?<=\d)[{'.' if decimal == ',' else ','}](?=\d{{3}}(?!\d))", "", text)
    end = 0
    for match in _AMOUNT.finditer(text):
        before, whole, decimals = text[end : match.start()], match["whole"], match["decimals"] or ""
        dated = _YEAR_BEFORE.search(before) and not re.match(r"\d{3}(?!\d)", whole)
        if _UNFINISHED.search(before) and not dated:
            return []
        thousands = len(decimals) == 3 and re.fullmatch(r"[1-9]\d{0,2}", whole)
        if thousands and not decimal and _unit(match["unit"]) == 1:
            return []
        year = match["year1"] or match["year2"]
        value = Decimal(re.sub(rf"[.,{_SPACES}]", "", whole) + "." + (decimals or "0"))
        euros_read = float(value * _unit(match["unit"]) * (-1 if _SIGN.search(before) else 1))
        found.append(Amount(euros_read, int(year) if year else None, match[0].strip()))
        end = match.end()
    return found


def is_swiss(text: str) -> bool:
    """Whether an amount is written as the Swiss write theirs: « 12'500.00 », « 12500.- »."""
    return bool(_SWISS.fullmatch(text.strip()))


def cell_amounts(text: str, decimal: str = "") -> list[Amount]:
    """The amounts of a cell in a column of amounts, where a number alone needs no unit.

    « 12'500.– » is Swiss; « (1 234,50) » is an accountant's −1 234,50. Several amounts are read only if each has
    a year of its own: « 12 000 € dont 3 000 € » says one amount or two, and gives none.
    """
    if swiss := _SWISS.fullmatch(text):
        text = re.sub("['’]", "", swiss[1])
    if _ALONE.fullmatch(text):
        return [amount._replace(text=text) for amount in amounts(f"{text} €", decimal)]
    if bracketed := _IN_BRACKETS.fullmatch(text):
        return cell_amounts(f"-{bracketed[1].removesuffix('€').strip()}", decimal)
    if marked := _MARKED.fullmatch(text):
        return [amount._replace(text=text) for amount in cell_amounts(marked[1], decimal)]
    found = amounts(text, decimal)
    if not found:
        return found
    rest = text
    for amount in found:
        rest = rest.replace(amount.text, " ", 1)
    if _NOT_GIVEN.search(strip_accents(rest).lower()):
        return []
    aside = strip_accents(_ASIDE.sub(" ", rest)).lower()
    bare = re.findall(r"[^\W_]+", aside)
    # « 12 € 50 », « 2 x 500 € », « dont 300 € », « plafonné à 500 € », « 500 €/an »
    if set(bare) - _BESIDE or _EACH_YEAR.search(aside):
        return []
    years = {amount.year for amount in found}
    return found if len(found) < 2 or (None not in years and len(years) == len(found)) else []


_DAY_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d")
_ISO_DAY = re.compile(r"(?:19|20)\d\d-\d\d-\d\d")
_WORDED_DAY = re.compile(rf"(?:(?:1er|\d{{1,2}})\s+)?(?:{'|'.join(MONTHS)})\s+(\d{{4}})", re.IGNORECASE)


def year_of(text: str) -> int | None:
    """The year of a date or a year kept as text (« 31/12/2013 », « 2013 », « mars 2013 »).

    None for a text that is not one, or that no calendar has (« 31/02/2013 »).
    """
    bare = re.split(r"(?<=\d)[T ](?=\d\d:)", text.strip(), maxsplit=1)[0]
    if re.fullmatch(r"(19|20)\d\d(\.0)?", bare):
        return int(bare[:4])
    if _ISO_DAY.fullmatch(bare):
        with suppress(ValueError):
            return dt.date.fromisoformat(bare).year
        return None
    if worded := _WORDED_DAY.fullmatch(bare):
        return int(worded[1])
    for form in _DAY_FORMS:
        with suppress(ValueError):
            year = dt.datetime.strptime(bare, form).year
            return year if 1900 <= year < 2100 else None
    return None


class Quantity(NamedTuple):
    """One quantity as stated: lowest and highest value, what is counted, the words it was read from."""

    low: float
    high: float
    unit: str
    text: str


_LINKS = r"(?:et|ou|à|au|aux|de|du|des|en|pour|par|sur|dans|avec|dont|ans?|mois|euros?|k|m|h)\b"
_COUNT = rf"(?<![\d.,'’])(?:{_WHOLE}(?:,\d+)?)"
_QUANTITY = re.compile(
    rf"(?P<low>{_COUNT})(?:\s+(?:à|ou)\s+(?P<high>{_COUNT}))?\s+(?!{_LINKS})(?P<unit>[^\W\d_][\w'’-]*)"
    r"|\b(?:Un|Une)\s+(?P<one>[A-Z]{2,})"
    r"|(?P<often>[^\W\d_]+)\s+(?:tous les|toutes les)\s+(?:(?P<every>\w+)\s+)?(?P<span>mois|semaines|ans)\b"
    r"|(?P<regular>[^\W\d_]+)\s+(?P<rhythm>mensuel|trimestriel|semestriel|annuel)(?:le)?s?\b"
)
_WORDED = {"deux": 2, "trois": 3, "quatre": 4, "six": 6}
_SPANS = {"mois": 12, "semaines": 52, "ans": 1}
_RHYTHMS = {"mensuel": 12, "trimestriel": 4, "semestriel": 2, "annuel": 1}


def quantities(text: str) -> list[Quantity]:
    """The quantities a text states: « 20 élus », « 6 à 10 communes », « Un DLA », a rhythm per year.

    « Réunions tous les deux mois » is 6 a year. Amounts of money are not among them, nor are years.
    """
    found = []
    for match in _QUANTITY.finditer(text):
        if match["low"]:
            low, high = (_count(match[name]) for name in ("low", "high" if match["high"] else "low"))
            if match["high"] is None and re.fullmatch(r"(?:19|20)\d\d", match["low"]):
                continue
            found.append(Quantity(low, high, match["unit"], match[0]))
        elif match["one"]:
            found.append(Quantity(1, 1, match["one"], match[0]))
        elif match["often"]:
            every = match["every"] or "1"
            if every.isdigit() or every in _WORDED:
                a_year = _SPANS[match["span"]] / (int(every) if every.isdigit() else _WORDED[every])
                found.append(Quantity(a_year, a_year, f"{match['often'].lower()} par an", match[0]))
        else:
            a_year = _RHYTHMS[match["rhythm"]]
            found.append(Quantity(a_year, a_year, f"{match['regular'].lower()} par an", match[0]))
    return found


def _count(text: str) -> float:
    return float(re.sub(rf"[{_SPACES}]", "", text).replace(",", "."))
