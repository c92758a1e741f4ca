"""`ess watch`: what is edited is rendered again at once, the open page reloads, the files stay."""

from __future__ import annotations

import html
import http.client
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from ess_analysis.errors import DataError
from ess_analysis.reports import watch
from tests.small_project import (
    READ_A,
    READ_B,
    command,
    environment,
    wait_until,
    write_notebook,
    write_project,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS = 1.0  # promised; on a busy machine the test grants ten times that, benchmarks/batch.py measures it


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "projet", {"of_a": [READ_A], "of_b": [READ_B]})


@pytest.fixture
def watched(project: Path) -> Iterator[tuple[str, watch.Pages]]:
    """The address of the small project while it is watched, everything rendered once."""
    pages, stop = watch.Pages(), threading.Event()
    follow = threading.Thread(
        target=watch.follow,
        args=(project / "data", project / "notebooks", project / "out", pages),
        kwargs={"stop": stop},
    )
    with watch.served(project / "out", pages, 0) as address:
        follow.start()
        wait_until(lambda: (project / "out" / "index.html").exists())
        time.sleep(0.5)
        yield address, pages
        stop.set()
        follow.join(20)
        assert not follow.is_alive()


def content(address: str) -> str:
    with urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


def test_an_edited_table_renders_only_the_reports_that_read_it(
    project: Path, watched: tuple[str, watch.Pages]
) -> None:
    address, _ = watched
    other = (project / "out" / "of-b.html").stat().st_mtime_ns
    (project / "data" / "a.csv").write_text("1\n2\n40\n")
    wait_until(lambda: "total a 43" in content(f"{address}of-a.html"), 10 * SECONDS)
    time.sleep(0.3)
    assert (project / "out" / "of-b.html").stat().st_mtime_ns == other


def test_an_edited_notebook_is_rendered_again(project: Path, watched: tuple[str, watch.Pages]) -> None:
    write_notebook(project / "notebooks" / "of_b.ipynb", "print('tout neuf')")
    wait_until(lambda: "tout neuf" in content(f"{watched[0]}of-b.html"), 10 * SECONDS)


def test_the_open_page_is_told_when_its_own_report_is_rendered(
    project: Path, watched: tuple[str, watch.Pages]
) -> None:
    address, pages = watched
    line = http.client.HTTPConnection(address.split("/")[2], timeout=20)
    line.request("GET", "/.events?of-a.html")
    events = line.getresponse()
    assert events.headers["Content-Type"] == "text/event-stream"
    wait_until(lambda: pages.open() == ["of-a.html"])
    (project / "data" / "b.csv").write_text("8")
    wait_until(lambda: "b 8" in content(f"{address}of-b.html"), 10 * SECONDS)
    (project / "data" / "a.csv").write_text("1\n2\n50\n")
    told = b""
    while b"data: rendered" not in told:
        piece = events.read1(100)
        assert piece
        told += piece
    assert "total a 53" in content(f"{address}of-a.html")


@pytest.mark.browser
def test_the_page_open_in_a_browser_shows_the_new_figure(
    project: Path, watched: tuple[str, watch.Pages], browser: Browser
) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{watched[0]}of-a.html")
    assert "total a 6" in page.inner_text("main")
    wait_until(lambda: watched[1].open() == ["of-a.html"])
    start = time.monotonic()
    (project / "data" / "a.csv").write_text("1\n2\n60\n")
    page.get_by_text("total a 63").wait_for(timeout=10_000 * SECONDS)
    print(f"de l'enregistrement à l'écran : {time.monotonic() - start:.2f} s")
    assert errors == []
    page.close()


def test_the_files_on_disk_never_hold_the_script(project: Path, watched: tuple[str, watch.Pages]) -> None:
    assert "EventSource" in content(f"{watched[0]}of-a.html")
    assert "EventSource" in content(watched[0])
    for path in (project / "out").glob("*.html"):
        assert "EventSource" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("quote", ["'", "&#39;"])
def test_the_policy_of_the_page_served_allows_its_script_and_nothing_more(quote: str) -> None:
    policy = "default-src 'none'; script-src 'sha256-a'".replace("'", quote)
    page = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><body></body>'
    told = re.search(r'content="([^"]*)"', watch.with_script(page))
    assert told
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(told[1]).split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-a' 'sha256-[\w+/=]{44}'", rules["script-src"])
    assert rules["connect-src"] == "'self'"
    assert set(rules) == {"default-src", "script-src", "connect-src"}


def test_only_this_machine_is_served_and_nothing_of_the_state(
    project: Path, watched: tuple[str, watch.Pages]
) -> None:
    place = watched[0].split("/")[2]
    assert place.startswith("127.0.0.1:")

    def status(path: str, host: str = place) -> int:
        line = http.client.HTTPConnection(place, timeout=10)
        line.request("GET", path, headers={"Host": host})
        return line.getresponse().status

    assert status("/of-a.html") == 200
    assert status("/of-a.html", host="evil.example") == 403
    assert status("/.ess/manifest.json") == 404
    assert status("/%2eess/manifest.json") == 404
    assert status("/../data/a.csv") == 404
    assert status("/%2e%2e/data/a.csv") == 404


def test_a_report_that_fails_keeps_its_page_and_comes_back_when_mended(
    project: Path, watched: tuple[str, watch.Pages], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "a.csv").write_text("pas un nombre")
    told = ""

    def failed() -> bool:
        nonlocal told
        told += capsys.readouterr().out
        return "ÉCHEC of-a.html" in told

    wait_until(failed, 10 * SECONDS)
    assert "cellule 3" in told
    assert "total a 6" in content(f"{watched[0]}of-a.html")
    (project / "data" / "a.csv").write_text("1\n70\n")
    wait_until(lambda: "total a 71" in content(f"{watched[0]}of-a.html"), 10 * SECONDS)


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("note.xlsx", True), ("rapport.ipynb", True), ("sources.toml", True),
        ("~$note.xlsx", False), (".~lock.note.xlsx#", False), (".~rapport.ipynb", False),
        ("note.xlsx~", False), ("a.tmp", False), (".ipynb_checkpoints/rapport.ipynb", False), ("4913", False),
    ],
)  # fmt: skip
def test_what_editors_write_beside_a_file_is_ignored(name: str, saved: bool) -> None:
    assert watch._is_saved(Path("data") / name) is saved


def test_a_port_already_taken_is_told(project: Path) -> None:
    with watch.served(project, watch.Pages(), 0) as address:
        port = int(address.split(":")[2].strip("/"))
        with (
            pytest.raises(DataError, match=f"Le port {port} est pris"),
            watch.served(project, watch.Pages(), port),
        ):
            pass


def test_the_command_serves_until_ctrl_c(project: Path) -> None:
    running = subprocess.Popen(
        command("--port", "0", module="watch"), cwd=project, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout
    first, second = running.stdout.readline(), running.stdout.readline()
    assert first.startswith("http://127.0.0.1:")
    assert second.startswith("Premier rendu : 2 rapports rendus")
    assert "total a 6" in content(f"{first.split(' ')[0]}of-a.html")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "Traceback" not in err
