"""Nothing lost: the batch and the build killed at random moments (SIGKILL), again and again.

    python benchmarks/kills.py [--kills 200] [--seed 1]

Each time, new data make every report due; the command is killed after a random delay (its whole group, or
only the process that renders); then: every page is whole, that of the new data or that of the last good run,
never a mixture; nothing is left running; the next run renders exactly the pages that are missing. The last
quarter of the kills falls on `ess build`, whose folder must be one build, the old one or the new one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.small_project import READ_A, ROOT, command, environment, ess, pages, write_project

REPORTS = 8


@dataclass
class Tally:
    """What was counted over the kills."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def expect(self, true: bool, fault: str) -> None:
        """Keeps the fault when what must be true is not."""
        if not true:
            self.faults.append(fault)


def kill_batches(kills: int, folder: Path, chance: random.Random, tally: Tally) -> None:
    """Nothing; the tally holds what `kills` SIGKILLs over a batch left behind."""
    cells = [READ_A, "print('page', n, '.' * 20_000)", "import time; time.sleep(0.05)"]
    project = write_project(folder / "projet", {"page": cells}, over=REPORTS)
    (project / "data" / "a.csv").write_text("0\n")
    start = time.perf_counter()
    ess(project)
    whole = time.perf_counter() - start
    good = reports_of(project)
    for version in range(1, kills + 1):
        (project / "data" / "a.csv").write_text(f"{version}\n")
        group = chance.random() < 0.5
        kill_after(command("-q"), project, chance.uniform(0, 1.1 * whole), tally, group=group)
        left = reports_of(project)
        fresh = [name for name, page in left.items() if f"total a {version}<" in page.replace("\n", "<")]
        for name, page in left.items():
            intact = page.rstrip().endswith("</html>") if name in fresh else page == good[name]
            tally.expect(intact, f"{version}: {name} is neither the new page nor the last good one")
        tally.expect(len(left) == REPORTS, f"{version}: {REPORTS - len(left)} pages are gone")
        tally.counts["pages found new after a kill"] += len(fresh)
        tally.counts["pages found at their last good version"] += len(left) - len(fresh)
        told = ess(project, "-q").stdout
        match = re.match(r"(\d+) rapports? rendus?, (\d+) inchangés?, 0 en échec", told)
        tally.expect(match is not None, f"{version}: the next run said {told!r}")
        if match:
            missing = REPORTS - len(fresh)
            tally.expect(int(match[1]) == missing, f"{version}: {missing} missing, {match[1]} rendered again")
            tally.counts["pages completed by the next run"] += int(match[1])
        good = reports_of(project)
        for name in fresh:
            tally.expect(good[name] == left[name], f"{version}: {name} was not the page it should be")
        tally.expect(not list((project / "out").rglob("*.part")), f"{version}: a part is left")
        index = (project / "out" / "index.html").read_text(encoding="utf-8")
        tally.expect(index.rstrip().endswith("</html>"), f"{version}: the index is cut")


def kill_builds(kills: int, folder: Path, chance: random.Random, tally: Tally) -> None:
    """Nothing; the tally holds what `kills` SIGKILLs over `ess build` left behind."""
    data, out = folder / "raw", folder / "processed"
    shutil.copytree(ROOT / "data" / "raw", data)
    words = [sys.executable, "-m", "ess_analysis.cli", "build", "--data", str(data), "--out", str(out)]
    start = time.perf_counter()
    subprocess.run(words, env=environment(), check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    note = next(data.rglob("mel_communes.csv.toml"))
    text = note.read_text(encoding="utf-8")
    for version in range(1, kills + 1):
        before = fingerprint(out)
        note.write_text(re.sub(r'(title = ")', rf"\g<1>v{version} ", text, count=1), encoding="utf-8")
        # the end of the build is where files move: three kills in four fall there
        low = 0.0 if chance.random() < 0.25 else 0.6 * whole
        kill_after(words, folder, chance.uniform(low, 1.1 * whole), tally, group=True)
        after = fingerprint(out)
        tally.expect(one_build(out), f"build {version}: the files are not of one build")
        tally.counts["builds found " + ("as before" if after == before else "new") + " after a kill"] += 1
        ended = subprocess.run(words, env=environment(), capture_output=True, text=True)
        tally.expect(ended.returncode == 0, f"build {version}: the next one said {ended.stderr!r}")
        tally.expect(one_build(out), f"build {version}: the next one is not whole")
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    tally.expect(not left, f"builds left behind: {left}")


def kill_after(words: list[str], folder: Path, seconds: float, tally: Tally, *, group: bool) -> None:
    """Nothing; the command was started and killed after that long; what it started is gone too."""
    mark = f"ess-kill-{os.urandom(6).hex()}"
    running = subprocess.Popen(
        words,
        cwd=folder,
        env={**environment(), "ESS_KILL_MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    tally.counts["kills that came after the end" if running.poll() is not None else "kills"] += 1
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(running.pid, signal.SIGKILL)
    running.wait()
    end = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    tally.expect(not left, f"processes left running: {left}")


def marked(mark: str) -> list[int]:
    """The processes alive whose environment holds the mark."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
                if state != "Z" and mark.encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def reports_of(project: Path) -> dict[str, str]:
    return {name: page for name, page in pages(project).items() if name != "index.html"}


def fingerprint(folder: Path) -> str:
    """One digest of the names and contents of the files."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


def one_build(folder: Path) -> bool:
    """Whether the files are those that the package of the folder describes, to the byte."""
    try:
        package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
        return all(
            hashlib.sha256((folder / one["path"]).read_bytes()).hexdigest() in one["hash"]
            for one in package["resources"]
        )
    except (OSError, ValueError, KeyError):
        return False


def main() -> int:
    """0 when nothing was lost."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--kills", type=int, default=200)
    words.add_argument("--seed", type=int, default=1)
    options = words.parse_args()
    chance, tally = random.Random(options.seed), Tally()
    builds = options.kills // 4
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        kill_batches(options.kills - builds, Path(folder), chance, tally)
        kill_builds(builds, Path(folder) / "build", chance, tally)
    print(f"{options.kills} SIGKILL, graine {options.seed}, {time.perf_counter() - start:.0f} s")
    for name, count in sorted(tally.counts.items()):
        print(f"  {count:5} {name}")
    print(f"  {len(tally.faults):5} faults")
    for fault in tally.faults[:20]:
        print(f"    {fault}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
