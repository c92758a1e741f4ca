"""What in a table makes its sum doubtful: each doubt is a question that only a person can answer.

A table is not what its header says when something else in the file contradicts it: a unit in a title, a line
that was refused, a loan among grants, a count under a column of euros, the same money at two depths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from ess_analysis import french
from ess_analysis.load.amounts import distinct_amounts
from ess_analysis.load.words import KIND_WORDS, closed_word, kind_of

# --- Lines that are not grants ---------------------------------------------------------------------

_OWN_MONEY = r"(?:autofinancement|(?:fonds|ressources) propres|emprunts?|benevolat)\b"
_NOT_GRANTED = re.compile(
    r"(?:avis )?(?:refus|rejet|defavorable|ajourn|annul|"
    rf"{_OWN_MONEY}|marches? publics?|cotisations?\b|remboursements?\b|"
    r"irrecevable|desist|caduc|sans suite|retire|abandonn|inelig|non (?:retenu|laureat|selectionn|attribu|"
    r"accord|elig|favorable|verse)|en attente|en cours d instruction|recettes?\b|a l etude|declined|rejected|withdrawn|refused|"
    r"cancelled)"
)
FIRST = 2000  # cells of a column from which its nature is told
FEW = 12  # distinct values that a column of categories may have, however short the table


_DECIDES = r"\b(statut|etat|decision|avis|suite|resultat|accord\w*|octroy\w*|retenu\w*|attribu\w*|vote|status|outcome)\b"
_NO = {"non", "n", "no", "defavorable", "d", "refus", "ko", "0"}
_YES = {"oui", "o", "yes", "y", "favorable", "f", "accord", "ok", "1"}


def not_granted(header: str, values: pd.Series) -> list[str]:
    """The values of a column of categories that say a line is no grant: refused, cancelled, a receipt."""
    categories = _categories(values)
    decides = re.search(_DECIDES, header)
    found = [
        value for value in categories
        if _NOT_GRANTED.match(bare(value)) or (decides and _NOT_GRANTED.search(bare(value)))
    ]  # fmt: skip
    if found:
        return found
    said = {bare(value): value for value in categories}
    for receipt, paid in (("r", "d"), ("titre", "mandat"), ("titres", "mandats"), ("recette", "depense")):
        if said and said.keys() <= {receipt, paid} and receipt in said:
            return [said[receipt]]
    return [said[text] for text in said if text in _NO] if decides and said.keys() <= _NO | _YES else []


# Words that, in a title or over a section, say that the amounts are not grants decided; and in the words of a line.
_OTHERWISE = re.compile(
    r"\b(garanties? d emprunts?|emprunts? garantis?|cautionnements?|prets?(?! de (?:salle|materiel))|"
    r"garanties? emprunts?|avances? (?:remboursable|recuperable)s?|recettes|loans?|rejected|declined|"
    r"(?:aides?|avantages?|subventions?) en nature|mises? a disposition|"
    r"(?:refus|rejet|annul|ajourn)\w*|non (?:retenu|attribu|accord|eligible|favorable|vot)\w*|defavorables?|irrecevables?|"
    r"en attente|en instance|en cours d instruction|a l etude|liste complementaire|deposee?s?|simulations?|hypotheses?|"
    r"ne pas compter|cumule?s?|demandes?(?: (?:19|20)\d\d)?$|(?:subventions?|aides?|montants?|financements?) (?:sollicit|demand)\w*|"
    r"(?:subventions?|aides?) percues?|(?:demandes?(?: de subventions?)?|subventions?|aides?|dossiers?) recues?|pour memoire)\b"
)
_OTHER_LINE = re.compile(
    r"\b(prets? d honneur|pret a taux|avances? (?:remboursable|recuperable)s?|garanties? d emprunts?|"
    r"(?:subvention|aide|dossier|demande|attribution|projet)s? (?:annul|refus|rejet|ajourn|retir|abandonn|caduc)\w*|"
    r"annule[es]* par|sans suite|subvention non versee|deja compte\w*|ne pas compter|double compte|doublon|"
    r"avenant n|avenant a la|deliberation modificative)\b"
)
_HINT = re.compile(
    r"pr[êe]t|avance|garant|annul|refus|rejet|ajourn|retir|abandon|caduc|sans suite|non vers|compt|doubl|avenant|modificative",
    re.IGNORECASE,
)
_EXCEPT = r"\b(?:hors|sauf|hormis|excluding)\b.*"


_DECIDED = r"accord|attribu|vote|octroy|verse|accept|retenu|decid|approuv"


def named_otherwise(text: str, decided: bool) -> bool:
    """Whether a title or the heading of a section speaks of loans, guarantees, refusals, receipts; of requests, if not `decided`."""
    said = re.sub(_EXCEPT, "", bare(text))
    return bool(
        _OTHERWISE.search(said)
        or (
            not decided
            and re.search(rf"\bdemandes? de subventions?\b(?!.*\b(?:{_DECIDED}))|\bpropositions?\b", said)
        )
    )


def explains_signs(text: str) -> bool:
    """Whether a legend says that a colour, or a way of writing, is that of lines refused or cancelled."""
    said = bare(text)
    look = r"\b(legendes?|rouges?|verts?|jaunes?|oranges?|gris\w*|surlign\w*|italiques?|gras|barre\w*|couleurs?)\b"
    return bool(re.search(look, said) and _OTHERWISE.search(said))


def speaks_of_other(text: str) -> bool:
    """Whether the words of a line speak of a loan, a guarantee, a refusal."""
    return bool(_HINT.search(text) and _OTHER_LINE.search(re.sub(_EXCEPT, "", bare(text))))


def stages_told(values: pd.Series) -> str | None:
    """The words of a column that tells lines by their stage, budget or account: « BP », « CA 2013 », « payé »."""
    said = _categories(values)
    stage = (
        r"(?:demandee?s?|sollicitee?s?|accords?|accordee?s?|attribuee?s?|octroyee?s?|ae|cp|"
        r"engagee?s?|engagements?|mandats?|mandatements?|liquidations?|demandes?|attributions?|notifications?|paiements?|versements?|"
        r"autorisations? d engagement|credits? de paiement|bp|bs|ca|dm ?\d?|"
        r"budget primitif|compte administratif|voter?|votee?s?|payee?s?|versee?s?|realisee?s?|prevue?s?|"
        r"proposee?s?|mandatee?s?|liquidee?s?)(?: (?:19|20)\d\d)?"
    )
    stages = {
        re.sub(r"^(?:montants?|subventions?|aides?) | (?:19|20)\d\d$", "", bare(text)) for text in said
    }  # « CA 2019 », « CA 2020 » are years
    return (
        " », « ".join(said) if len(stages) > 1 and all(re.fullmatch(stage, one) for one in stages) else None
    )


def told_each_time(whose: pd.Series, euros: pd.Series, values: pd.Series) -> bool:
    """Whether nearly every line tells an amount again, the same for each value of a column of few values."""
    if not 1 < values.nunique() <= FEW or values.isna().any():
        return False
    same = pd.DataFrame({"euros": euros, "value": values.astype("str")}).groupby(whose)
    each = same.agg(sums=("euros", "nunique"), values=("value", "nunique"), lines=("value", "size"))
    again = each[(each["lines"] > 1) & (each["sums"] == 1) & (each["values"] == each["lines"])]
    return len(again) > 1 and bool(again["lines"].sum() >= 0.9 * len(euros)) and euros.nunique() > 1


_ITEM = re.compile(r"\s*(?:[-–—•·*→>]+\s*\w|[a-zA-Z]\s?[.)]\s|\d+(?:\.\d+)+\b)")


def detailed(labels: pd.Series, cents: pd.Series) -> int | None:
    """The first row whose amount is that of the items listed under it: dashes, bullets, « 1.1 »."""
    items = labels.map(lambda text: bool(_ITEM.match(text))).to_numpy(dtype=bool)
    values, at = cents.to_numpy(), 0
    while at < len(items):
        end = at + 1
        while end < len(items) and items[end]:
            end += 1
        if not items[at] and end > at + 1 and values[at] == values[at + 1 : end].sum():
            return int(cents.index[at])
        at = end
    return None


_NO_GRANT_KIND = re.compile(
    r"(?:ptz|ar|ph|avances?|prets?|garanties?|cautions?|exonerations?|prises? de participation|participations? au capital|"
    r"bonifications?|mises? a disposition|apports?|valorisations?|prestations? en nature|equity|quasi equity)\b"
)


def other_kind(values: pd.Series, means_kind: bool = False) -> str | None:
    """The first value of a column of categories that says a loan, a guarantee, aid in kind; another form, if it `means_kind`.

    Codes alone mean it too: « SUB », « AR », « PH ».
    """
    means_kind = means_kind or all(re.fullmatch(r"[A-Z]{2,4}", value) for value in _categories(values))
    return next(
        (
            value
            for value in _categories(values)
            if kind_of(value) not in (None, "cash") or (means_kind and _NO_GRANT_KIND.match(bare(value)))
        ),
        None,
    )


_ACCOUNTS = r"\b(?:comptes?|articles?|imputations?|nature comptable|account)\b"
_NO_GRANT_ACCOUNT = r"(?:6[0-4]|66|68|7\d|16|2[13])\d{1,5}"  # of the M14, M52 and M57 charts: purchases, wages, works, receipts
_SPENDING = (
    r"\b(?:nature|type|categorie|libelle)\b.*\b(?:depenses?|charges?|achats?)\b|"
    r"\b(?:expense|expenditure|spend)s?\b.*\b(?:type|category|description)\b|^(?:expense|expenditure)s?$"
)
_GRANTED_WORDS = r"\b(?:subventions?|subv|aides?|participations?|concours|dotations?|secours|bourses?|grants?|funding|donations?)\b"


def other_spending(header: str, values: pd.Series) -> str | None:
    """The first value of a column of accounts, or of kinds of spending, that is no grant: « 60612 », « Électricité »."""
    if re.search(_ACCOUNTS, header):
        codes = values.astype("str").str.strip().str.removesuffix(".0")
        found = codes[codes.str.fullmatch(_NO_GRANT_ACCOUNT).fillna(False).astype("bool")]
        if len(found):
            return str(found.iloc[0])
    if re.search(_SPENDING, header):
        said = [one for one in _categories(values) if re.search(r"[^\W\d_]", one)]
        return next((one for one in said if not re.search(_GRANTED_WORDS, bare(one))), None)
    return None


def versions(header: str, values: pd.Series) -> str | None:
    """The values of a column that numbers the versions of a grant, or its amendments: do they add up?"""
    said = [str(value).strip().removesuffix(".0") for value in pd.unique(values)]
    amended = re.search(r"\b(?:avenants?|amendments?)\b(?!.*\bdate\b)", header)
    if amended and any(re.search(r"[1-9]|\bavenant\b", bare(one)) for one in said):
        return said[0]
    acts = _categories(values)
    if len(acts) > 1 and any(re.match(r"(?:avenant|deliberation modificative)\b", bare(one)) for one in acts):
        return " », « ".join(acts[:3])
    several = re.search(r"\b(?:versions?|revision)\b", header) and len(said) > 1
    return " », « ".join(said[:3]) if several else None


def lent(values: pd.Series) -> str | None:
    """The first value of a column that is a word of loans or guarantees and nothing more: « Prêt d'honneur »."""
    said = _categories(values)
    return next((value for value in said if closed_word(value, KIND_WORDS) in ("loan", "guarantee")), None)


