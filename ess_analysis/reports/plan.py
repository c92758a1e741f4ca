"""What the yearly batch renders, and what of it is up to date: standard library only, so that it is instant.

`notebooks/reports.toml` lists the reports; an entry `over` names a parameter and the values it takes:
« years », « territories », « funders » (all those of the data) or a list. A report is rendered again when its
notebook, its parameters, a data file it read, the library or the template changed: content hashes, kept in
`OUT/.ess/manifest.json`. What a report reads is what its kernel opened; when that cannot be known, it counts
as reading the whole data folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.writing import write_whole

STATE = ".ess"
DOMAINS = ("years", "territories", "funders")
EVERY_FILE = "*"  # among the files read: which ones is not known, so all of them


@dataclass(frozen=True)
class Report:
    """One report to render: a notebook, its parameters, the file it becomes."""

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    file: str

    @property
    def key(self) -> str:
        """What the report is called in the manifest."""
        return self.file


@dataclass(frozen=True)
class Family:
    """An entry of reports.toml: a notebook and the values its parameters take."""

    name: str
    notebook: Path
    over: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    skip_without: str = ""  # a file of the data folder without which the report makes no sense

    @property
    def over_the_data(self) -> bool:
        """Whether what it renders depends on the years, territories or funders of the data."""
        ends = {"first year", "last year"}
        return any(isinstance(domain, str) for domain in self.over.values()) or any(
            isinstance(value, str) and value in ends for value in self.parameters.values()
        )


@dataclass(frozen=True)
class Due:
    """A report of the plan and why it must be rendered (in French; empty: it is up to date)."""

    report: Report
    why: str


def families(notebooks: Path) -> list[Family]:
    """The entries of `reports.toml`. Raises DataError when it is absent or wrong."""
    listing = notebooks / "reports.toml"
    try:
        content = tomllib.loads(listing.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"Liste des rapports absente : {listing}.", todo="indiquez le dossier avec --notebooks."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            f"Liste des rapports illisible : {listing}.", seen=[error], todo="corrigez la ligne."
        ) from error
    found = []
    for entry in content.get("report", []):
        unknown = set(entry) - {"name", "notebook", "over", "parameters", "skip_without"}
        if unknown or "name" not in entry:
            raise DataError(
                f"Entrée incorrecte dans {listing}.",
                seen=sorted(unknown) or [entry],
                todo="mots admis : name, notebook, over, parameters, skip_without.",
            )
        for name, domain in entry.get("over", {}).items():
            if not isinstance(domain, list) and domain not in DOMAINS:
                raise DataError(
                    f"Entrée incorrecte dans {listing} : over, {name}.",
                    seen=[domain],
                    todo=f"mettez une liste, ou l'un de : {', '.join(DOMAINS)}.",
                )
        notebook = notebooks / entry.get("notebook", f"{entry['name']}.ipynb")
        found.append(Family(**{**entry, "notebook": notebook}))
    return found


def reports(
    listed: Sequence[Family],
    values: Mapping[str, Sequence[Any]],
    *,
    names: Sequence[str] = (),
    years: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
    data: Path = Path("data/raw"),
) -> list[Report]:
    """The reports asked for, one per combination of values; settings replace parameters.

    A setting narrows the reports to those whose notebook takes it, unless they are asked for by name.
    Raises DataError, naming what exists, on an unknown report, year, parameter, value or pattern.
    """
    known = [family.name for family in listed]
    settings = settings or {}
    names = [
        next((f.name for f in listed if name == f.notebook.stem), name) if name not in known else name
        for name in names
    ]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError("Rapport inconnu.", seen=unknown, todo=f"rapports disponibles : {', '.join(known)}.")
    absent = [year for year in years if year not in values["years"]]
    if absent:
        dated = f"années des données : {_said(values['years'])}."
        undated = "les données n'ont pas d'année : écrivez-la dans la fiche source, par exemple year = 2023."
        raise DataError("Année inconnue.", seen=absent, todo=dated if values["years"] else undated)
    asked = [family for family in listed if not names or family.name in names]
    if years:
        asked = [family for family in asked if "years" in family.over.values()] or asked
    if not names:
        asked = [f for f in asked if not f.skip_without or (data / f.skip_without).exists()]
    if settings and not names:
        taken = {family.name: parameters_of(family.notebook) for family in asked}
        asked = [family for family in asked if set(settings) <= set(taken[family.name])]
        if not asked:
            every = sorted({name for names in taken.values() for name in names})
            raise DataError(
                "Aucun notebook ne prend ces paramètres.",
                seen=settings,
                todo=f"paramètres des notebooks : {', '.join(every)}.",
            )
    found = _apart([report for family in asked for report in _of(family, values, years, settings)])
    kept = [r for r in found if not only or any(fnmatch(r.file, p) or fnmatch(r.name, p) for p in only)]
    if found and not kept:
        raise DataError(
            "Aucun rapport de ce nom de fichier.",
            seen=only,
            todo=f"fichiers : {_said(r.file for r in found)}.",
        )
    return kept


def _apart(found: Sequence[Report]) -> list[Report]:
    """The reports, two of which never share a file: « Saint-André » and « Saint André » are numbered."""
    taken: dict[str, int] = {}
    apart = []
    for report in found:
        taken[report.file] = number = taken.get(report.file, 0) + 1
        stem = report.file.removesuffix(".html")
        apart.append(report if number == 1 else replace(report, file=f"{stem}-{number}.html"))
    return apart


def _of(
    family: Family, values: Mapping[str, Sequence[Any]], years: Sequence[int], settings: Mapping[str, Any]
) -> Iterator[Report]:
    taken = parameters_of(family.notebook)
    unknown = [name for name in settings if name not in taken]
    if unknown:
        raise DataError(
            f"Paramètre inconnu de {family.notebook.name}.",
            seen=unknown,
            todo=f"paramètres du notebook : {', '.join(taken)}.",
        )
    over = {}
    for name, domain in family.over.items():
        choices = values[domain] if isinstance(domain, str) else list(domain)
        if name in settings:
            over[name] = [_among(name, settings[name], choices)]
        elif domain == "years" and years:
            over[name] = list(years)
        else:
            over[name] = list(choices)
    fixed = {name: _edge(value, values) for name, value in family.parameters.items()}
    fixed |= {name: value for name, value in settings.items() if name not in over}
    for combination in product(*over.values()):
        chosen = dict(zip(over, combination, strict=True))
        words = [family.name, *(str(value) for value in chosen.values())]
        words += [f"{name}-{_word(value)}" for name, value in settings.items() if name not in over]
        yield Report(
            family.name, family.notebook, {**fixed, **chosen}, french.slug("-".join(words)) + ".html"
        )


def _word(value: Any) -> str:
    """How a value is said in a file name: a file by its name alone."""
    return Path(value).stem if file_digest(value) else str(value)


def _edge(value: Any, values: Mapping[str, Sequence[Any]]) -> Any:
    """« first year » and « last year » stand for the ends of the data."""
    years = values["years"]
    return {"first year": years[0], "last year": years[-1]}.get(value, value) if years else value


def _among(name: str, value: Any, choices: Sequence[Any]) -> Any:
    alike = [choice for choice in choices if str(choice) == str(value)]
    if not alike:
        raise DataError(
            f"Valeur inconnue pour {name}.", seen=[value], todo=f"valeurs des données : {_said(choices)}."
        )
    return alike[0]


def _said(values: Iterable[Any]) -> str:
    texts = [str(value) for value in values]
    return ", ".join(texts[:40]) + (f"… ({len(texts)} en tout)" if len(texts) > 40 else "")


def parameters_of(notebook: Path) -> list[str]:
    """The names assigned in the notebook's cell tagged `parameters`."""
    import ast

    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"Notebook illisible : {notebook}.", seen=[error], todo="vérifiez le fichier."
        ) from error
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            tree = ast.parse("".join(cell["source"]))
            return [
                t.id
                for n in tree.body
                if isinstance(n, ast.Assign)
                for t in n.targets
                if isinstance(t, ast.Name)
            ]
    return []


