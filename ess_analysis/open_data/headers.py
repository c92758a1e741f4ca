"""What a published header means: the fields of the standards, and the words French bodies use instead.

A header is read by its words alone, whatever their case, accents, order or glue (« nomBeneficiaire »,
« NOM_BENEFICIAIRE », « Nom du bénéficiaire »). What its words do not settle is left unsettled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from ess_analysis import french

SCDL_FIELDS = (
    "nomAttribuant", "idAttribuant", "dateConvention", "referenceDecision", "nomBeneficiaire",
    "idBeneficiaire", "rnaBeneficiaire", "objet", "montant", "nature", "conditionsVersement",
    "datesPeriodeVersement", "idRAE", "notificationUE", "pourcentageSubvention", "dispositifAide",
)  # fmt: skip
_JOINED = {field.lower(): field for field in SCDL_FIELDS}
# The long labels under which spreadsheets and portals write the same fields, by what must be in them.
_SCDL_WORDS = (
    ("idRAE", r"\brae\b|\breferencement\b.*\baides\b"),
    ("idAttribuant", r"\b(identification|identifiant|id|siret|siren)\b.*\b(attribuante?s?|financeur)\b|\battribuant (id|siret)\b"),
    ("nomAttribuant", r"\b(nom|denomination)\b.*\battribuante?s?\b|^attribuant\b"),
    ("rnaBeneficiaire", r"\brna\b"),
    ("idBeneficiaire", r"\b(identification|identifiant|id|siret|siren)\b.*\bbeneficiaires?\b|\bbeneficiaire (id|siret|siren)\b|^(n|no|num|numero|code)?( de)? ?(siret|siren)\b"),  # noqa: E501
    ("nomBeneficiaire", r"\b(nom|denomination|raison sociale)\b.*\bbeneficiaires?\b|\bbeneficiaire (nom|name)\b|^beneficiaires?$"),
    ("dateConvention", r"^(?!.*\b(reception|notification|debut|fin|echeance|transmission|envoi)\b)"
                       r".*(\bdate\b.*\bconvention\b|\bconvention date\b|\bdate conv\b)"),
    ("referenceDecision", r"\breference\b.*\b(decision|deliberation)\b|\bdecision ref\b"),
    ("conditionsVersement", r"\bconditions?\b.*\bversements?\b"),
    ("datesPeriodeVersement", r"\bdates?\b.*\bversements?\b|\bdate\b.*\bperiode\b"),
    ("notificationUE", r"\bnotif\w*\b.*\b(ue|europeenne)\b|\baide d etat\b"),
    ("pourcentageSubvention", r"\b(pourcentage|pct)\b|^%|^du (mt|montant)\b|\bsubvention pourcentage\b"),
    ("nature", r"^nature( de)?( la| l)?( subvention| aide)?$|\bsubvention nature\b"),
    ("objet", r"\bobjets?\b"),
    ("dispositifAide", r"\bdispositif\b"),
)  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a header means: a role of the source sheet, whether it is sure, and why a column is left out."""

    role: str = ""  # "" when the column is not read
    stage: str = ""
    kind: str = ""
    year: int | None = None
    unit: float = 1.0
    currency: str = ""
    funder: str = ""  # the giver that the header itself names
    section: str = ""  # words that tell two amount columns of the same table apart
    field: str = ""  # field of the SCDL standard
    why: str = "sans emploi ici"
    sure: bool = True


@cache
def words(header: str) -> str:
    """The words of a header, bare: « nomBeneficiaire » → « nom beneficiaire »."""
    text = re.sub(r"(?<=[:/])0[:/]", "", french.nfc(header))  # 360Giving: « Recipient Org:0:Name »
    text = re.sub(r"\b[kK](CHF|USD|CAD|GBP)\b", lambda found: f" k{found[1].lower()} ", text)
    text = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", text)
    text = re.sub(r"(?<=[^\W\d_])(?=(?:19|20)\d\d(?!\d))", " ", text)  # « BP2017 »
    text = text.replace("k€", " keur ").replace("K€", " keur ").replace("M€", " meur ").replace("€", " eur ")
    text = text.replace("£", " gbp ")
    bare = re.sub(r"[^a-z0-9%]+", " ", french.strip_accents(text).lower())
    return re.sub(r"\s+", " ", bare).strip()


