"""How long a batch of yearly reports takes, next to the other ways of making the same reports.

    python benchmarks/batch.py                      50 reports, one round: about ten minutes
    python benchmarks/batch.py --reports 4          a try
    python benchmarks/batch.py --rounds 3           each way three times, in turn; medians
    python benchmarks/batch.py --minimal            the shell loop in a new environment without JupyterLab
    python benchmarks/batch.py --many 100 300 1000  how time and memory grow

Every way renders the same notebook (rapport_annuel, one year after another) on the same data; the shell loop
is what people write:  papermill … && jupyter nbconvert --to html --no-input …  Prints Markdown tables with
date, machine and versions. All times are wall-clock seconds of whole commands, start-up included.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.small_project import ROOT, environment, ess, write_project

PACKAGES = ("papermill", "nbconvert", "ipykernel", "pandas", "ploomber-engine")
MIB = 2**20
YEARS = (2011, 2012, 2013, 2014)
CORES = os.cpu_count() or 1


class Work:
    """A folder with the notebook, and the parameters of each report."""

    def __init__(self, folder: Path, reports: int) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self.data = ROOT / "data" / "raw"
        source = json.loads((ROOT / "notebooks" / "rapport_annuel.ipynb").read_text(encoding="utf-8"))
        [cell] = [c for c in source["cells"] if "parameters" in c["metadata"].get("tags", [])]
        cell["source"] = [f"data = {str(self.data)!r}\n", "year = 2013\n", "copy = 0"]
        self.notebook = self.notebooks / "yearly.ipynb"
        self.notebook.write_text(json.dumps(source), encoding="utf-8")
        self.parameters = [{"year": YEARS[n % 4], "copy": n // 4} for n in range(reports)]
        copies = sorted({p["copy"] for p in self.parameters})
        over = f"over = {{ year = {list(YEARS)}, copy = {copies} }}"
        (self.notebooks / "reports.toml").write_text(f'[[report]]\nname = "yearly"\n{over}\n')
        files = [f"yearly-{one['year']}-{one['copy']}.html" for one in self.parameters]
        self.only = [word for file in files for word in ("--only", file)]

    def out(self, name: str) -> Path:
        """An empty folder."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place


# --- The ways -------------------------------------------------------------------------------------


def loop(work: Work, binaries: Path = Path(sys.executable).parent) -> None:
    """The shell loop: two commands a report."""
    out = work.out("loop")
    for n, parameters in enumerate(work.parameters):
        target = str(out / f"{n}.ipynb")
        words = [str(work.notebook), target, "--no-progress-bar"]
        words += [word for name, value in parameters.items() for word in ("-p", name, str(value))]
        _quiet([str(binaries / "papermill"), *words])
        _quiet([str(binaries / "jupyter"), "nbconvert", "--to", "html", "--no-input", target])


def one_process(work: Work) -> None:
    """Papermill and nbconvert from Python, in one process."""
    _script(work, "papermill", 1)


def spawned(work: Work) -> None:
    """The same in as many spawned workers as there are cores."""
    _script(work, "papermill", CORES)


def ploomber(work: Work) -> None:
    """Ploomber-engine (the notebook in this very process, no isolation) and nbconvert."""
    _script(work, "ploomber", 1)


def ours(work: Work) -> None:
    """`ess report`."""
    words = ["report", "--data", str(work.data), "--notebooks", str(work.notebooks), "-q", *work.only]
    _quiet([sys.executable, "-m", "ess_analysis.cli", *words, "--out", str(work.out("ours"))])


def _script(work: Work, engine: str, workers: int) -> None:
    told = [engine, str(workers), str(work.notebook), str(work.out(engine)), json.dumps(work.parameters)]
    _quiet([sys.executable, __file__, "--way", *told])


