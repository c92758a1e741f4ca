"""The batch: plan, skip what is up to date, run the rest, tell what happened.

A report is run by papermill with the engine `ess`, exported, written aside and moved into place: it appears
whole or not at all, and one that fails keeps its last good version. A lock on the output folder keeps two
batches apart; the manifest is written after each report, so that a batch cut short goes on where it stopped.
Importing this module loads nothing heavy: a batch with nothing to do is instant.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.reports import plan
from ess_analysis.reports.plan import DataFiles, Due, Now, Report

DEFAULT_TIMEOUT = 600.0  # seconds for one report
DEFAULT_MEMORY = 4096  # megabytes a report may take beyond the preloaded process


@dataclass(frozen=True)
class Task:
    """Everything needed to run one report, here or on another machine."""

    report: Report
    data: Path
    timeout: float = DEFAULT_TIMEOUT
    memory: int = DEFAULT_MEMORY
    library: str = ""  # the library's digest
    digests: Mapping[str, str] = field(default_factory=dict)  # of the data files, by name in the folder


@dataclass(frozen=True)
class Outcome:
    """What came of a report: its page and what it read, or why it failed."""

    report: Report
    html: str = ""
    title: str = ""
    key_sentence: str = ""
    reads: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass
class Summary:
    """What a batch did."""

    rendered: list[Report] = field(default_factory=list)
    unchanged: list[Report] = field(default_factory=list)
    failed: list[tuple[Report, str]] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0


def command(options: argparse.Namespace) -> int:
    """The exit code of `ess report`: 0, or 1 when a report failed."""
    _check_limits(options)
    settings = _settings(options.set)
    if options.scenario:
        from ess_analysis.scenarios import frozen_parameters

        settings |= frozen_parameters(options.scenario, options.data)
    asked: dict[str, Any] = {
        "names": options.names or (["scenarios"] if options.scenario else []),
        "years": options.year or (),
        "settings": settings,
        "only": options.only or (),
    }
    if options.dry_run:
        print(told_plan(planned(options.data, options.notebooks, options.out, force=options.force, **asked)))
        return 0
    summary = render(
        options.data,
        options.notebooks,
        options.out,
        force=options.force,
        jobs=options.jobs,
        timeout=options.timeout or DEFAULT_TIMEOUT,
        memory=options.memory or DEFAULT_MEMORY,
        cluster=options.cluster,
        quiet=options.quiet,
        **asked,
    )
    if options.pdf:
        from ess_analysis.reports.pdf import write_pdfs

        write_pdfs(options.out, [report.file for report in [*summary.rendered, *summary.unchanged]])
        _index(options.out)
    print(said(summary, options.out))
    return 130 if summary.interrupted else 1 if summary.failed else 0


def told_plan(todo: Sequence[Due]) -> str:
    """What a batch would do and why, in French."""
    changed = [one for one in todo if one.why]
    lines = [f"  {one.report.file} : {one.why}" for one in changed]
    counts = (
        f"{len(changed)} {french.plural(len(changed), 'rapport')} à rendre, {len(todo) - len(changed)} à jour"
    )
    return "\n".join([f"{counts}{' :' if lines else '.'}", *lines])


def said(summary: Summary, out: Path) -> str:
    """The end of a batch, in French."""
    rendered, unchanged = len(summary.rendered), len(summary.unchanged)
    counts = [
        f"{rendered} {french.plural(rendered, 'rapport rendu')}",
        f"{unchanged} {french.plural(unchanged, 'inchangé')}",
        f"{len(summary.failed)} en échec",
    ]
    lines = [f"{', '.join(counts)}, en {french.number(summary.seconds, 1)}{french.SOLID}s."]
    lines += [f"  ÉCHEC {report.file} : {why}" for report, why in summary.failed]
    if summary.interrupted:
        lines.append("Interrompu : le prochain « ess report » rendra ce qui manque.")
    lines.append(f"Ouvrir {out / 'index.html'}")
    return "\n".join(lines)


def _check_limits(options: argparse.Namespace) -> None:
    """Raises DataError when a number given to the command makes no sense."""
    for name in ("jobs", "timeout", "memory"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise DataError(f"--{name} attend un nombre positif.", seen=[value], todo="corrigez la commande.")


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """The values typed as name=value: whole numbers, numbers, true and false, or text."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name.isidentifier():
            raise DataError("Paramètre mal écrit.", seen=[one], todo="écrivez --set nom=valeur.")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def planned(data: Path, notebooks: Path, out: Path, *, force: bool = False, **asked: Any) -> list[Due]:
    """The reports asked for and why each must be rendered (empty: up to date); nothing is run.

    `asked` narrows the plan: names, years, settings, only (see `plan.reports`).
    """
    manifest = plan.read_manifest(out)
    now = Now(DataFiles(data, manifest.get("files")))
    listed = plan.families(notebooks)
    wanted = plan.reports(listed, _values(listed, data, now.files, manifest), data=data, **asked)
    return _due(wanted, manifest, now, out, force=force)