_MONEY = {"montant", "montants", "subvention", "subventions", "aide", "aides", "amount", "somme", "sommes", "credits",
          "financement", "financements", "versement", "versements", "mt", "pret", "prets", "garantie",
          "garanties", "subside", "subsides", "cautionnement", "avance", "avances", "acompte", "acomptes",
          "dotation", "attribution", "attributions", "participation", "participations",
          "contribution", "contributions"}  # fmt: skip
_FILLER = {"de", "du", "des", "la", "le", "les", "l", "d", "a", "au", "aux", "en", "et", "eur", "euro", "euros", "total",
           "fonds", "concours",
           "totale", "totaux", "global", "globale", "annuel", "annuelle", "ttc", "association", "associations", "beneficiaire",
           "beneficiaires", "pour", "par", "exercice", "annee", "an", "n", "gbp", "usd", "chf", "keur", "meur", "organisme",
           "regionale", "departementale", "communale", "municipale", "metropolitaine", "intercommunale", "nationale", "ville",
           "titre", "commune", "departement", "region", "metropole", "conseil", "municipal", "cm", "cp", "tiers", "sur",
           "numeraire", "financiere", "financieres", "publique", "public", "publiques", "publics", "detail", "of", "the", "grant",
           "grants", "award", "in",
           "funding", "funds", "value", "kchf", "kusd", "kcad", "kgbp", "md", "mds", "milliards",
           "francs", "suisses", "1", "2", "3", "4", "5", "subvention", "subventions", "direct",
           "directe", "directes", "detr", "dsil", "etat",
           "sub", "subv", "mnt", "milliers", "millions", "remboursable", "remboursables", "recuperable", "recuperables",
           "caution", "cautions", "emprunt", "emprunts", "garantis", "garanti", "accordees"}  # fmt: skip
# Whole words: « Versailles », « mandature », « version » and « pays » say nothing of a payment.
PAID_WORDS = (
    r"vers(?:e|es|ee|ees|er|ement|ements)|mandat(?:e|es|ee|ees|er|ement|ements)|pai(?:d|ement|ements)|"
    r"pay(?:e|es|ee|ees|er|ment|ments)|disburs(?:ed|ement|ements)|liquid(?:e|es|ee|ees|ation|ations)|"
    r"ordonnanc(?:e|es|ee|ees|ement|ements)|regl(?:e|es|ee|ees|er|ement|ements)"
)
_STAGES = {
    "awarded": r"\b(attribu\w*|accord\w*|vote\w*|octroy\w*|engage\w*|notifi\w*|award\w*|alloue\w*|decide\w*|concede\w*|octroi)\b",
    "paid": rf"\b({PAID_WORDS}|realise\w*)\b",
    "planned": r"\b(previsionnel\w*|prevu\w*|propos\w*|planned|bp)\b",
}
_ACCOUNTS = r"\b(mandats emis|ca)\b"  # the account of what was paid
_SECTIONS = r"\b(fonctionnement|investissement|equipement|exceptionnel\w*|projets?|action\w*|charges?|capital|revenue)\b"
TAKEN_BACK = "montant annulé ou rendu"
OWED = "loyer, facture ou cotisation, ce n'est pas un financement"
_NOT_FUNDING = (
    (r"\b(demand\w*|sollicit\w*|request\w*|applied)\b", "montant demandé, ce n'est pas un financement"),
    (r"\b(non (retenu|attribu|accord|vote|verse|octroy)\w*|refus\w*|rejet\w*|ajourn\w*)\b",
     "montant refusé, ce n'est pas un financement"),
    (r"\b(annul\w*|rembours(e|ee|es|ees|ement|ements))\b", TAKEN_BACK),
    (r"\b(loyers?|cotisations?|penalites?|amendes?|factures?|facturee?|marches?|salaires?|honoraires?|remunerations?)\b",
     OWED),
    (r"^montants? (total |global |previsionnel )?(du|de la|de l|d un|des) (projet|action|programme|operation|evenement|manifestation)s?\b|"
     r"\b(cout|couts|cost|budget\w*|depense\w*|assiette|eligible\w*|subventionnable\w*|travaux|operation)\b",
     "coût ou budget du projet, ce n'est pas un financement"),
    (r"\b(taux|po\w*tage|pct|rate|ratio|levier|part)\b|%|"
     r"\b(mensuel\w*|trimestriel\w*|unitaires?|horaires?)\b|"
     r"\b(par|per) (mois|an|annee|adherent|habitant|hab|eleve|licencie|membre|enfant|head|capita)\w*\b|"
     r"\b(adherent|habitant|licencie|eleve)$",
     "proportion"),
    (r"\b(reste|restant|reliquat|solde|ecart|difference|pour memoire|cumul\w*|n 1|moyenne|plafond|minimum|maximum|"
     r"evolution|rappel|precedent\w*)\b",
     "montant dérivé d'un autre"),
    (r"\b(nombre|nb|number|effectif\w*|population|pop\d*|lat\w*|long\w*|surface)\b", "dénombrement ou mesure"),
)  # fmt: skip
_PAID_REST = rf"\bsolde\b(?=.*\b(?:{PAID_WORDS})\b)"  # a second payment, not what remains
_GRANTED = (
    r"(grants?|funding|funds|award|agreement) (awarded|approved|paid|offered|value)( gbp)?|"
    r"(value|total) (of )?(grant|award|funding)s?( gbp)?"
)
_APART = r"\b(hors|sauf|hormis|excluding|excl|non compris) .*"  # what the amount does not hold
IN_KIND_WORDS = "avantages en nature, sans montant"
_IN_KIND = r"\b(en nature|avantages? en nature|in kind|prestations? en nature|valorisation\w*|mises? a disposition)\b"