def way(engine: str, workers: str, notebook: str, out: str, parameters: str) -> None:
    """In a process of its own: the reports by papermill or ploomber-engine, then nbconvert."""
    tasks = [(engine, notebook, out, n, one) for n, one in enumerate(json.loads(parameters))]
    if workers == "1":
        for task in tasks:
            _one(task)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(int(workers)) as pool:
        pool.map(_one, tasks, chunksize=1)


def _one(task: tuple[str, str, str, int, dict[str, Any]]) -> None:
    engine, notebook, out, n, parameters = task
    import nbformat
    from nbconvert import HTMLExporter

    target = f"{out}/{n}.ipynb"
    if engine == "ploomber":
        from ploomber_engine import execute_notebook

        execute_notebook(notebook, target, parameters=parameters, progress_bar=False)
    else:
        import papermill

        papermill.execute_notebook(notebook, target, parameters=parameters, progress_bar=False)
    page, _ = HTMLExporter(exclude_input=True).from_notebook_node(nbformat.read(target, as_version=4))
    Path(target).with_suffix(".html").write_text(page, encoding="utf-8")


def _quiet(words: list[str]) -> None:
    ended = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(words[:3])} : {ended.stdout[-500:]} {ended.stderr[-2000:]}")


# --- The floor -------------------------------------------------------------------------------------


