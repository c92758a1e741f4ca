"""Tables whose sum says one thing and whose words another: each is asked of a person, or told, never counted in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ess_analysis as ess
from ess_analysis.cli import main
from ess_analysis.errors import DataError
from ess_analysis.load import Tables
from ess_analysis.open_data import big, reading

NAMES = ("Anis", "Le Relais", "APES", "BG", "Colibri", "Foyer rural", "Judo", "Chorale")
SUMS = (6250, 3234, 12350, 480, 7725, 900, 15010, 2600)
WHOLE = sum(SUMS)
LINES = list(zip(NAMES, SUMS, strict=True))
TWO = "".join(f"{name};{euros}\n" for name, euros in zip(NAMES, SUMS, strict=True))
THREE = "".join(f"{name};Fonctionnement;{euros}\n" for name, euros in zip(NAMES, SUMS, strict=True))


def written(folder: Path, text: str, name: str = "aides.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def total(path: Path, kind: str = "cash") -> float:
    funding = ess.read(path).funding
    return round(float(funding.loc[funding["kind"].eq(kind), "amount_eur"].sum()), 2)


def states(header: str, one: str, others: str) -> str:
    """The table with a column that says of one line what the others are not."""
    return f"Association;Montant;{header}\n" + "".join(
        f"{name};{euros};{one if euros == 480 else others}\n" for name, euros in zip(NAMES, SUMS, strict=True)
    )


ASKED = {
    "a sum between the lines, in capitals": (
        "Association;Subvention\nSPORT;21834\n" + TWO.replace("BG", "CULTURE;26715\nBG") + "Zoé;77\n",
        "somme de lignes voisines",
    ),
    "half of everything": (f"Association;Subvention\nAssociations sportives;{WHOLE}\n{TWO}", "somme de tous les autres"),
    "a balance in two columns": (f"Association;Subvention\n{TWO}Reste à attribuer;2500\n", "est-ce une donnée"),
    "a recapitulation under the total": (
        f"Association;Subvention\n{TWO}TOTAL;{WHOLE}\nSport;20000\nCulture;{WHOLE - 20000}\n",
        "est-ce une donnée",
    ),
    "a part": (f"Association;Objet;Subvention\n{THREE}- dont fête;x;500\n", "dont"),
    "a part in English": (f"Association;Objet;Subvention\n{THREE}of which travel;x;500\n", "dont"),
    "items under their total": (
        f"Association;Objet;Subvention\n{THREE}OMS;x;10000\n- section foot;x;6000\n- section tennis;x;4000\n",
        "le total des lignes",
    ),
    "a section of guarantees": (
        f"Association;Objet;Montant\n{THREE}Garanties d'emprunt;;\nOPH;12 logements;1500000\n",
        "sont-ils des subventions",
    ),
    "a title of loans": (f"Prêts d'honneur 2013;;\n\nAssociation;Objet;Montant\n{THREE}", "sont-ils des subventions"),
    "a title of requests": (f"Demandes de subventions 2014;;\n\nAssociation;Objet;Montant\n{THREE}", "sont-ils des subventions"),
    "years in sections": (
        f"Association;Objet;Montant\nExercice 2012;;\n{THREE}Exercice 2013;;\n{THREE.replace('Anis', 'Zoé')}",
        "l'année des lignes",
    ),
    "refused in a column of answers": (
        states("Décision", "Non", "Oui"),
        "faut-il compter ces lignes",
    ),
    "given up": (
        states("Etat", "Désistement", "Soldé"),
        "faut-il compter ces lignes",
    ),
    "receipts among payments": (
        states("Type", "Titre", "Mandat"),
        "faut-il compter ces lignes",
    ),
    "stages in lines": (
        "Association;Montant;Etape\n" + "".join(f"{n};{e};BP\n{n};{e};CA\n" for n, e in LINES),
        "quelles lignes compter",
    ),
    "round sums under another name": (
        "Association;Subvention;Loyers\n" + "".join(f"{n};{e};{1000 * k + 500}\n" for k, (n, e) in enumerate(LINES, 1)),
        "ressemblent à des montants",
    ),
    "the same sum given to a few": (
        "Association;Subvention;Prestations diverses\n"
        + "".join(f"{n};{e};{300 if e > 5000 else ''}\n" for n, e in LINES),
        "ressemblent à des montants",
    ),
    "no column of money": (f"Association;Machin\n{TWO}", "qu'elle est un montant"),
    "a grant for works": (
        "Association;Subvention fonctionnement;Subvention travaux\n" + "".join(f"{n};{e};{e + 50}\n" for n, e in LINES),
        "autres montants",
    ),
    "two lists side by side": (
        "Association;Subvention 2021;Association;Subvention 2022\n"
        + "".join(f"{n};{e};{m};{e + 10}\n" for n, e, m in zip(NAMES, SUMS, NAMES[::-1], strict=True)),
        "seconde liste",
    ),
    "years under the header": (
        f"Association;Subventions attribuées;\n;2021;2022\n{THREE.replace('Fonctionnement', '100')}",
        "second niveau",
    ),
    "another table above": (
        f"Association;Montant;;\n{''.join(f'{n};{e};;' + chr(10) for n, e in LINES)}"
        "Bénéficiaire;Montant;Objet;Date de décision\nZoé;100;x;2022-01-02\nYves;200;y;2022-01-03\n",
        "",
    ),
    "a line pushed by its delimiter": (
        "Association;Objet;Adhérents;Montant;Année;Obs\n"
        + "".join(f"{n};x;30;{e};2013;\n" for n, e in LINES)
        + "Karaté;Stage ; tournoi;25;2000;2013\n",
        "une ligne décalée",
    ),
    "thousands in a title": (f"montants en K euros;;\n\nAssociation;Objet;Montant\n{THREE}", "unité"),
    "a line swallowed by a quote": ('Association;Montant\nAnis;100\n"Les Amis du livre;1500\nGym";2000\nJudo;300\n', ""),
    "the cost of projects": (f"Association;Montant du projet;Taux d'aide\n{TWO.replace(chr(10), ';50 %' + chr(10))}", ""),
    "what remains to be paid": (f"Association;Montant restant à verser\n{TWO}", ""),
    "engaged and paid in lines": (
        "Association;Montant;Crédits\n" + "".join(f"{n};{e};AE\n{n};{e};CP\n" for n, e in LINES),
        "quelles lignes compter",
    ),
    "the same total told each year": (
        "Association;Montant;Année\n" + "".join(f"{n};{e};{year}\n" for n, e in LINES for year in (2021, 2022, 2023)),
        "le compter une seule fois",
    ),
    "own money among givers": (
        "Association;Financeur;Montant\n" + "".join(f"{n};{'Autofinancement' if e == 480 else 'Ville'};{e}\n" for n, e in LINES),
        "faut-il compter ces lignes",
    ),
    "a loan from a bank among payments": (states("Type", "Emprunt", "Subvention"), "faut-il compter ces lignes"),
    "a reserve that is not given out": (f"Association;Subvention\n{TWO}Subventions diverses non réparties;5000\n", ""),
    "forms that are no grants": (states("Type d'aide", "Prise de participation", "Aide directe"), "est-ce la forme de l'aide"),
    "a title of requests to be looked at": (
        f"Demandes de subventions 2024 – à examiner par la commission;;\n\nAssociation;Objet;Montant\n{THREE}",
        "sont-ils des subventions",
    ),
    "a title of money received": (f"Subventions perçues;;\n\nAssociation;Objet;Montant\n{THREE}", "sont-ils des subventions"),
    "a section of loans under a header of its own": (
        f"Association;Objet;Montant\n{THREE}2. Prêts à taux zéro;;\nAssociation;Prêteur;Montant\nZoé;Banque;9000\n",
        "sont-ils des subventions",
    ),
    "dollars of no country": ("Organisme;Montant\n" + "".join(f"{n};{e} $\n" for n, e in LINES), "dollar de quel pays"),
    "requests in a title over givers": (
        "Subventions sollicitées;;;\n\nPorteur;Action;État;Ville\n" + "".join(f"{n};x;{e};{e + 50}\n" for n, e in LINES),
        "sont-ils des subventions",
    ),
    "members in columns of years": (
        "Associations subventionnées (€), adhérents;;\n\nAssociation;2021;2022\n" + "".join(f"{n};{e};{e + 50}\n" for n, e in LINES),
        "la colonne des montants",
    ),
    "stages in the titles of the parts": (
        "Voté 2022;;\nAssociation;Objet;Montant\n" + THREE + "Versé 2022;;\nAssociation;Objet;Montant\n" + THREE.replace("Anis", "Zoé"),
        "distinguent accordé et versé",
    ),
    "a part that waits": (f"Association;Objet;Montant\n{THREE}DEMANDES EN ATTENTE;;\nZoé;x;70\n", "sont-ils des subventions"),
    "a legend of refusals": (
        f"Association;Objet;Montant\n{THREE};;\nLégende : rouge = refusé, vert = accordé;;\n", "sont-ils des subventions"),
    "an envelope over its lines": (
        "Axe;Association;Montant\nAxe 1;;9000\n" + "".join(f"Axe 1;{n};{e}\n" for n, e in LINES), "une enveloppe",
    ),
    "a total that is not the sum": (
        "Axe;Association;Montant\nÉmergence;Total émergence;9000\n" + "".join(f"Émergence;{n};{e}\n" for n, e in LINES),
        "une enveloppe ou un total",
    ),
    "an axis among the names": (f"Association;Subvention\nAxe 1 : émergence;9000\n{TWO}", "une enveloppe ou un total"),
    "several bodies over their sum": (
        f"Association;Subvention\n{TWO}Clubs sportifs;2000\nBoxe;1500\nGolf;500\n", "somme de lignes voisines",
    ),
    "a name that says a loan": (f"Association;Subvention\n{TWO}Basilic (prêt);700\n", "est-ce une subvention accordée"),
    "repetition marks": (f"Association;Subvention\n{TWO}\"\"\"\";700\n", "et pour qui"),
    "accounts of purchases": (
        "Compte;Tiers;Montant\n" + "".join(f"{6574 if e > 480 else 60612};{n};{e}\n" for n, e in LINES), "est-ce une subvention",
    ),
    "kinds of spending": (states("Nature de la dépense", "Électricité", "Subvention"), "est-ce une subvention"),
    "versions of a grant": (states("Version", "2", "1"), "se remplacent-ils"),
    "amendments": (states("Avenant", "Avenant 1", ""), "se remplacent-ils"),
    "committed and paid": (states("Mouvement", "Mandat", "Engagement"), "quelles lignes compter"),
    "a programme of loans": (states("Dispositif", "Prêt d'honneur", "DLA"), "est-ce la forme de l'aide"),
    "codes of forms": (states("Type", "AR", "SUB"), "est-ce la forme de l'aide"),
    "no, in a column of decisions": (states("Accordé", "non", "oui"), "faut-il compter ces lignes"),
    "amounts taken back": ("Association;Montant;Montant annulé\n"
        + "".join(f"{n};{e};{100 if e == 480 else ''}\n" for n, e in LINES), "à déduire"),
    "a first payment and the balance": (
        "Association;Acompte versé;Solde versé\n" + "".join(f"{n};{e};{e - 50}\n" for n, e in LINES), "la colonne des montants",
    ),
    "so much a year": ("Association;Montant\nAnis;15 000 € par an\nJudo;8 000 €/an\n", "ne se lisent pas"),
    "two decimal signs": ("Association;Montant\nAnis;1 500,00\nJudo;2500.5\nZoé;1,500\n", "le signe décimal"),
    "the Swiss way, and no currency": ("Association;Montant\nAnis;12'500\nJudo;1'000.50\n", "à la manière suisse"),
    "the Swiss way, without thousands": ("Association;Montant\nAnis;500.-\nJudo;250.-\n", "à la manière suisse"),
    "two currencies in two headers": (
        "Association;Subvention 2000 (francs);Subvention 2002 (€)\n" + "".join(f"{n};{e};{e}\n" for n, e in LINES), "EUR, FRF",
    ),
    "a sign of no country in the header": ("Association;Montant (Ar)\n" + TWO, "l'en-tête montre"),
    "hundreds": ("Association;Montant (centaines d'euros)\n" + TWO, "la colonne des montants"),
    "aid in kind told in words beside": (
        "Association;Prestations en nature;Montant\n"
        + "".join(f"{n};{'Mise à disposition de locaux' if e > 480 else ''};{e}\n" for n, e in LINES), "est-ce la forme de l'aide",
    ),
    "asked for and awarded, line by line": (
        "Association;Nature;Montant 2022\n" + "".join(f"{n};Montant demandé;{e + 50}\n{n};Montant accordé;{e}\n" for n, e in LINES),
        "quelles lignes compter",
    ),
    "acts of amendment": (states("Acte", "Avenant n°1", "Convention"), "se remplacent-ils"),
    "codes of decisions": (states("Statut", "R", "A"), "quelles lignes sont accordées"),
    "crosses": (states("Retenu", "", "X"), "quelles lignes sont accordées"),
    "so much a year for some years": (
        "Association;Durée (années);Montant annuel accordé\n" + "".join(f"{n};3;{e}\n" for n, e in LINES), "d'une année, ou de toutes",
    ),
    "a total that adds up own money": (
        "Porteur;Action;Ville;Région;Autofinancement;Total\n"
        + "".join(f"{n};x;{e};{e};{e + 50};{3 * e + 50}\n" for n, e in LINES), "additionne aussi « Autofinancement »",
    ),
    "a total with a slip": (
        "Subventions accordées;;;;\n\nPorteur;Action;Ville;Région;Total\n"
        + "".join(f"{n};x;{e};{e};{2 * e + (100 if e == 480 else 0)}\n" for n, e in LINES), "n'y est pas la somme",
    ),
    "a year that is only planned": (
        "Subventions versées (2024 : prévisionnel);;\n\nAssociation;2023;2024\n" + "".join(f"{n};{e};{e + 50}\n" for n, e in LINES),
        "l'étape de chaque année",
    ),
    "givers in columns and nothing of money around": (
        "Porteur;Action;État;Ville;CAF\n" + "".join(f"{n};x;{e};{e + 50};{e + 100}\n" for n, e in LINES), "la colonne des montants",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_a_doubtful_table_is_asked(case: str, tmp_path: Path) -> None:
    text, words = ASKED[case]
    with pytest.raises(DataError) as refused:
        ess.read(written(tmp_path, text))
    assert words in str(refused.value)


READ = {
    "stages and years name amounts": (
        "Association;Subvention 2022;Vote 2023\n" + "".join(f"{n};{e};{e + 1}\n" for n, e in LINES),
        2 * WHOLE + len(SUMS),
    ),
    "a total of parts that have no name of money": (
        "destinataire;subvention;manifestations;promotion;contrat\n"
        + "".join(f"{n};{e};{e - 300};200;100\n" for n, e in LINES),
        WHOLE,
    ),
    "a lone column of sums": ("Association;Montant attribué FDVA\n" + TWO, WHOLE),
    "a stage alone": ("Raison sociale;SIRET;Mandaté\n" + "".join(f"{n};;{e}\n" for n, e in LINES), WHOLE),
    "a ratio beside": (
        "Association;Subvention;Subvention par adhérent\n" + "".join(f"{n};{e};12\n" for n, e in LINES),
        WHOLE,
    ),
    "a grand total said S/T": (f"Association;Objet;Montant\n{THREE}S/T;;{WHOLE}\n", WHOLE),
    "words that say no amount": (f"Association;Objet;Subvention accordée\n{THREE}Zoé;x;néant\nYves;y;ajourné\n", WHOLE),
    "a sign before": ("Association;Objet;Montant\nAnis;x;€ 1 500,00\nJudo;y;EUR 800\n", 2300),
    "postal codes are no sums": (
        "Association;Subvention;Localité\n" + "".join(f"{n};{e};59{k}00\n" for k, (n, e) in enumerate(LINES)),
        WHOLE,
    ),
    "pounds with thousands": (
        'Organisation,Purpose,Grant awarded (£)\nAcorn,x,"£1,500"\nBirch,y,"£22,000"\n', 23500),
    "a fee on every line": ("Association;Subvention;Valeur\n" + "".join(f"{n};{e};500\n" for n, e in LINES), WHOLE),
    "an opinion against, and no amount": (
        "Association;Montant attribué;Avis\n" + "".join(f"{n};{e};Favorable\n" for n, e in LINES) + "Zoé;;Défavorable\n",
        WHOLE,
    ),
    "a total of cash and aid in kind": (
        "Association;Subvention en numéraire;Prestations en nature (valorisation);Total\n"
        + "".join(f"{n};{e};200;{e + 200}\n" for n, e in LINES),
        WHOLE,
    ),
    "a standard's field in small letters": (
        "nombeneficiaire;montant;notificationue\n" + "".join(f"{n};{e};0\n" for n, e in LINES),
        WHOLE,
    ),
    "the form of the aid": (
        "Association;Forme de l'aide;Montant\n"
        + "".join(f"{n};{'Avance remboursable' if e == 480 else 'Subvention'};{e}\n" for n, e in LINES),
        WHOLE - 480,
    ),
    "a total that comes first": (f"Association;Subvention\nTOTAL;{WHOLE}\n{TWO}", WHOLE),
    "the Swiss way": ("Association;Montant (CHF)\nAnis;12'500.00\nJudo;1'000.-\n", 13500),
    "thousands of Swiss francs": (f"Association;Montant (kCHF)\n{TWO}", 1000 * WHOLE),
    "accounts of two years": ("Publication;Association;Montant versé\n"
        + "".join(f"CA {2019 + k % 2};{n};{e}\n" for k, (n, e) in enumerate(LINES)), WHOLE),
    "a town that gives sums like postal codes": (
        "Subventions 2022;;;\n\nAssociation;Ville;Région;CAF\nAnis;2000;500;300\nJudo;2500;700;400\nZoé;2200;600;100\n", 9300,
    ),
    "the account of subsidies": (states("Nature de la dépense", "6574", "6574"), WHOLE),
    "legal forms": (states("Statut", "SCOP", "Asso"), WHOLE),
    "own funds beside": ("Club;Fonds propres au 31/08;Subvention accordée\n" + "".join(f"{n};{e + 50};{e}\n" for n, e in LINES), WHOLE),
    "an association called IDEM": (f"Association;Subvention\n{TWO * 12}IDEM;70\n", 12 * WHOLE + 70),
    "givers of two years": (
        "Association;Région 2021 (€);Région 2022 (€);Ville 2021 (€)\n" + "".join(f"{n};{e};{e};{e}\n" for n, e in LINES), 3 * WHOLE,
    ),
    "a section voted in a year": ("Association;Fonctionnement (€) voté en 2022\n" + TWO, WHOLE),
    "a beneficiary's total": (f"Association;Objet;Montant\n{THREE}Total Session;x;70\n", WHOLE + 70),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_leaves_no_doubt_is_read(case: str, tmp_path: Path) -> None:
    text, expected = READ[case]
    assert total(written(tmp_path, text)) == expected


@pytest.mark.parametrize(
    "title, year",
    [
        ("Subventions 2021", 2021),
        ("Subventions 2021, mise à jour au 31/01/2024", 2021),
        ("Décret n° 2017-779 du 5 mai 2017", None),
        ("Communes de moins de 2000 habitants", None),
        ("Délibération du 15 décembre 2022", None),
    ],
)
def test_the_year_of_a_title_is_not_that_of_a_date_or_a_law(
    title: str, year: int | None, tmp_path: Path
) -> None:
    tables = ess.read(written(tmp_path, f"{title};;\n\nAssociation;Objet;Montant\n{THREE}"))
    assert tables.sources[0].tables[0].year == year
    assert ("READ-UNDATED" in set(tables.findings["code"])) == (year is None)


def test_a_title_and_a_name_that_disagree_leave_the_year_blank(tmp_path: Path) -> None:
    path = written(tmp_path, f"Subventions 2021;;\n\nAssociation;Objet;Montant\n{THREE}", "aides_2022.csv")
    tables = ess.read(path)
    assert tables.sources[0].tables[0].year is None
    assert "2021 selon le titre et 2022 selon le nom du fichier" in " ".join(tables.findings["message"])


def test_a_town_whose_name_begins_as_a_payment_says_no_stage(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"VILLE DE VERSAILLES;;\n\nAssociation;Objet;Montant\n{THREE}"))
    assert tables.funding["stage"].isna().all()


def test_a_line_of_free_words_that_was_cancelled_is_told(tmp_path: Path) -> None:
    lines = "".join(f"{n};note {n};{e}\n" for n, e in LINES)
    tables = ess.read(
        written(
            tmp_path, f"Association;Observations;Montant\n{lines}Zoé;Subvention annulée par délibération;50\n"
        )
    )
    told = tables.findings[tables.findings["code"].eq("READ-OTHER-LINE")]
    assert told["severity"].tolist() == ["alert"] and "ligne 10" in told["message"].iloc[0]


def test_files_of_an_archive_are_read_apart_with_their_draft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    path = tmp_path / "aides.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for year, name in ((2012, "Anis"), (2013, "Zoé")):
            archive.writestr(f"subventions_{year}.csv", f"Association;Objet;Montant versé\n{name};x;{year}\n")
    assert sorted(ess.read(path).funding["amount_eur"]) == [2012, 2013]
    assert ess.read(path, sheet="subventions_2013.csv").funding["amount_eur"].tolist() == [2013]
    main(["read", str(path), "--draft", "--summary"])
    sheet = tmp_path / "aides.zip.toml"
    sheet.write_text(
        sheet.read_text(encoding="utf-8").replace("à compléter", "non précisée"), encoding="utf-8"
    )
    funding = ess.read(path, source=sheet).funding
    assert funding[["year", "amount_eur"]].values.tolist() == [[2012, 2012], [2013, 2013]]


def test_a_source_sheet_without_an_amount_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "Association;Machin\nAnis;1\nJudo;2\n")
    main(["read", str(path), "--draft", "--summary"])
    sheet = tmp_path / "aides.csv.toml"
    text = re.sub(r"(?ms)^questions = \[$.*?^\]$", "", sheet.read_text(encoding="utf-8"))
    sheet.write_text(text.replace("à compléter", "non précisée"), encoding="utf-8")
    with pytest.raises(DataError, match="aucun montant"):
        ess.read(path, source=sheet)


@pytest.mark.parametrize(
    "around",
    [
        '"links": {"next": "https://exemple.fr/page=2"}',
        '"meta": {"total": 61}',
        '"numberMatched": 61',
        '"exceededTransferLimit": true',
    ],
)
def test_a_page_of_an_export_is_not_taken_for_the_whole(around: str, tmp_path: Path) -> None:
    line = '{"nomBeneficiaire": "Anis", "montant": 100, "annee": 2014}'
    tables = ess.read(
        written(tmp_path, f'{{"data": [{line}, {line.replace("100", "250")}], {around}}}', "aides.json")
    )
    assert "READ-TRUNCATED" in set(tables.findings.loc[tables.findings["severity"].eq("blocking"), "code"])


def test_a_word_met_late_in_a_large_file_is_judged_too(tmp_path: Path) -> None:
    head = "Année;Bénéficiaire;Objet;Montant;Etat\n"
    lines = "".join(f"2013;Association {n};Objet {n};{100 + n};Payé\n" for n in range(4000))
    path = written(tmp_path, head + lines)
    assert big.sums(path).lines == 4000
    for late in ("2013;Club X;F;999999;Refusé\n", "Garanties d'emprunt;;;;\n2013;OPH;F;999999;Payé\n"):
        with pytest.raises(big.Undecided):
            big.sums(written(tmp_path, head + lines + late, "late.csv"))


@pytest.mark.parametrize(
    "header",
    [
        "Nom de l'organisme;Attributaire;Montant",
        "COLL_NOM;ATTRIB_NOM;Montant",
        "Autorité administrative;Nom attributaire;Montant",
        "Nom attributaire;Bénéficiaire;Montant",
    ],
)
def test_the_giver_stands_alike_on_every_line(header: str, tmp_path: Path) -> None:
    lines = "".join(f"Ville de Bourges;{name};{euros}\n" for name, euros in LINES)
    funding = ess.read(written(tmp_path, f"{header}\n{lines}")).funding
    assert funding["funder"].unique().tolist() == ["Ville de Bourges"]
    assert funding["recipient"].tolist() == list(NAMES)


def test_the_nature_of_a_body_is_not_its_name_and_an_identifier_may_be_one(tmp_path: Path) -> None:
    lines = "".join(f"Association;{name};{euros}\n" for name, euros in LINES)
    head = "Nature juridique du bénéficiaire;Identification du bénéficiaire;Montant\n"
    assert ess.read(written(tmp_path, head + lines)).funding["recipient"].tolist() == list(NAMES)


def test_a_table_without_a_recipient_says_so(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"Bénéficiare;Objet;Montant\n{THREE}"))
    told = tables.findings[tables.findings["code"].eq("READ-NO-RECIPIENT")]
    assert told["severity"].tolist() == ["alert"] and "« Bénéficiare »" in told["message"].iloc[0]


def test_the_date_of_the_decision_is_not_that_of_a_reception(tmp_path: Path) -> None:
    lines = "".join(f"{name};12/12/2019;{euros};10/01/2020\n" for name, euros in LINES)
    head = "Bénéficiaire;DATE_DECISION;Montant;DATE_RECEPTION_CONVENTION\n"
    assert ess.read(written(tmp_path, head + lines)).funding["year"].unique().tolist() == [2019]
    tables = ess.read(written(tmp_path, head.replace("RECEPTION_", "") + lines))
    assert "READ-TWO-DATES" in set(tables.findings["code"])


def test_a_column_of_years_with_a_long_name_is_the_year(tmp_path: Path) -> None:
    lines = "".join(f"{name};2018;{euros}\n" for name, euros in LINES)
    head = "Association;Année budgétaire d'affectation de la subvention;Montant\n"
    assert ess.read(written(tmp_path, head + lines)).funding["year"].unique().tolist() == [2018]


def test_loans_told_in_english_are_loans(tmp_path: Path) -> None:
    text = (
        "Recipient Org:Name,Funding Org:Name,Currency,Amount Awarded,Award Date,Funding Type:Title\n"
        "Afa,Fund,GBP,50000,2022-10-01,Grant\nBerkshire,Fund,GBP,120000,2022-11-01,Loan\nNewbury,Fund,GBP,30000,2022-12-01,Grant\n"
    )
    path = written(tmp_path, text)
    assert total(path) == 80000 and total(path, "loan") == 120000


@pytest.mark.parametrize("head", ["{}:0:{}", "{}/0/{}"])
def test_the_numbered_headers_of_360giving_name_giver_and_recipient(head: str, tmp_path: Path) -> None:
    org = (
        ("Recipient Org", "Funding Org") if ":" in head else ("recipientOrganization", "fundingOrganization")
    )
    names = [head.format(one, "Name" if ":" in head else "name") for one in org]
    text = f"{','.join(names)},Currency,Amount Awarded,Award Date\nAfa,Fund,GBP,500,2022-10-01\nBee,Fund,GBP,70,2022-11-01\n"
    funding = ess.read(written(tmp_path, text)).funding
    assert funding["recipient"].tolist() == ["Afa", "Bee"] and set(funding["funder"]) == {"Fund"}


def test_individuals_are_recipients_where_no_organisation_is(tmp_path: Path) -> None:
    text = (
        "Recipient Org:Name,Recipient Ind:Name,Funding Org:Name,Currency,Amount Awarded,Award Date\n"
        "Afa,,Fund,GBP,500,2022-10-01\n,Individual 1,Fund,GBP,70,2022-11-01\n,Individual 2,Fund,GBP,80,2022-11-01\n"
    )
    assert ess.read(written(tmp_path, text)).funding["recipient"].tolist() == [
        "Afa",
        "Individual 1",
        "Individual 2",
    ]


GIVERS = "Axe;Action;Porteur;Métropole;Région;Commune;Total (€)\n" + "".join(
    f"Axe 1;x;{n};{e};{e + 50};{'' if e < 1000 else 100};{2 * e + 50 + (0 if e < 1000 else 100)}\n"
    for n, e in LINES
)


def test_one_column_for_each_giver_is_read_the_total_of_the_line_left_out(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, GIVERS))
    by = tables.funding.groupby("funder")["amount_eur"].sum().to_dict()
    assert by == {
        "Métropole": WHOLE,
        "Région": WHOLE + 50 * len(SUMS),
        "Commune": 100 * sum(e >= 1000 for e in SUMS),
    }
    assert len(tables.records) == len(SUMS)


def test_a_giver_of_one_sum_or_of_small_ones_is_read_beside_the_others(tmp_path: Path) -> None:
    lines = "".join(
        f"{n};x;{e};{e + 50};{5000 if e == 480 else ''};{20 if e == 900 else ''};59350\n" for n, e in LINES
    )
    text = f"Financements 2023;;;;;;\n\nPorteur;Action;Métropole;Région;Département;Caf;Commune\n{lines}"
    by = ess.read(written(tmp_path, text)).funding.groupby("funder")["amount_eur"].sum().to_dict()
    assert by == {"Métropole": WHOLE, "Région": WHOLE + 50 * len(SUMS), "Département": 5000, "Caf": 20}


def test_the_giver_of_a_column_is_told_without_its_stage_and_its_unit(tmp_path: Path) -> None:
    lines = "".join(f"{n};{e};{e - 50};{e + 50};{e}\n" for n, e in LINES)
    head = "Porteur;Région prévisionnel (€);Région réalisé (€);Ville de Lille prévisionnel (€);Ville de Lille réalisé (€)"
    funding = ess.read(written(tmp_path, f"Financements 2023;;;;\n\n{head}\n{lines}")).funding
    assert set(funding["funder"]) == {"Région", "Ville de Lille"} and set(funding["stage"]) == {
        "planned",
        "paid",
    }


def test_one_column_for_each_year_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{n};{e};{e + 100};{2 * e + 100};5 %\n" for n, e in LINES)
    text = f"Subventions de fonctionnement (€);;;;\n\nAssociation;2021;2022;Total;Évolution\n{lines}"
    by = ess.read(written(tmp_path, text)).funding.groupby("year")["amount_eur"].sum().to_dict()
    assert by == {2021: WHOLE, 2022: WHOLE + 100 * len(SUMS)}


def test_numbers_of_departments_are_no_amounts(tmp_path: Path) -> None:
    lines = "".join(f"{n};59;{62 + k % 2};{e}\n" for k, (n, e) in enumerate(LINES))
    text = f"Bénéficiaire;Département;Département de l'élu;Montant versé en 2013 (€)\n{lines}"
    assert total(written(tmp_path, text)) == WHOLE


def test_the_same_grant_told_at_each_payment_is_an_alert(tmp_path: Path) -> None:
    lines = "".join(f"D{k};{n};{e};2022-03-0{k + 1}\n" for k, (n, e) in enumerate(LINES))
    again = "D0;Anis;6250;2022-09-01\n"
    tables = ess.read(written(tmp_path, f"Référence;Bénéficiaire;Montant;Date de versement\n{lines}{again}"))
    told = tables.findings[tables.findings["code"].eq("READ-REPEATED")]
    assert told["severity"].tolist() == ["alert"] and "6\u202f250" in told["message"].iloc[0]


def test_several_stages_are_never_added_in_a_summary(tmp_path: Path) -> None:
    lines = "".join(f"{n};{e};{e // 2};2021\n" for n, e in LINES)
    path = written(tmp_path, f"Association;Montant voté;Montant versé;Année\n{lines}")
    said = reading.summary(path, ess.read(path))
    paid = float(sum(e // 2 for e in SUMS))
    assert said["amount_eur"] is None and said["by_stage"] == {"awarded": WHOLE, "paid": paid}
    assert said["by_year"] == {"2021": said["by_stage"]} and said["by_kind"] == {"cash": said["by_stage"]}


def test_an_unknown_form_of_aid_is_a_blocking_finding(tmp_path: Path) -> None:
    lines = "".join(f"{n};{e};{'Troc' if e == 480 else 'Numéraire'}\n" for n, e in LINES)
    found = ess.read(
        written(tmp_path, f"Association;Montant;Nature de l'aide\n{lines}Zoé;10;Garantie bancaire\n")
    )
    told = found.findings[found.findings["code"].eq("READ-KIND")]
    assert told["severity"].tolist() == ["blocking"] and "Troc" in told["message"].iloc[0]
    assert found.funding.loc[found.funding["recipient"].eq("Zoé"), "kind"].tolist() == ["guarantee"]


def test_an_error_of_a_spreadsheet_is_a_lost_amount(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"Association;Objet;Montant\n{THREE}Zoé;x;#N/A\n"))
    told = tables.findings[tables.findings["code"].eq("READ-AMOUNT")]
    assert told["severity"].tolist() == ["blocking"] and "#N/A" in told["message"].iloc[0]


def test_a_section_sum_is_no_gap_of_the_total(tmp_path: Path) -> None:
    parts = f"SPORT;;{sum(SUMS[:4])}\n" + "".join(f"{n};x;{e}\n" for n, e in LINES[:4])
    parts += f"CULTURE;;{sum(SUMS[4:])}\n" + "".join(f"{n};x;{e}\n" for n, e in LINES[4:])
    tables = ess.read(written(tmp_path, f"Association;Objet;Montant\n{parts}TOTAL;;{WHOLE}\n"))
    assert total_of(tables) == WHOLE and "READ-TOTAL-GAP" not in set(tables.findings["code"])


def total_of(tables: Tables) -> float:
    return round(float(tables.funding["amount_eur"].sum()), 2)


def test_a_euro_sign_alone_tells_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "aides.csv").write_bytes("Association;Montant\nAnis;1 500 €\n".encode("cp1252"))
    assert total(tmp_path / "aides.csv") == 1500


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        ("(F CFP)", "XPF"),
        ("(FCFA)", "XOF"),
        ("en francs", "FRF"),
        ("en PLN", "PLN"),
        ("en livres sterling", "GBP"),
        ("(Fr.)", "CHF"),
    ],
)
def test_the_currency_of_a_header_is_that_of_the_amounts(header: str, currency: str, tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"Association;Montant versé {header}\n{TWO}"))
    assert tables.sources[0].currency == currency


def test_a_column_of_currencies_without_a_name_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{name};{euros};FCFA\n" for name, euros in LINES)
    assert ess.read(written(tmp_path, f"Association;Montant;Unité\n{lines}")).sources[0].currency == "XOF"


def test_a_file_cut_in_its_last_line_says_so(tmp_path: Path) -> None:
    text = (
        "Association;Objet;Siège;Montant;Note\nAnis;Bal;Lille;1500;x\nJudo;Tournoi;Loos;800;y\nZoé;Bal;Hem;12"
    )
    found = ess.read(written(tmp_path, text)).findings
    assert found.loc[found["code"].eq("READ-TRUNCATED"), "severity"].tolist() == ["blocking"]


def test_a_footer_without_an_end_is_not_a_line_cut_short(tmp_path: Path) -> None:
    text = "Association;Objet;Siège;Montant;Note\nAnis;Bal;Lille;1500;x\nJudo;Tournoi;Loos;800;y\nExtraction du 06/04/2016"
    found = ess.read(written(tmp_path, text)).findings
    assert "READ-TRUNCATED" not in set(found["code"]) and "READ-NOT-DATA" in set(found["code"])


@pytest.mark.parametrize("header", ["Année de création", "Année d'agrément", "Année de fin"])
def test_the_year_of_a_body_is_not_that_of_its_grant(header: str, tmp_path: Path) -> None:
    lines = "".join(f"{name};2001;{euros}\n" for name, euros in LINES)
    assert (
        ess.read(written(tmp_path, f"Structure;{header};Montant accordé\n{lines}"))
        .funding["year"]
        .isna()
        .all()
    )


@pytest.mark.parametrize(("stage", "year"), [("versé", 2022), ("voté", 2021)])
def test_what_is_paid_is_dated_by_its_payment(stage: str, year: int, tmp_path: Path) -> None:
    lines = "".join(f"{name};10/12/2021;01/03/2022;{euros}\n" for name, euros in LINES)
    text = f"Structure;Date de vote;Date de versement;Montant {stage}\n{lines}"
    assert set(ess.read(written(tmp_path, text)).funding["year"]) == {year}


def test_a_total_beside_its_givers_tells_that_they_are_sums(tmp_path: Path) -> None:
    lines = "".join(f"{name};x;{euros};{euros};{2 * euros}\n" for name, euros in LINES)
    funding = ess.read(written(tmp_path, f"Porteur;Action;Etat;Ville;Total accordé\n{lines}")).funding
    assert funding["amount_eur"].sum() == 2 * WHOLE and set(funding["funder"]) == {"Etat", "Ville"}
    assert set(funding["stage"]) == {"awarded"}


def test_a_heading_between_lines_is_told(tmp_path: Path) -> None:
    text = f"Attribué par la Région;\nAssociation;Montant\n{TWO}Attribué par la Ville;\nAssociation;Montant\nZoé;70\n"
    found = ess.read(written(tmp_path, text)).findings
    assert "alert" in set(found.loc[found["code"].eq("READ-NOT-DATA"), "severity"])


def test_a_blank_column_does_not_make_a_giver_of_the_recipient(tmp_path: Path) -> None:
    funding = ess.read(
        written(tmp_path, "Raison sociale;Raison sociale 2;Mandaté\nAnis;;450\nAnis;;700\n")
    ).funding
    assert set(funding["recipient"]) == {"Anis"} and funding["funder"].isna().all()


def test_the_total_of_givers_gives_them_its_currency(tmp_path: Path) -> None:
    lines = "".join(f"{name};{euros};{euros};{2 * euros}\n" for name, euros in LINES)
    tables = ess.read(written(tmp_path, f"Projet;Canton;Ville;Total CHF\n{lines}"))
    assert tables.sources[0].currency == "CHF" and tables.funding["amount_eur"].sum() == 2 * WHOLE


def test_a_loan_of_equipment_is_in_kind(tmp_path: Path) -> None:
    lines = "".join(f"{name};{euros};{euros}\n" for name, euros in LINES)
    assert (
        total(written(tmp_path, f"Association;Subvention 2022;Prêt de matériel\n{lines}"), "in_kind") == WHOLE
    )


def test_a_body_that_grants_has_other_names_and_a_file_without_one_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"Ixelles;{name};10/03/2022;{euros}\n" for name, euros in LINES)
    head = "Pouvoir dispensateur;Bénéficiaire;Date de la commission permanente;Montant octroyé"
    funding = ess.read(written(tmp_path, f"{head}\n{lines}")).funding
    assert set(funding["funder"]) == {"Ixelles"} and set(funding["year"]) == {2022}
    main(["read", str(written(tmp_path, f"Association;Montant voté\n{TWO}")), "--summary"])
    assert "Financeur : aucune colonne ne le dit" in capsys.readouterr().out
