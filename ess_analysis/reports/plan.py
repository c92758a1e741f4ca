"""What the yearly batch renders, and what of it is up to date: standard library only, so that it is instant.

`notebooks/reports.toml` lists the reports; an entry `over` names a parameter and the values it takes:
« years », « territories », « funders » (all those of the data) or a list. A report is rendered again when its
notebook, its parameters, a data file it read, the library or the template changed: content hashes, kept in
`OUT/.ess/manifest.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

from ess_analysis import french
from ess_analysis.errors import DataError

STATE = ".ess"
DOMAINS = ("years", "territories", "funders")


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

    Raises DataError, naming what exists, on an unknown report, year or value.
    """
    known = [family.name for family in listed]
    names = [
        next((f.name for f in listed if name == f.notebook.stem), name) if name not in known else name
        for name in names
    ]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError("Rapport inconnu.", seen=unknown, todo=f"rapports disponibles : {', '.join(known)}.")
    absent = [year for year in years if year not in values["years"]]
    if absent:
        raise DataError(
            "Année inconnue.", seen=absent, todo=f"années des données : {_said(values['years'])}."
        )
    asked = [family for family in listed if not names or family.name in names]
    if years:
        asked = [family for family in asked if "years" in family.over.values()] or asked
    if not names:
        asked = [f for f in asked if not f.skip_without or (data / f.skip_without).exists()]
    found = [report for family in asked for report in _of(family, values, years, settings or {})]
    return [r for r in found if not only or any(fnmatch(r.file, p) or fnmatch(r.name, p) for p in only)]


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
        words += [
            f"{name}-{Path(value).stem if _is_file(value) else value}"
            for name, value in settings.items()
            if name not in over
        ]
        yield Report(
            family.name, family.notebook, {**fixed, **chosen}, french.slug("-".join(words)) + ".html"
        )


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
    """The digest of the library's own files: code, template, style."""
    package = Path(__file__).resolve().parents[1]
    files = (p for p in package.rglob("*") if p.suffix in {".py", ".j2", ".css", ".js", ".toml"})
    return hashlib.sha256((digest_of(files, package) + sys.version).encode()).hexdigest()


class DataFiles:
    """The digest of each file of the data folder; a large file is hashed again only when its stat changed."""

    SMALL = 2**20

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
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self.stats[name] = [*mark, found]
        return found

    def digest(self, names: Iterable[str] | None = None) -> str:
        """One digest of these files (all of them by default); a file that is gone counts as such."""
        kept = sorted(self.digests if names is None else names)
        pairs = "\0".join(f"{name}={self.digests.get(name, 'absent')}" for name in kept)
        return hashlib.sha256(pairs.encode()).hexdigest()


def due(report: Report, manifest: Mapping[str, Any], files: DataFiles, out: Path, library: str) -> str:
    """Why the report must be rendered, in French; empty when it is up to date."""
    known = manifest.get("reports", {}).get(report.key)
    if known is None:
        return "jamais rendu"
    if known.get("status") == "failed":
        return "en échec la dernière fois"
    target = out / report.file
    if not target.is_file():
        return "fichier absent"
    if known["names"] != _names(files):
        return "un fichier de données est apparu ou parti"
    for part, why, now in (
        ("library", "la bibliothèque a changé", library),
        ("notebook", "le notebook a changé", hashlib.sha256(report.notebook.read_bytes()).hexdigest()),
        (
            "parameters",
            "les paramètres ont changé",
            _written(report.parameters),
        ),
        ("data", "les données lues ont changé", files.digest(known["reads"])),
    ):
        if known[part] != now:
            return why
    if known["output"] != hashlib.sha256(target.read_bytes()).hexdigest():
        return "le fichier rendu a été modifié"
    return ""


def marks(report: Report, reads: Sequence[str], files: DataFiles, library: str) -> dict[str, Any]:
    """What the manifest keeps of a report just rendered."""
    return {
        "library": library,
        "notebook": hashlib.sha256(report.notebook.read_bytes()).hexdigest(),
        "parameters": _written(report.parameters),
        "reads": sorted(reads),
        "names": _names(files),
        "data": files.digest(reads),
    }


def _written(parameters: Mapping[str, Any]) -> str:
    """The parameters as the manifest keeps them; a file given as a parameter counts by its content too."""

    told = {
        name: f"{value} {hashlib.sha256(Path(value).read_bytes()).hexdigest()}" if _is_file(value) else value
        for name, value in parameters.items()
    }
    return json.dumps(told, sort_keys=True, default=str)


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(".toml") and Path(value).is_file()


def _names(files: DataFiles) -> str:
    """The digest of the names of the data files, scenarios apart: a new file may change any report."""
    return hashlib.sha256("\0".join(sorted(files.digests)).encode()).hexdigest()


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a folder of reports; empty when there is none or it cannot be read."""
    try:
        manifest = json.loads((out / STATE / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def write_manifest(out: Path, manifest: Mapping[str, Any]) -> None:
    """Nothing; the manifest is written aside and moved into place."""
    folder = out / STATE
    folder.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".manifest.", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(manifest, file, ensure_ascii=False, indent=1, sort_keys=True)
        os.replace(aside, folder / "manifest.json")
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