def unknown_kind(values: pd.Series) -> str | None:
    """The first value of a column of kinds that is a form of aid, and none of the four: « Prise de participation »."""
    said = _categories(values)
    return next(
        (value for value in said if kind_of(value) is None and _NO_GRANT_KIND.match(bare(value))), None
    )


_UNDONE = re.compile(
    r"[(\[–—-]\s*(?:pr[êe]t(?![-\s]?[àa])|avance|annul|refus|rejet|retir|ajourn|en attente|en nature|garantie)[^()\[\]]{0,30}[)\]]?\s*$",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"(?:enveloppes?|budgets? (?:de|du|des|d|global|total|axe)|credits? (?:votes?|ouverts?|alloues?|disponibles?|inscrits?)|"
    r"ensemble des (?:associations|clubs|subventions|aides|actions|projets|structures)|montant total|sous total|s t|"
    r"(?:axe|volet|chapitre|thematique) (?:n )?\d{1,2}|"
    r"total (?:de|du|des|d|axe|chapitre|article|theme|thematique|secteur|domaine|commune|volet|mesure|service|\d+))\b"
)


def undone(values: pd.Series) -> str | None:
    """The first name that ends by saying that its line is no grant: « Basilic (prêt) », « Cumin - annulé »."""
    return next(
        (value for value in pd.unique(values) if isinstance(value, str) and _UNDONE.search(value)), None
    )