@lru_cache(maxsize=4096)
def meaning(header: str) -> Meaning:
    """What `header` means, by its words; `sure` is false where they could mean an amount or something else."""
    said, bare = words(header), words(re.sub(r"\([^()]*\)", " ", header))
    standard = _scdl(said)
    exact = _JOINED.get(said.replace(" ", ""), "montant") != "montant"
    if standard and (exact or standard.field == "pourcentageSubvention"):
        return standard
    return _amount(said) or standard or _other(said) or _other(bare) or Meaning()


_SCDL_MEANINGS = {
    "nomAttribuant": Meaning("funder"),
    "idAttribuant": Meaning("funder_id"),
    "dateConvention": Meaning("date"),
    "referenceDecision": Meaning(why="référence de la décision"),
    "nomBeneficiaire": Meaning("recipient"),
    "idBeneficiaire": Meaning("recipient_id"),
    "rnaBeneficiaire": Meaning("recipient_id"),
    "objet": Meaning("title"),
    "montant": Meaning("amount"),
    "nature": Meaning("kind"),
    "conditionsVersement": Meaning(why="conditions de versement"),
    "datesPeriodeVersement": Meaning(why="dates de versement"),
    "idRAE": Meaning(why="référence d'aide"),
    "notificationUE": Meaning(why="aide notifiée"),
    "pourcentageSubvention": Meaning(why="part du bénéficiaire dans une subvention partagée"),
    "dispositifAide": Meaning("programme"),
}


def _scdl(said: str) -> Meaning | None:
    field = _JOINED.get(said.replace(" ", ""))
    if field is None:
        field = next((name for name, pattern in _SCDL_WORDS if re.search(pattern, said)), None)
    return replace(_SCDL_MEANINGS[field], field=field) if field else None


def _stages(said: str) -> list[str]:
    """The stages that bare words say."""
    return [stage for stage, pattern in _STAGES.items() if re.search(pattern, said)]


