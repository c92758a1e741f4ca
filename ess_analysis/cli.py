"""The `ess` command: it reads the words typed, calls the library, and says what came out. No logic here."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ess_analysis.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FINE, BLOCKED, WRONG_USE = 0, 1, 2

KEPT = {  # what `ess breakdown` can be limited to, and what is said of it; "" has an option of its own
    "year": "",
    "stage": "",
    "kind": "",
    "territory": "ce territoire",
    "commune": "cette commune",
    "funder": "ce financeur",
    "recipient": "ce bénéficiaire",
    "operator": "cet opérateur",
    "axis": "cet axe",
    "programme": "ce dispositif",
    "strand": "ce volet",
    "legal_status": "ce statut",
}

_DESCRIPTION = """\
Évaluer le soutien public local à l'économie sociale et solidaire :
lire les tables, les contrôler, les ventiler, rendre les rapports, explorer les scénarios."""

_EXAMPLES = """\
exemples :
  ess check                                   ce que les contrôles trouvent dans data/raw
  ess breakdown --by axis --by funder --year 2013 --stage planned
  ess report                                  tous les rapports, dans reports/
  ess report rapport_annuel --year 2013       un seul
  ess explain "2013/Ville de Lille/Promotion et communication"
  ess read subventions.csv --summary          un fichier publié, sans préparation