def floor(work: Work) -> float:
    """Seconds for the cells' own work and the export alone, everything loaded, on all cores at once."""
    share = -(-len(work.parameters) // CORES)
    words = [sys.executable, __file__, "--floor", str(work.notebook), str(share), json.dumps(work.parameters)]
    running = [
        subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(CORES)
    ]
    return max(float(one.communicate()[0].splitlines()[-1]) for one in running)


def warm(notebook: str, share: str, parameters: str) -> None:
    """In a process of its own: prints the seconds of `share` reports, once one has warmed everything."""
    import contextlib
    import io

    import papermill
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from ess_analysis.reports.exporter import export_html

    quiet = {"progress_bar": False, "engine_name": "ess"}
    given = json.loads(parameters)
    done = papermill.execute_notebook(notebook, None, parameters=given[0], **quiet)
    shell = InteractiveShell.instance()

    def report(one: dict[str, Any]) -> None:
        shell.reset(new_session=False)
        for cell in done.cells:
            if cell.cell_type == "code":
                injected = "injected-parameters" in cell.metadata.tags
                source = "\n".join(f"{k} = {v!r}" for k, v in one.items()) if injected else cell.source
                with capture_output():
                    shell.run_cell(source).raise_error()
        export_html(done, name="x")

    report(given[0])
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        for n in range(int(share)):
            report(given[n % len(given)])
    print(time.perf_counter() - start)


# --- Memory ---------------------------------------------------------------------------------------


def peak_memory(action: Callable[[], None]) -> dict[str, float]:
    """The most MiB held while the action runs: the batch's process, the preloaded one, one fork, all."""
    me, stop = psutil.Process(), threading.Event()
    peak = dict.fromkeys(("parent", "preloaded", "fork", "all"), 0.0)

    def look() -> None:
        while not stop.wait(0.03):
            held: dict[str, list[float]] = {"parent": [], "preloaded": [], "fork": []}
            for process in me.children(recursive=True):
                try:
                    kind = _kind(process)
                    memory = process.memory_full_info()
                    # shared pages are counted once: PSS for the sum, USS for what a fork adds
                    held[kind].append((memory.uss if kind == "fork" else memory.pss) / MIB)
                except psutil.Error:
                    continue
            for kind, values in held.items():
                peak[kind] = max([peak[kind], *values])
            peak["all"] = max(peak["all"], sum(sum(values) for values in held.values()))

    watcher = threading.Thread(target=look)
    watcher.start()
    action()
    stop.set()
    watcher.join()
    return peak


def _kind(process: psutil.Process) -> str:
    if "ess_analysis.reports.zygote" not in " ".join(process.cmdline()):
        return "parent"
    parent = process.parent()
    forked = parent and "ess_analysis.reports.zygote" in " ".join(parent.cmdline())
    return "fork" if forked else "preloaded"


# --- Nothing to do, many, one edit ------------------------------------------------------------------


def nothing_to_do(folder: Path, reports: int = 300) -> tuple[float, float]:
    """Seconds of `ess report` when that many reports are up to date, and of `python -c pass`."""
    project = _many(folder / "unchanged", reports)
    ess(project, "-q", check=True)
    words = ["report", "--data", "data", "--notebooks", "notebooks", "--out", "out", "-q"]
    told = [str(Path(sys.executable).parent / "ess"), *words]
    return _timed(told, project), _timed([sys.executable, "-c", "pass"], project)


def _many(folder: Path, reports: int) -> Path:
    reading = "print(sum(int(line) for line in open(f'{data}/a.csv')) + n)"
    return write_project(folder, {"small": [reading]}, over=reports)


def _timed(words: list[str], folder: Path, times: int = 15) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(words, cwd=folder, env=environment(), check=True, capture_output=True)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def many(folder: Path, counts: list[int]) -> list[list[str]]:
    """One row per count of small reports: seconds, seconds a report, peak of the batch's process."""
    rows = []
    for count in counts:
        project = _many(folder / f"many-{count}", count)
        start = time.perf_counter()
        peak = peak_memory(lambda project=project: ess(project, "-q", check=True) and None)  # type: ignore[misc]
        seconds = time.perf_counter() - start
        rows.append([str(count), f"{seconds:.1f}", f"{seconds / count:.3f}", f"{peak['parent']:.0f}"])
    return rows


def one_edit(folder: Path) -> float:
    """Seconds from a cell of the workbook saved to the yearly report, open in a browser, rendered again."""
    import openpyxl

    from ess_analysis.reports import watch

    work = Work(folder / "edit", 4)
    data, out = folder / "edit" / "raw", folder / "edit" / "out"
    shutil.copytree(ROOT / "data" / "raw", data)
    book = next(data.rglob("note_mel_communes.xlsx"))
    sheet = book.with_name(book.name + ".toml")
    text = sheet.read_text(encoding="utf-8")
    sheet.write_text(re.sub(r'sha256 = ".*"', 'sha256 = "à sceller"', text), encoding="utf-8")
    pages, stop, shown = watch.Pages(), threading.Event(), "yearly-2013-0.html"
    follow = threading.Thread(
        target=watch.follow, args=(data, work.notebooks, out, pages), kwargs={"stop": stop}
    )
    follow.start()
    found = []
    with pages.shown(shown) as first:
        pages.wait(shown, first, 120)
        time.sleep(3)
        for n in range(1, 6):
            workbook = openpyxl.load_workbook(book)
            workbook.properties.title = f"essai {n}"
            version_before = pages._versions[shown]
            workbook.save(book)
            start = time.perf_counter()
            pages.wait(shown, version_before, 60)
            found.append(time.perf_counter() - start)
            time.sleep(3)
    stop.set()
    follow.join()
    return statistics.median(found)


# --- The tables ------------------------------------------------------------------------------------


def minimal_binaries(folder: Path) -> Path:
    """The programs of a new environment with papermill and nbconvert, without JupyterLab."""
    place = folder / "minimal"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    same = ("papermill", "nbconvert", "ipykernel", "pandas", "pyarrow")
    wanted = [f"{name}=={version(name)}" for name in same]
    wanted += ["openpyxl", "python-calamine", "matplotlib", "nh3", "lxml", "latex2mathml"]
    wanted += ["charset-normalizer", "clevercsv", "python-stdnum"]
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True)
    return place / "bin"