def may_head(name: str) -> bool:
    """Whether a name may be that of an envelope or of a total, from its first letters."""
    return bool(
        re.match(
            r"\W*(?:axe|vol|chap|th[èe]m|env|bud|cr[ée]|ens|mon|sou|s ?/|s t|tot)",
            name,
            re.IGNORECASE,
        )
    )


def heading(name: str, beside: Iterable[object]) -> bool:
    """Whether a name is that of an envelope or of a total: « Enveloppe sport », « Total émergence » where the axis is Émergence."""
    said = bare(name)
    if _HEADING.match(said):
        return True
    of = re.match(r"(?:sous )?total (.+)", said)
    return bool(of and any(isinstance(one, str) and bare(one) == of[1] for one in beside))


_NOBODYS = re.compile(
    rf"{_OWN_MONEY}(?: valorise\w*| bancaires?)?$|contributions? volontaires?|"
    r"(?:reserves?|provisions?|subventions?|credits?|dotations?|aides?|enveloppes?|associations?|divers\w*)\b.*"
    r"\b(?:non (?:affecte|reparti|attribue|ventile|alloue)\w*|a (?:affecter|repartir|attribuer|ventiler))|"
    r"a (?:affecter|repartir|attribuer|ventiler)\b|non (?:affecte|reparti|attribue)\w*$"
)