codes de retour : 0 tout va bien (des alertes sont possibles) · 1 constat bloquant ou rapport en échec ·
                  2 demande incorrecte ou données illisibles"""

# argparse speaks English; these are the sentences a user can meet.
_FRENCH = {
    "usage: ": "usage : ",
    "positional arguments": "arguments",
    "options": "options",
    "show this help message and exit": "affiche cette aide",
    "%(prog)s: error: %(message)s\n": "%(prog)s : %(message)s\n",
    "the following arguments are required: %s": "il manque : %s",
    "unrecognized arguments: %s": "arguments inconnus : %s",
    "expected one argument": "une valeur est attendue",
    "expected at least one argument": "au moins une valeur est attendue",
    "invalid choice: %(value)r (choose from %(choices)s)": "« %(value)s » inconnu ; au choix : %(choices)s",
    "invalid %(type)s value: %(value)r": "« %(value)s » n'est pas une valeur correcte (%(type)s)",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s : %(message)s",
    "not allowed with argument %s": "ne va pas avec %s",
    "one of the arguments %s is required": "il faut l'un de : %s",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command line (see `_EXAMPLES`)."""
    words = parser()
    options = words.parse_args(arguments)
    if not hasattr(options, "run"):
        words.print_help()
        return FINE
    try:
        return options.run(options)
    except DataError as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # « ess … | head »
            sys.stderr.close()
            return FINE
        where = f" : {error.filename}" if error.filename else ""
        print(f"Lecture ou écriture impossible{where} ({error.strerror or error}).", file=sys.stderr)
        print("  À faire : vérifiez le chemin, les droits et la place sur le disque.", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("Interrompu.", file=sys.stderr)
        return 130


# --- One function per command --------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from ess_analysis.reports.answered import answer

    def ask() -> tuple[str, int]:
        from ess_analysis import terminal
        from ess_analysis.checks import check
        from ess_analysis.load import load

        findings = check(load(options.data))
        table = options.format == "table"
        text = terminal.findings(findings) if table else _text(findings, options)
        return text, BLOCKED if (findings["severity"] == "blocking").any() else FINE

    width = shutil.get_terminal_size((100, 40)).columns if options.format == "table" else 0
    text, code = answer(f"check {options.data} {options.format} {width}", options.data, ask)
    print(text)
    return code


def _breakdown(options: argparse.Namespace) -> int:
    from ess_analysis.breakdowns import breakdown, consolidated
    from ess_analysis.load import load

    wanted = {name: getattr(options, name) for name in KEPT if getattr(options, name) is not None}
    settings = {"apportion": options.apportion, "undated": options.undated}
    made = consolidated if options.once else breakdown
    result = made(load(options.data), options.by, **settings, **wanted)
    _show(result[[*options.by, "amount_eur", "count", "share"]], options)
    return FINE


def _build(options: argparse.Namespace) -> int:
    from ess_analysis import processed

    try:
        written = processed.build(options.data, options.out)
    except processed.BlockedError as error:
        print(error, file=sys.stderr)
        return BLOCKED
    if options.format == "table":
        print(*written, sep="\n")
    else:
        import pandas as pd

        files = [(str(path), path.stat().st_size) for path in written]
        _show(pd.DataFrame(files, columns=["file", "bytes"]), options)
    return FINE


def _explain(options: argparse.Namespace) -> int:
    from ess_analysis.load import load
    from ess_analysis.traces import explain

    print(explain(options.query, load(options.data)))
    return FINE


def _diff(options: argparse.Namespace) -> int:
    from ess_analysis.diff import diff, told

    changes = diff(options.old, options.new)
    print(told(changes) if options.format == "table" else _text(changes, options))
    return FINE


def _report(options: argparse.Namespace) -> int:
    from ess_analysis.reports import batch

    return batch.command(options)


def _watch(options: argparse.Namespace) -> int:
    from ess_analysis.reports import watch

    return watch.command(options)


def _export(options: argparse.Namespace) -> int:
    if options.to:
        from ess_analysis import exports

        source = options.file or options.data
        print(exports.export(source, to=options.to, out=options.out, partial=options.partial))
        return FINE
    if options.file is None:
        raise DataError("ess export : il manque le notebook.", todo="indiquez un .ipynb, ou --to FORMAT.")
    from ess_analysis.reports import exporter

    print(exporter.export_file(options.file, out=options.out, pdf=options.pdf))
    return FINE


def _read(options: argparse.Namespace) -> int:
    from ess_analysis import open_data

    return open_data.command(options)


def _template(options: argparse.Namespace) -> int:
    from ess_analysis import template

    for path in template.write_template(options.file, year=options.year, data=options.data):
        print(path)
    return FINE


def _scenarios(options: argparse.Namespace) -> int:
    from ess_analysis import scenarios

    return scenarios.command(options)


def _explore(options: argparse.Namespace) -> int:
    from ess_analysis import scenarios

    return scenarios.explore(options)


def _show(frame: pd.DataFrame, options: argparse.Namespace) -> None:
    print(_text(frame, options))


def _text(frame: pd.DataFrame, options: argparse.Namespace) -> str:
    from ess_analysis import terminal

    return terminal.rendered(frame, options.format)


# --- The words of the command --------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The reader of the command line, its sentences in French."""
    argparse._ = lambda text: _FRENCH.get(text, text)  # type: ignore[attr-defined]
    whole = argparse.ArgumentParser(
        prog="ess",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=16),
    )
    commands = whole.add_subparsers(title="commandes", metavar="COMMANDE")

    def command(name: str, run: Callable[[argparse.Namespace], int], sentence: str) -> Any:
        sub = commands.add_parser(name, help=sentence, description=sentence)
        sub.set_defaults(run=run)
        return sub

    def takes_data(sub: Any) -> None:
        sub.add_argument(
            "--data", metavar="DIR", type=Path, default=Path("data/raw"), help="dossier de données (data/raw)"
        )

    def takes_format(sub: Any) -> None:
        sub.add_argument(
            "--format",
            choices=("table", "csv", "json"),
            default="table",
            metavar="table|csv|json",
            help="forme du résultat (table)",
        )

    sub = command("check", _check, "Contrôle les tables et liste les constats.")
    takes_data(sub)
    takes_format(sub)

    sub = command("breakdown", _breakdown, "Ventile les montants selon une ou plusieurs colonnes.")
    sub.add_argument(
        "--by",
        action="append",
        required=True,
        metavar="COLONNE",
        help="axis, territory, commune, funder, recipient, operator, programme, year, stage, kind, strand, "
        "legal_status ; à répéter pour croiser",
    )
    sub.add_argument("--year", action="append", type=int, metavar="AAAA", help="année, à répéter")
    sub.add_argument(
        "--stage", action="append", metavar="ÉTAPE", help="allocated, planned, awarded ou paid, à répéter"
    )
    sub.add_argument("--kind", action="append", metavar="FORME", help="cash, in_kind, loan ou guarantee")
    for name, what in KEPT.items():
        if what:
            option, metavar = f"--{name.replace('_', '-')}", what.split(" ")[-1].upper()
            sub.add_argument(option, action="append", metavar=metavar, help=f"ne garder que {what}")
    sub.add_argument(
        "--apportion",
        choices=("equal", "population", "whole"),
        default="equal",
        metavar="equal|population|whole",
        help="partage d'un montant entre plusieurs territoires (equal)",
    )
    sub.add_argument(
        "--undated",
        choices=("apart", "spread"),
        default="apart",
        metavar="apart|spread",
        help="montants sans année : à part, ou répartis sur la période de leur source (apart)",
    )
    sub.add_argument(
        "--once",
        action="store_true",
        help="compter chaque euro une seule fois, à son étape la plus avancée, toutes étapes réunies",
    )
    takes_data(sub)
    takes_format(sub)

    sub = command("build", _build, "Écrit les tables et le classeur de synthèse dans data/processed.")
    takes_data(sub)
    sub.add_argument("--out", metavar="DIR", type=Path, default=Path("data/processed"), help="où écrire")
    takes_format(sub)

    sub = command("report", _report, "Rend les rapports dont quelque chose a changé.")
    sub.add_argument("names", nargs="*", metavar="NOM", help="rapports à rendre (tous)")
    sub.add_argument("--year", action="append", type=int, metavar="AAAA", help="ne rendre que ces années")
    sub.add_argument("--set", action="append", metavar="CLÉ=VALEUR", default=[], help="paramètre du notebook")
    sub.add_argument("--scenario", type=Path, metavar="FICHIER", help="scénario figé à rejouer (.toml)")
    sub.add_argument("--out", metavar="DIR", type=Path, default=Path("reports"), help="où écrire (reports)")
    takes_data(sub)
    sub.add_argument("--notebooks", metavar="DIR", type=Path, default=Path("notebooks"), help="notebooks")
    sub.add_argument("--only", action="append", metavar="MOTIF", help="seuls ces fichiers (ex. : *2013*)")
    sub.add_argument("--force", action="store_true", help="rendre même ce qui n'a pas changé")
    sub.add_argument("--dry-run", action="store_true", help="dire ce qui serait rendu, et pourquoi")
    sub.add_argument("--jobs", type=int, metavar="N", help="rapports rendus en même temps (les cœurs)")
    sub.add_argument("--timeout", type=float, metavar="S", help="secondes accordées à un rapport")
    sub.add_argument("--memory", type=int, metavar="MO", help="mémoire accordée à un rapport, en Mo")
    sub.add_argument("--cluster", metavar="ADRESSE", help="ordonnanceur Dask, par exemple tcp://hote:8786")
    sub.add_argument("--pdf", action="store_true", help="écrire aussi les PDF (demande Chromium)")
    sub.add_argument("--quiet", "-q", action="store_true", help="ne montrer que le bilan")

    sub = command("watch", _watch, "Rend à nouveau, dès l'enregistrement, les rapports concernés.")
    sub.add_argument("names", nargs="*", metavar="NOM", help="rapports suivis (tous)")
    sub.add_argument("--out", metavar="DIR", type=Path, default=Path("reports"), help="où écrire (reports)")
    takes_data(sub)
    sub.add_argument("--notebooks", metavar="DIR", type=Path, default=Path("notebooks"), help="notebooks")
    sub.add_argument("--port", type=int, default=8700, help="port local de la page (8700)")

    sub = command(
        "export", _export, "Exporte un notebook en page HTML, ou les tables dans un format d'échange."
    )
    sub.add_argument("file", nargs="?", type=Path, metavar="FICHIER", help="notebook, ou table à convertir")
    sub.add_argument("--out", metavar="FICHIER", type=Path, help="fichier à écrire")
    sub.add_argument("--pdf", action="store_true", help="écrire aussi le PDF (demande Chromium)")
    sub.add_argument(
        "--to",
        choices=("scdl", "360giving", "xlsx", "parquet", "csv"),
        metavar="FORMAT",
        help="scdl, 360giving, xlsx, parquet ou csv",
    )
    sub.add_argument(
        "--partial", action="store_true", help="exporter les lignes qui le peuvent, lister les autres à côté"
    )
    takes_data(sub)

    sub = command("read", _read, "Lit des tables publiées par n'importe quel organisme.")
    sub.add_argument(
        "files", nargs="+", type=Path, metavar="FICHIER", help=".csv .tsv .xlsx .xls .ods .json .zip"
    )
    sub.add_argument("--sheet", metavar="NOM", help="feuille à lire")
    sub.add_argument("--source", type=Path, metavar="FICHE", help="fiche source (.toml)")
    sub.add_argument("--summary", action="store_true", help="un résumé par fichier plutôt que les lignes")
    sub.add_argument("--draft", action="store_true", help="écrire une fiche source à compléter")
    takes_format(sub)

    sub = command("template", _template, "Écrit le classeur vide d'une nouvelle collecte.")
    sub.add_argument("file", type=Path, metavar="FICHIER.xlsx", help="classeur à écrire")
    sub.add_argument("--year", type=int, required=True, metavar="AAAA", help="année de la collecte")
    takes_data(sub)

    sub = command("explain", _explain, "Dit de quelles cellules vient un chiffre.")
    sub.add_argument(
        "query", metavar="CHIFFRE", help='par exemple "2013/Ville de Lille/Promotion et communication"'
    )
    takes_data(sub)

    sub = command("diff", _diff, "Dit ce qui a changé entre deux collectes, et quels chiffres bougent.")
    sub.add_argument("old", type=Path, metavar="AVANT", help="dossier d'avant")
    sub.add_argument("new", type=Path, metavar="APRÈS", help="dossier d'après")
    takes_format(sub)

    sub = command("scenarios", _scenarios, "Calcule les scénarios 2015-2020.")
    sub.add_argument("--set", action="append", metavar="NOM=VALEUR", default=[], help="levier ou hypothèse")
    sub.add_argument(
        "--draws", type=int, metavar="N", default=0, help="nombre de tirages pour les fourchettes"
    )
    sub.add_argument("--switch", metavar="NOM", help="valeurs de bascule de cette entrée")
    takes_data(sub)
    takes_format(sub)

    sub = command("explore", _explore, "Ouvre l'exploration des scénarios dans JupyterLab.")
    sub.add_argument("--app", action="store_true", help="en application Voilà (extra « app »)")
    takes_data(sub)
    return whole


if __name__ == "__main__":
    sys.exit(main())