def main() -> int:
    """0; the tables are printed."""
    if sys.argv[1:2] == ["--way"]:
        way(*sys.argv[2:])
        return 0
    if sys.argv[1:2] == ["--floor"]:
        warm(*sys.argv[2:])
        return 0
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--reports", type=int, default=50)
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--minimal", action="store_true")
    words.add_argument("--many", type=int, nargs="+", default=[])
    words.add_argument("--only-ours", action="store_true", help="ours and the floor alone")
    options = words.parse_args()
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        print("PYTHONDONTWRITEBYTECODE is unset: without byte code the other ways would be slower still.\n")
    with tempfile.TemporaryDirectory(prefix="batch-") as place:
        folder = Path(place)
        measure(folder, options)
    return 0


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Nothing; everything is measured and printed."""
    work = Work(folder / "work", options.reports)
    ways: dict[str, Callable[[Work], None]] = {
        "shell loop, papermill && nbconvert": loop,
        "papermill + nbconvert, one process": one_process,
        f"the same, {CORES} spawned workers": spawned,
        "ploomber-engine + nbconvert, one process": ploomber,
        "**ess report**": ours,
    }
    if options.minimal:
        binaries = minimal_binaries(folder)
        ways = {"shell loop, environment without JupyterLab": lambda work: loop(work, binaries), **ways}
    if options.only_ours:
        ways = {"**ess report**": ours}
    seconds: dict[str, list[float]] = {name: [] for name in [*ways, "floor"]}
    one = Work(folder / "one", 1)
    ours(one)  # byte code written, files in memory
    for number in range(options.rounds):
        turn = list(ways.items())
        for name, run in turn[number % len(turn) :] + turn[: number % len(turn)]:
            start = time.perf_counter()
            run(work)
            seconds[name].append(time.perf_counter() - start)
        seconds["floor"].append(floor(work))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    print(header(options))
    base = medians.get("shell loop, papermill && nbconvert")
    print(f"| way | {options.reports} reports, s | a report, s | × the loop | × the floor |")
    print("|---|---|---|---|---|")
    for name, spent in sorted(medians.items(), key=lambda item: -item[1]):
        times = f"{base / spent:.1f}" if base else "–"
        share, above = spent / options.reports, spent / medians["floor"]
        print(f"| {name} | {spent:.1f} | {share:.2f} | {times} | {above:.2f} |")
    print("\n| what | measured | goal |\n|---|---|---|")
    if base:
        single = {}
        for name, run in (("loop", loop), ("ours", ours)):
            start = time.perf_counter()
            run(one)
            single[name] = time.perf_counter() - start
        ratio = single["ours"] / single["loop"]
        told = f"{single['ours']:.1f} s, {ratio:.2f} of the loop's {single['loop']:.1f} s"
        print(f"| one report from the prompt | {told} | ≤ 0.45 |")
    peak = peak_memory(lambda: ours(work))
    print(f"| memory of the batch's process | {peak['parent']:.0f} MiB | ≤ 250 |")
    print(f"| memory of the preloaded process | {peak['preloaded']:.0f} MiB | |")
    print(f"| memory of one fork, its own | {peak['fork']:.0f} MiB | ≤ 120 |")
    if base:
        alone = peak_memory(lambda: loop(one))["all"]
        print(f"| whole batch, against one report of the loop | {peak['all'] / alone:.2f} | ≤ 1.6 |")
    else:
        print(f"| whole batch | {peak['all']:.0f} MiB | |")
    idle, bare = nothing_to_do(folder)
    print(f"| 300 reports, nothing to do | {idle:.3f} s (python -c pass: {bare:.3f} s) | ≤ 0.15 s |")
    print(f"| a cell saved, the open report rendered again (watch) | {one_edit(folder):.2f} s | ≤ 1 s |")
    if options.many:
        print("\n| small reports | s | s a report | batch's process, MiB |\n|---|---|---|---|")
        for row in many(folder, options.many):
            print(f"| {' | '.join(row)} |")


def header(options: argparse.Namespace) -> str:
    """When, where and with what it was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"Measured {dt.date.today()} on {CORES} cores, load average {load:.1f}, Python "
        f"{platform.python_version()}, {versions}; environment with all of JupyterLab; "
        f"median of {options.rounds} round(s).\n"
    )


if __name__ == "__main__":
    sys.exit(main())