_AGAIN = re.compile(r"\W*(?:idem|ibid(?:em)?|id)\W*", re.IGNORECASE)


def nobodys_grant(values: pd.Series) -> str | None:
    """The first name that is no giver's and no recipient's: own money, volunteers, a reserve that is not given out.

    « idem » is one where it comes often: an association of 10 000 may be called so.
    """
    again = [value for value in pd.unique(values) if isinstance(value, str) and _AGAIN.fullmatch(value)]
    ditto = again if values.isin(again).sum() > 0.02 * len(values) else []
    return next(
        (
            value
            for value in pd.unique(values)
            if isinstance(value, str)
            and (_NOBODYS.match(bare(value)) or re.fullmatch(r"[\s\"'″”“«»,;:]+", value) or value in ditto)
        ),
        None,
    )


_CODES = set("a r aj acc ref ajo rej att v n o f d e p 0 1 2 3".split())


def coded(header: str, values: pd.Series, lines: int) -> list[str]:
    """The codes of a column of decisions that no word explains: A, R, AJ; a cross on some of its `lines` only."""
    if not re.search(rf"{_DECIDES}|\b(?:laureats?|selection\w*)\b", header):
        return []
    said = [str(value).strip().removesuffix(".0") for value in pd.unique(values)]
    crossed = len(values) < lines and {bare(one) for one in said} <= {"x", "oui", "1", "o"}
    return said if said and (crossed or (len(said) > 1 and {bare(one) for one in said} <= _CODES)) else []


def own_money(header: str) -> bool:
    """Whether the bare words of a header are those of money that is no grant: self-financing, what users pay."""
    return bool(
        re.search(
            rf"{_OWN_MONEY}|\b(?:recettes? propres?|participations? des (?:usagers|familles|adherents))\b",
            header,
        )
    )


def all_kinds(values: pd.Series) -> bool:
    """Whether every value of a column is a word of kinds, and one of them is not cash."""
    read = {kind_of(value) for value in _categories(values)}
    return bool(read - {"cash"}) and None not in read


def sorts_lines(values: pd.Series) -> bool:
    """Whether a column holds few texts, as one that sorts lines does: a state, a type, a stage."""
    return any(re.search(r"[^\W\d_]", text) for text in _categories(values))