def _amount(said: str) -> Meaning | None:
    """The amount that a header announces, or the reason why it is none; None when it speaks of no money."""
    said = re.sub(_APART, " ", said).strip()
    tokens = set(said.split())
    money = tokens & _MONEY or re.search(r"\bfonds de concours\b", said)
    if not money and not re.search(_IN_KIND, said) and not re.fullmatch(_GRANTED, said):
        return _staged(said) or _signed(said)
    if re.match(r"(numero|n|no|ndeg|duree|id|identifiant|code|type|forme|nature|objet|date|dates|annee|libelle|nom|name|"
                r"reference|conditions?|exercice (d|de)|"
                r"section|chapitre|article|titre|title|intitule|detail des avantages|programme|dispositif|categorie|domaine|"
                r"statut|etat|description|url|motif|beneficiaires?|lien|observations?|commentaires?|thematique)\b", said):  # fmt: skip
        return None
    if re.search(
        r"(?<!\ben )\b(nature|objet|dates?|conditions?|type|id|libelle|statut|categorie|commission)$", said
    ):
        return None
    if re.fullmatch(r"(subventions?|aides?) (annee|exercice|year)", said):
        return None
    for pattern, why in _NOT_FUNDING:
        if re.search(pattern, re.sub(_PAID_REST, " ", said)):
            granted = re.match(r"(subventions?|aides?|dotations?|participations?)\b", said) and (
                why.startswith("coût") or why == OWED or re.search(r"\bpart\b", said)
            )
            return Meaning("amount", sure=False, section=said) if granted else Meaning(why=why)
    years = set(re.findall(r"\b(?:19|20)\d\d\b", said))
    year = int(next(iter(years))) if len(years) == 1 else None
    if re.search(_IN_KIND, said):
        words_only = not re.search(r"\b(montant|estimation|valorisation|valeur|amount)\b", said)
        return Meaning("" if words_only else "amount", kind="in_kind", year=year, why=IN_KIND_WORDS)
    kind = ""
    if re.search(r"\bprets? de (materiels?|salles?|locaux)\b", said):
        kind = "in_kind"
    elif re.search(r"\b(prets?|loans?|avances? (remboursables?|recuperables?))\b", said):
        kind = "loan"
    elif re.search(r"\b(garanti\w*|caution\w*|guarantee\w*)\b", said):
        kind = "guarantee"
    stages = _stages(said)
    if "awarded" in stages and "bp" in tokens:
        stages.remove("planned")  # voted in the budget of that year
    sections = " ".join(sorted(set(re.findall(_SECTIONS, said))))
    rest = re.sub(_SECTIONS, " ", said)
    for pattern in _STAGES.values():
        rest = re.sub(pattern, " ", rest)
    rest = re.sub(r"\b(?:19|20)\d\d\b", " ", rest)
    part = re.search(r"\b(avances?|acomptes?)\b", said) and not kind  # a part of an amount, not the amount
    sure = set(rest.split()) <= _MONEY | _FILLER and len(stages) < 2 and len(years) < 2 and not part
    return Meaning(
        "amount",
        stage=stages[0] if len(stages) == 1 else "",
        kind=kind,
        year=year,
        unit=next((unit for unit, said in _UNITS.items() if tokens & said), 1.0),
        currency=_currency(tokens),
        section=sections,
        field="montant" if said.replace(" ", "") == "montant" else "",
        sure=sure or bool(kind),
    )


_UNITS = {
    1e3: {"keur", "milliers", "kchf", "kusd", "kcad", "kgbp"},
    1e6: {"meur", "millions"},
    1e9: {"md", "mds", "milliards"},
}


def _currency(tokens: set[str]) -> str:
    """The currency that the words of a header say; a dollar alone is that of no country."""
    codes = ("EUR", "GBP", "CHF", "USD", "CAD")
    return next((code for code in codes if tokens & {code.lower(), f"k{code.lower()}"}), "")