# --- Up to date or not ---------------------------------------------------------------------------


def digest_of(paths: Iterable[Path], root: Path) -> str:
    """One digest of the contents and relative names of these files."""
    whole = hashlib.sha256()
    for path in sorted(paths):
        whole.update(path.relative_to(root).as_posix().encode() + b"\0")
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def library_digest() -> str:
    """The digest of the library's own files: code, template, style. The same on every machine."""
    package = Path(__file__).resolve().parents[1]
    files = (p for p in package.rglob("*") if p.suffix in {".py", ".j2", ".css", ".js", ".toml"})
    return digest_of(files, package)


def environment_digest() -> str:
    """The digest of Python's version and of the names and versions of the packages installed."""
    folders = [folder for folder in sys.path if folder.endswith("site-packages") and os.path.isdir(folder)]
    packages = sorted(
        name for folder in folders for name in os.listdir(folder) if name.endswith(".dist-info")
    )
    return hashlib.sha256("\0".join([platform.python_version(), *packages]).encode()).hexdigest()


def file_digest(value: Any) -> str:
    """The digest of the file that a parameter names (a frozen scenario); empty when it names none."""
    if not isinstance(value, str) or not os.path.isabs(value) or not os.path.isfile(value):
        return ""
    return hashlib.sha256(Path(value).read_bytes()).hexdigest()


def _written(parameters: Mapping[str, Any]) -> str:
    """The parameters as the manifest keeps them, the files they name by content."""
    known = {name: file_digest(value) or value for name, value in parameters.items()}
    return json.dumps(known, sort_keys=True, default=str)