def _categories(values: pd.Series) -> list[str]:
    """The distinct texts of a column that sorts lines; none for a column of names or free texts."""
    distinct = [value for value in pd.unique(values) if isinstance(value, str) and value.strip()]
    if len(distinct) > max(FEW, len(values) // 20) or any(len(value) > 60 for value in distinct):
        return []
    return distinct


def bare(text: str) -> str:
    """The words of a text without case, accents or signs."""
    return " ".join(re.findall(r"[a-z0-9]+", french.strip_accents(text).lower()))


# --- Numbers under headers that say nothing of money ------------------------------------------------

_NAMES_AMOUNT = re.compile(
    r"\b(?:19|20)\d\d\b|\b(?:total|fonctionnement|investissement|equipement|exceptionnel\w*|vote\w*|attribue\w*|accorde\w*|"
    r"verse\w*|mandate\w*|realise\w*|propose\w*|proposition\w*|prevu\w*|bp|complement\w*)\b"
)
_OTHER_NUMBERS = re.compile(  # headers whose numbers are something else, whatever they look like
    r"\b(code|num|numero|no|n|dep\w*|heures?|insee|cp|postal|siren|siret|rna|nombre|nb|taux|pourcentage|pct|age|mois|jour|an|annee\w*|"
    r"exercice|chapitre|article|fonction|compte|imputation|ligne|nature|section|classe|rang|ordre|id|identifiant|ref|reference\w*|"
    r"dossier|beneficiaries|fonds propres|mandat|bordereau|engagement|delib\w*|duree|canton|"
    r"version|lot|tranche|note|effectif\w*|adherents?|licencies?|membres?|"
    r"habitants?|population|pop|quantite|number|count|surface|superficie|altitude|distance|km|lat\w*|lon\w*|x|y|geo\w*|coord\w*|"
    r"urn|uid|adresse|address|zip|tel\w*|phone|fax|hors|budget\w*|cout\w*|depenses?|recettes?|tresorerie|ressources?|charges?|produits?)\b|%"
)


def names_amount(header: str) -> bool:
    """Whether the bare words of a header name what amounts differ by: a stage, a year, a section, a total."""
    return bool(_NAMES_AMOUNT.search(header))


def numbers_in(row: Iterable[object]) -> bool:
    """Whether a row holds a number of money's size beside a word."""
    cells = [value for value in row if value is not None and value == value and str(value).strip()]
    numbers = [
        one for one in cells if re.fullmatch(r"\d[\d \u00a0\u202f]{2,}(?:[.,]\d+)?(?: ?€)?", str(one).strip())
    ]
    return bool(numbers) and len(numbers) < len(cells)


def are_numbers(values: pd.Series) -> bool:
    """Whether a column holds numbers of money's size, and not a count of lines; its first rows tell."""
    values = values.iloc[:FIRST]
    euros = distinct_amounts(values.tolist(), ".").euros[:-1]
    known = euros[np.isfinite(euros) & (euros != 0)]
    steps = set(np.diff(known).tolist())
    return (
        len(known) > 0
        and np.isfinite(euros).sum() >= 0.8 * len(values)
        and bool(np.median(known) >= 20)
        and steps != {1.0}
    )


def other_numbers(header: str) -> bool:
    """Whether the bare words of a header name numbers that are no money: codes, counts, places, years."""
    return bool(_OTHER_NUMBERS.search(header))


_COUNTED = (
    r"\b(?:adherents?|licencies?|membres?|habitants?|effectifs?|nombre|nb|budgets?|couts?|depenses?|etp)\b"
)


def counts(text: str) -> bool:
    """Whether a text speaks of members, of inhabitants, of budgets: numbers beside it may not be grants."""
    return bool(re.search(_COUNTED, bare(text)))


def derived(header: str) -> bool:
    """Whether the bare words of a header name what is computed from other columns: it says nothing of its line."""
    return bool(
        re.search(r"\b(?:evolution|variation|taux|part|pct|ecart|difference|total|totaux)\b|%", header)
    )


def look_like_amounts(header: str, values: pd.Series, lines: int) -> bool:
    """Whether a column of another name holds round sums, or cents, as amounts do; `lines` are those of the table.

    One sum on every line is a parameter (a ceiling, a fee); on some lines only, it is what they were given.
    """
    if other_numbers(header) or not are_numbers(values):
        return False
    if values.map(lambda value: isinstance(value, str) and "€" in value).any():
        return True
    known = _known(values)
    alike = len(set(known.tolist())) == 1 and len(values) == lines
    return len(known) > 1 and not alike and _of_money(known)


def are_sums(values: pd.Series, unit: float = 1.0) -> bool:
    """Whether a column holds sums, as amounts do: great ones, round ones, or cents; in thousands, any numbers."""
    if unit != 1:
        return may_be_sums(values)
    if not are_numbers(values):
        return False
    known = _known(values)
    great = np.median(known) >= 1000 and not (_years(known) or _postal(known))
    return bool(great) or _of_money(known)


def _known(values: pd.Series) -> np.ndarray:
    euros = distinct_amounts(values.iloc[:FIRST].tolist(), ".").euros[:-1]
    return euros[np.isfinite(euros) & (euros != 0)]


def _of_money(known: np.ndarray) -> bool:
    """Whether numbers are of the size of grants, round or with cents; not years, nor postal codes."""
    if _years(known) or np.median(known) < 100 or _postal(known):
        return False
    cents = np.abs(known * 100 - np.round(known * 100)) < 0.001
    return bool((known % 50 == 0).mean() > 0.5 or ((known % 1 != 0).mean() > 0.3 and cents.all()))


def _years(known: np.ndarray) -> bool:
    return bool(((known > 1900) & (known < 2100)).all())


def _postal(numbers: np.ndarray) -> bool:
    """Whether numbers are postal codes: five figures, most of one department; one number alone, not round."""
    if not ((numbers >= 10_000) & (numbers < 100_000) & (numbers % 1 == 0)).all():
        return False
    if len(set(numbers.tolist())) == 1 and numbers[0] % 500 == 0:
        return False
    return bool(np.bincount((numbers // 1000).astype(int)).max() > len(numbers) / 2)


def may_be_sums(values: pd.Series) -> bool:
    """Whether a column holds a number, whatever its size, that is no year and no code: beside sums, it is one too."""
    known = _known(values)
    return len(known) > 0 and not (_years(known) or _postal(known))


def codes_or_sums(values: pd.Series) -> bool:
    """Whether the numbers under a giver's name may be postal codes as well as sums: round ones, of one department."""
    known = _known(values)
    return len(set(known.tolist())) > 1 and _postal(known) and bool((known % 50 == 0).mean() > 0.5)


_DAYS = (
    r"\b\d{1,2}(?:er)?[/.\- ](?:\d{1,2}|[^\W\d_]{3,9})[/.\- ](?:\d{4})\b|\b\d{4}-\d{2}-\d{2}\b|"
    r"\b(?:loi|decret|décret|arrete|arrêté|ordonnance|circulaire|deliberation|délibération)\b[^,;]*?\b\d{4}(?:-\d+)?|"
    r"\bn ?[°o] ?\d{4}[-/ ]\d+|(?:janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre) \d{4}|"
    r"\b\d{4} ?(?:habitants?|hab\b|euros?|€|m²|associations?|adhérents?)"
)


def years_of(text: str) -> set[int]:
    """The years that a title or a name bears, those of dates, laws and counts apart."""
    rest = re.sub(_DAYS, " ", text, flags=re.IGNORECASE)
    return {int(year) for year in re.findall(r"(?<!\d)(?:19[89]\d|20[0-4]\d)(?!\d)", rest)}


NOT_AMOUNTS = {"na", "n a", "nc", "nd", "nan", "null", "none", "neant", "non", "so", "sans objet",
               "refus", "refuse", "ajourne", "rien", "aucun"}  # fmt: skip


def says_no_amount(value: object) -> bool:
    """Whether a cell of an amount column says in words that there is none: « néant », « NA », « ajourné »."""
    return isinstance(value, str) and bare(value) in NOT_AMOUNTS and not value.lstrip().startswith("#")


# --- Lines that add up others ----------------------------------------------------------------------

_SUMMARY = re.compile(
    r"\b(?:nombre|moyenne|mediane|solde|reliquat|credits?|disponible|reste|report|reporter|rappel|recapitulatif|recap|"
    r"enveloppe|budget|maximum|minimum|pour memoire|ecart)\b"
)


def begins_summary(label: str) -> bool:
    """Whether a label begins as those of a count, a mean, a balance do: « Reste à attribuer »."""
    return bool(re.match(rf"(?:soit |dont )?(?:{_SUMMARY.pattern}|par habitant\b)", bare(label)))


_MANY = re.compile(
    r"\W*(?:\d+ |les |autres )*(?:assoc|club|subv|[ée]cole|struct|organ|commune)", re.IGNORECASE
)


def of_many(label: str) -> bool:
    """Whether the words of a line name several bodies and none of them: « Clubs sportifs »."""
    if not _MANY.match(label):
        return False
    return bool(
        re.match(
            r"(?:\d+ )?(?:les |autres )?(?:associations|clubs|subventions|ecoles|structures|organismes|communes)\b",
            bare(label),
        )
    )


def in_capitals(label: str) -> bool:
    """Whether the words of a line are in capitals alone, as headings are."""
    return label.isupper() and sum(sign.isalpha() for sign in label) > 3


def sums_beside(cents: pd.Series, apart: set[int]) -> int | None:
    """The first heading that adds up the rows that follow it, or precede it, up to the next heading.

    None where few of the headings do: among many, some round sums agree by chance.
    """
    rows, values = list(cents.index), cents.to_numpy()
    places = [place for place, row in enumerate(rows) if row in apart]
    found = []
    for place in places:
        for step in (1, -1):
            total, at, length = 0, place + step, 0
            while 0 <= at < len(rows) and rows[at] not in apart and total < values[place]:
                total, at, length = total + int(values[at]), at + step, length + 1
            if total == values[place] and length > 1:
                found.append(int(rows[place]))
                break
    return found[0] if found and len(found) >= 0.3 * len(places) else None


def is_summary(label: str) -> bool:
    """Whether the words of a line are those of a count, a mean, a balance, a carried sum."""
    return bool(_SUMMARY.search(bare(label)))


def vertical_sums(formulas: Mapping[tuple[int, int], str], column: int) -> set[int]:
    """The rows whose cell in a column is a formula that adds up cells above or below it."""
    found = set()
    for (row, at), formula in formulas.items():
        spans = re.findall(r"\$?([A-Z]{1,3})\$?(\d+):\$?([A-Z]{1,3})\$?(\d+)", str(formula))
        adds = re.match(
            r"\s*=\s*(?:SUM|SUBTOTAL|SOMME|SOUS\.TOTAL|AGGREGATE)\s*\(", str(formula), re.IGNORECASE
        )
        if at == column and adds and any(left == right and top != low for left, top, right, low in spans):
            found.add(row)
    return found


def parents(cents: pd.Series, below: bool = True) -> list[int]:
    """The rows that each add up the rows under them (or above, if not `below`), when such families are the whole table.

    Empty unless every row belongs to a family, two families or more, one of them of two rows at least: round
    numbers that add up by chance do not cover a table.
    """
    values = cents if below else cents.iloc[::-1]
    amounts = values.to_numpy()
    if len(amounts) < 5 or (amounts <= 0).any():
        return []
    sums = np.concatenate([[0], np.cumsum(amounts)])
    found, at, several = [], 0, False
    varied = False  # equal details (a part repeated) add up to round numbers by chance
    while at < len(amounts):
        end = int(np.searchsorted(sums, sums[at + 1] + amounts[at]))
        if end >= len(sums) or sums[end] != sums[at + 1] + amounts[at] or end < at + 2:
            return []
        found.append(at)
        several |= end > at + 2
        varied |= len(set(amounts[at + 1 : end].tolist())) > 1
        at = end
    return [int(row) for row in values.index[found]] if several and varied and len(found) > 1 else []


def thin_tail(filled: pd.Series) -> list[int]:
    """The last rows, if they are much emptier than all the others: a recapitulation, a count, a balance."""
    usual = filled.median() if len(filled) else 0
    thin = filled.le(usual / 2)
    if usual < 2 or not thin.any():
        return []
    tail = next((n for n, row in enumerate(thin.to_numpy()[::-1]) if not row), len(thin))
    inside = thin.iloc[: len(thin) - tail]
    return [int(row) for row in thin.index[len(thin) - tail :]] if tail and inside.mean() < 0.02 else []


def numbered(rows: pd.DataFrame) -> Iterator[int]:
    """The first rows whose cells are the numbers or letters of the columns: 1 2 3, (1) (2) (3), A B C."""
    for row, values in rows.head(2).iterrows():
        said = [
            str(value).strip()
            for value in values
            if value is not None and value == value and str(value).strip()
        ]
        digits = [re.sub(r"\.0$", "", text.strip("()")) for text in said]
        letters = [chr(65 + n) for n in range(len(said))]
        if len(said) > 1 and (
            digits == [str(n + 1) for n in range(len(said))] or [d.upper() for d in digits] == letters
        ):
            yield int(row)  # type: ignore[call-overload]