def _signed(said: str) -> Meaning | None:
    """An amount that may be, where all that speaks of money in a header is a currency: « Value £ », « Total (€) »."""
    currency = _currency(set(said.split()))
    # « Fonctionnement (€) voté en 2022 »
    dated = re.findall(r"\b(?:19|20)\d\d\b", said) if re.search(_SECTIONS, said) else []
    rest = said.replace(dated[0], " ") if dated else said
    spoken = len(rest.split()) < (6 if dated else 4) and not re.search(r"\d", rest) and not _other(said)
    spoken = spoken and not any(re.search(pattern, said) for pattern, _ in _NOT_FUNDING)
    if not currency or not spoken:
        return None
    stages = _stages(said) if dated else []
    stage = stages[0] if len(stages) == 1 else ""
    return Meaning(
        "amount", stage=stage, year=int(dated[0]) if dated else None, currency=currency, sure=False
    )


_GIVER = re.compile(  # kinds of givers that a column may be given to, with their own names: « Région Hauts-de-France »
    r"(?:(?:montants? |subventions? |aides? |participations? |financements? )?"
    r"(?:(?:accorde|attribue|vote|verse)e?s? )?(?:de |du |des |d )?)?"
    r"(?:(?:la|le|l) )?(?:metropole|mel|region|departement|dep(?:ar)?t|dpt|cd|canton|conseil (?:general|departemental|regional)|etat|"
    r"communes?|villes?|epci|"
    r"agglomeration|europe|ue|fse|feder|leader|caf|msa|cpam|ars|dreets|direccte|ddets|drac|acse|anct|cget|anru|ademe|cdc|"
    r"caisse des depots|banque des territoires|bpi|bpifrance|fondations?|mecenat|france active|politique de la ville|bailleurs?|"
    r"autres?|prives?)(?: [a-z]+){0,4}(?: k?eur)?"
)
_OF_A_YEAR = re.compile(r"(?:annee |exercice )?((?:19|20)\d\d)(?: (?:k?eur|realise|vote))?")


def giver_or_year(header: str) -> Meaning | None:
    """An amount of a table with one column for each giver, or for each year, if its cells are numbers."""
    said = words(header)
    unit = 1000.0 if "keur" in said.split() else 1.0
    if alone := _OF_A_YEAR.fullmatch(said):
        return Meaning("amount", year=int(alone[1]), unit=unit)
    stages = _stages(said)
    stage = stages[0] if len(stages) == 1 else ""
    dated = re.search(r" ((?:19|20)\d\d)(?: k?eur)?$", said)  # « Région 2021 »
    if not _GIVER.fullmatch(said.removesuffix(dated[0]) if dated else said):
        return None
    header = re.sub(r"(?:19|20)\d\d", " ", header) if dated else header
    bare = re.sub(r"\([^()]*(?:€|euros?)[^()]*\)", " ", header)
    kept = [word for word in re.split(r"[\s/]+", bare) if word and not _says_stage(word)]
    while len(kept) > 1 and words(kept[0]) in _MONEY | {"de", "du", "des", "la", "l"}:
        del kept[0]
    year = int(dated[1]) if dated else None
    return Meaning("amount", stage=stage, year=year, funder=" ".join(kept) or header.strip(), unit=unit)


def _says_stage(word: str) -> bool:
    return any(re.fullmatch(pattern, words(word)) for pattern in _STAGES.values())


def stages_of(text: str) -> set[str]:
    """The stages that the words of a title say: « Versé 2022 », « BP »."""
    said = words(text)
    return {*_stages(said), *(["paid"] if re.search(_ACCOUNTS, said) else [])}


_STAGED_FILLER = set("total totaux des de du en eur euros numeraire valeur annee exercice".split())


def _staged(said: str) -> Meaning | None:
    """An amount that may be, where a header is nothing but a stage: « Mandaté », « CA 2011 », « total des mandats émis »."""
    years = set(re.findall(r"\b(?:19|20)\d\d\b", said))
    stages = _stages(said)
    stages += ["paid"] if re.search(_ACCOUNTS, said) else []
    rest = said
    for pattern in (*_STAGES.values(), _ACCOUNTS, r"\b(?:19|20)\d\d\b"):
        rest = re.sub(pattern, " ", rest)
    if not stages or set(rest.split()) - _STAGED_FILLER or _other(said):
        return None
    return Meaning("amount", stage=stages[-1], year=int(years.pop()) if len(years) == 1 else None, sure=False)