def _due(
    wanted: Sequence[Report], manifest: Mapping[str, Any], now: Now, out: Path, *, force: bool
) -> list[Due]:
    return [Due(one, "demandé (--force)" if force else plan.due(one, manifest, now, out)) for one in wanted]


def _values(
    listed: Sequence[plan.Family],
    data: Path,
    files: DataFiles,
    manifest: Mapping[str, Any],
    before: Callable[[], None] = lambda: None,
) -> dict[str, list[Any]]:
    """All the years, territories and funders of the data, where a report asks for them.

    They are kept in the manifest, since reading the data is slow; `before` is called when they must be read.
    """
    if not any(family.over_the_data for family in listed):
        return {domain: [] for domain in plan.DOMAINS}
    known = manifest.get("values", {})
    if known.get("data") == files.digest():
        return dict(known["values"])
    before()
    from ess_analysis.load import domains, load

    return domains(load(data))


def render(
    data: Path = Path("data/raw"),
    notebooks: Path = Path("notebooks"),
    out: Path = Path("reports"),
    *,
    force: bool = False,
    jobs: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    memory: int = DEFAULT_MEMORY,
    cluster: str | None = None,
    quiet: bool = False,
    keep_values: bool = False,
    told: Callable[[str], None] = lambda _: None,
    **asked: Any,
) -> Summary:
    """What the batch did: every report asked for is up to date in `out`, or told as failed.

    `told` hears each file as soon as it is in place. With `keep_values`, the years, territories and funders
    known are taken as they are, without reading the data. `asked` narrows the plan: names, years, settings,
    only (see `plan.reports`). Raises DataError, before anything is run, when what is asked does not exist.
    """
    start = time.perf_counter()
    summary = Summary()
    with _alone(out):
        manifest = plan.read_manifest(out)
        now = Now(DataFiles(data, manifest.get("files")))
        listed = plan.families(notebooks)
        if not (keep_values and "values" in manifest):
            values = _values(listed, data, now.files, manifest, before=lambda: _warm_up(data, now, cluster))
            manifest["values"] = {"data": now.files.digest(), "values": values}
        wanted = plan.reports(listed, manifest["values"]["values"], data=data, **asked)
        plan_of_day = _due(wanted, manifest, now, out, force=force)
        summary.unchanged = [one.report for one in plan_of_day if not one.why]
        tasks = [
            Task(one.report, data, timeout, memory, now.library, now.files.digests)
            for one in plan_of_day
            if one.why
        ]
        if tasks:
            _warm_up(data, now, cluster)
            manifest["files"] = {"stats": now.files.stats}
            keep = _keeper(manifest, now, out, summary, told)
            _run(tasks, keep, jobs=jobs, cluster=cluster, quiet=quiet, summary=summary)
        _refresh_index(out, manifest, now)
    summary.seconds = time.perf_counter() - start
    return summary


def _warm_up(data: Path, now: Now, cluster: str | None) -> None:
    """The process that reports are forked from is started, and reads the data, while this one gets ready."""
    if not cluster:
        from ess_analysis.reports import forks

        forks.start(data, now.library)