def digest_now(path: Path) -> str:
    """The digest of a file as it is; empty when it is gone."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def digest_of_names(names: Iterable[str], digests: Mapping[str, str]) -> str:
    """One digest of these files, by name; a file that is gone counts as such."""
    pairs = "\0".join(f"{name}={digests.get(name, 'absent')}" for name in sorted(names))
    return hashlib.sha256(pairs.encode()).hexdigest()


def sheet_date(path: Path) -> str:
    """The date that a source sheet gives to its file (« 2014-11 »); empty for anything else."""
    if path.suffix != ".toml":
        return ""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("file", {}).get("date", ""))
    except (OSError, ValueError, AttributeError):
        return ""


class DataFiles:
    """The digest of each file of the data folder; a large file is hashed again only when its stat changed."""

    SMALL = 2**20
    FRESH = 2 * 10**9  # a file changed less than 2 s ago, or later than now, may change again unseen

    def __init__(self, folder: Path, known: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.stats: dict[str, list[Any]] = dict((known or {}).get("stats", {}))
        self.digests = {name: self._digest(name, path) for name, path in self._files()}

    def _files(self) -> list[tuple[str, Path]]:
        if not self.folder.is_dir():
            raise DataError(
                f"Dossier de données absent : {self.folder}.", todo="indiquez le bon dossier avec --data."
            )
        paths = (
            path
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith((".", "~$"))
        )
        return sorted((path.relative_to(self.folder).as_posix(), path) for path in paths)

    def _digest(self, name: str, path: Path) -> str:
        stat = path.stat()
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self.stats.get(name)
        if stat.st_size > self.SMALL and known and known[:4] == mark:
            return str(known[4])
        found = digest_now(path)
        self.stats.pop(name, None)
        if stat.st_size > self.SMALL and time.time_ns() - max(mark[1], mark[2]) > self.FRESH:
            self.stats[name] = [*mark, found]
        return found

    def digest(self, names: Iterable[str] = (EVERY_FILE,)) -> str:
        """One digest of these files (all of them by default); a file that is gone counts as such."""
        return digest_of_names(self.digests if EVERY_FILE in names else names, self.digests)


@dataclass(frozen=True)
class Now:
    """What reports are made from today, hashed once for the whole plan."""

    files: DataFiles
    library: str = field(default_factory=library_digest)
    environment: str = field(default_factory=environment_digest)
    notebooks: dict[Path, str] = field(default_factory=dict)

    def notebook(self, path: Path) -> str:
        """The digest of a notebook."""
        if path not in self.notebooks:
            self.notebooks[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self.notebooks[path]

    @cached_property
    def names(self) -> str:
        """The digest of the names of the data files: one that comes or goes may change any report."""
        return hashlib.sha256("\0".join(sorted(self.files.digests)).encode()).hexdigest()


def due(report: Report, manifest: Mapping[str, Any], now: Now, out: Path) -> str:
    """Why the report must be rendered, in French; empty when it is up to date."""
    known = manifest.get("reports", {}).get(report.key)
    if not isinstance(known, dict):
        return "jamais rendu"
    if known.get("status") == "failed":
        return "en échec la dernière fois"
    target = out / report.file
    if not target.is_file():
        return "fichier absent"
    try:
        for part, why in _REASONS.items():
            if part != "data" and known[part] != _mark(part, report, now):
                return why
        if known["data"] != now.files.digest(known["reads"]):
            return _REASONS["data"]
        if known["output"] != hashlib.sha256(target.read_bytes()).hexdigest():
            return "le fichier n'est pas celui que le dernier rendu a fait"
    except (KeyError, TypeError):  # a manifest of another version
        return "état inconnu"
    return ""


_REASONS = {
    "names": "un fichier de données est apparu ou parti",
    "library": "la bibliothèque a changé",
    "environment": "un paquet installé a changé",
    "notebook": "le notebook a changé",
    "parameters": "les paramètres ont changé",
    "data": "les données lues ont changé",
}


def _mark(part: str, report: Report, now: Now) -> str:
    match part:
        case "notebook":
            return now.notebook(report.notebook)
        case "parameters":
            return _written(report.parameters)
        case _:
            return str(getattr(now, part))


def marks(report: Report, reads: Sequence[str], now: Now) -> dict[str, Any]:
    """What the manifest keeps of a report just rendered."""
    kept: dict[str, Any] = {part: _mark(part, report, now) for part in _REASONS if part != "data"}
    return {**kept, "reads": sorted(reads), "data": now.files.digest(reads)}


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a folder of reports; empty when there is none or it cannot be read."""
    try:
        manifest = json.loads((out / STATE / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Nothing; the manifest is written aside and moved into place."""
    write_json(out / STATE / "manifest.json", manifest)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Nothing; the content as JSON, written whole."""
    write_whole(path, json.dumps(content, ensure_ascii=False, sort_keys=True).encode("utf-8"))