_NAMES = {"nom", "denomination", "designation"}  # of whom, another column may say better
_WHO = (
    "gestionnaire|etablissement|siae|candidat|partenaire|acteur|entite|collectif|cooperative|association|structure|"
    "etablissement association|structure association|association structure|entreprise ess|porteur|grantee|obnl|asbl"
)
_OTHERS = (
    ("recipient_id", r"\battrib(utaire)? (id|siret)$|\b(identification|identifiant|id|siret)\b.*\battributaires?\b"),
    ("funder_id", r"^funding org\w*( \d+)? (identifier|id)$|^(coll(ectivite)?|autorite administrative) (siret|id)$"),
    ("funder", r"^(grantor|mecene|bailleur de fonds|pouvoir (dispensateur|subsidiant)|autorite subsidiante)s?$"),
    ("funder", r"^funding org\w* name$|^coll(ectivite)? nom$|^autorite administrative( nom)?$|"
               r"^(financeur|collectivite|nom collectivite|administration|payeur|((service|organisme|collectivite) )?attribuant)$"),
    ("recipient_id", r"^recipient org\w* (identifier|id)$|\b(siret|siren)\b"),
    ("recipient", r"^(nom )?(de )?(l )?attrib(utaires?)?( nom)?$|"
                  r"^(maitre d ouvrage|destinataire|laureat|demandeur|porteur( de projet)?|beneficiary|applicant|club|"
                  r"name of organi[sz]ation|group|company|charity|payee|ong|grantee)s?( name)?$|"
                  r"^recipient (legal|operating) name$|^(grant )?beneficiary$|^recipient (org\w*|ind) name$|"
                  r"^(nom )?(de )?(l )?(association|entreprise|societe|organisme|organi[sz]ation|structure|tiers|recipient|supplier)s?"
                  r"( nom| name)?$|"
                  r"^(nom|denomination|designation)( de| du| des)?( l| la)? ?(association|organisme|structure|tiers)\b|^raison sociale\b|"
                  r"^nom beneficiaire principal$|"
                  r"^(?!.*\b(nombre|nb|number|effectifs?|nature|juridique|identification|identifiant|forme|type|statut|categorie)\b).*\bbeneficiaires?\b"
                  r"(?!.*\b(adresse|code|commune|ville|departement)\b)"),
    ("recipient", rf"^(denomination|designation|nom)$|^(?:{_WHO})s?(?: (?:subventionne|soutenu|aide|conventionne)e?s?)?$"),
    ("title", r"^(objets?|intitule\w*|libelle|title|titre|description|descriptif|nom du projet|projet|action)\b|"
              r"^(purpose( of (the )?grant)?|grant purpose|project( title| name)?)$"),
    ("programme", r"^(grant programme title|programme name|programme|dispositif|nom demarche ds)$"),
    ("year", r"^(?:subvention |aide )?(annees?|exercice|millesime|year|an)"
             r"( budgetaire| civile| versement| de versement| d attribution| de la subvention)?$"),
    ("date", r"^(date|acte date|(date|year) of (award|grant|payment|decision))$|\b(award|approval|decision|payment) date$|"
             r"^date (grant )?(awarded|approved|agreed|paid)$|"
             r"^(date (de |d )?(attribution|decision|vote|deliberation|la decision|convention|versement|paiement|mandatement|octroi|"
             r"signature)\w*)$|^date (de |du |d )?(la |l )?(commission permanente|cp|conseil municipal|cm|resolution|seance)$"),
    ("currency", r"^(currency|devise|monnaie)$"),
    ("stage", r"^etape$"),
    ("kind", r"^forme$|^(forme|type)( de| d)?( l| la)? (aide|subvention)$"),
    ("axis", r"^(axe|thematique|domaine|secteur|theme|politique|categorie|catgeorie)s?$"),
    ("places", r"^(nom )?(de la )?commune( beneficiaire)?$|^nom commune$"),
)  # fmt: skip


def _other(said: str) -> Meaning | None:
    """The other facts a line may state."""
    for role, pattern in _OTHERS:
        if re.search(pattern, said):
            return Meaning(role, sure=said not in _NAMES)
    return None