def _keeper(
    manifest: dict[str, Any], now: Now, out: Path, summary: Summary, told: Callable[[str], None]
) -> Callable[[Outcome], None]:
    """What is done with each outcome, in the order they come: file, manifest, summary."""
    from ess_analysis.writing import write_whole

    known = manifest.setdefault("reports", {})

    def keep(outcome: Outcome) -> None:
        report = outcome.report
        entry = {"name": report.name, "file": report.file, "shown": dict(report.parameters)}
        if outcome.error:
            summary.failed.append((report, outcome.error))
            before = known.get(report.key, {})
            known[report.key] = {**before, **entry, "status": "failed", "error": outcome.error}
        else:
            content = outcome.html.encode("utf-8")
            known[report.key] = {
                **entry,
                **plan.marks(report, outcome.reads, now),
                "status": "rendered",
                "title": outcome.title,
                "key_sentence": outcome.key_sentence,
                "output": hashlib.sha256(content).hexdigest(),
            }
        plan.write_manifest(out, manifest)  # before the page: killed in between, the page is seen missing
        if not outcome.error:
            write_whole(out / report.file, content)
            summary.rendered.append(report)
            told(report.file)

    return keep


def _run(
    tasks: Sequence[Task],
    keep: Callable[[Outcome], None],
    *,
    jobs: int | None,
    cluster: str | None,
    quiet: bool,
    summary: Summary,
) -> None:
    """Nothing; every outcome was kept, or the batch was interrupted. One bar, with what is running."""
    from tqdm import tqdm

    running: dict[str, None] = {}
    lock = threading.Lock()

    settings = {"desc": "Rapports", "unit": "rapport", "dynamic_ncols": True, "leave": False}
    with tqdm(total=len(tasks), disable=quiet or None, **settings) as bar:

        def show(file: str, *, ended: bool = False) -> None:
            with lock:
                running.pop(file, None) if ended else running.setdefault(file)
                bar.set_postfix_str(", ".join(name.removesuffix(".html") for name in running))

        try:
            with closing(_outcomes(tasks, jobs or os.cpu_count() or 1, cluster, show)) as outcomes:
                for outcome in outcomes:
                    keep(outcome)
                    bar.update()
                    show(outcome.report.file, ended=True)
        except KeyboardInterrupt:
            summary.interrupted = True


def _outcomes(
    tasks: Sequence[Task], jobs: int, cluster: str | None, started: Callable[[str], None]
) -> Generator[Outcome]:
    """The outcomes as they come, from this machine or from a cluster."""
    if cluster:
        from ess_analysis.reports.cluster import outcomes

        with closing(outcomes(tasks, cluster)) as found:
            yield from found
        return
    from ess_analysis.reports.running import outcomes as here

    with closing(here(tasks, min(jobs, len(tasks)), started)) as found:
        yield from found


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """The output folder, held by this batch only; leftovers of a batch cut short are removed."""
    (out / plan.STATE).mkdir(parents=True, exist_ok=True)
    with (out / plan.STATE / "lock").open("w") as file:
        try:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"Un autre rendu est en cours dans {out} : celui-ci attend son tour.", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:  # Windows: no lock, the files are still moved whole
            pass
        for left in [*out.glob(".*.part"), *(out / plan.STATE).glob(".*.part")]:
            left.unlink(missing_ok=True)
        yield


def _refresh_index(out: Path, manifest: dict[str, Any], now: Now) -> None:
    """The index page, when it is not that of the manifest (a batch can be killed before it writes it)."""
    mark = hashlib.sha256(json.dumps([manifest.get("reports"), now.library], sort_keys=True).encode())
    if manifest.get("index") != mark.hexdigest() or not (out / "index.html").is_file():
        _index(out)
        plan.write_manifest(out, manifest | {"index": mark.hexdigest()})


def _index(out: Path) -> None:
    """The index page of the folder, from its manifest."""
    from ess_analysis.reports.index import write_index

    write_index(list(plan.read_manifest(out).get("reports", {}).values()), out)
