"""`ess watch`: the reports follow the workbooks and the notebooks while they are edited, here only.

The folder of reports is served on 127.0.0.1. A file saved in the data or notebooks folder renders again the
reports that read it, those open in a browser first; their pages reload. The script that reloads a page is
added to what is served: the files on disk never hold it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.reports import batch, plan

HOST = "127.0.0.1"
SCRIPT = Path(__file__).with_name("template") / "watch.js"
QUIET_MS = 30  # a file is taken as saved once nothing was written for that long
NOT_SAVED = re.compile(r"^(\.|~\$)|~$|\.(tmp|part|swp)$|^\d+$")  # what editors write beside a file


class Pages:
    """The pages open in browsers, and how many times each report was rendered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._versions: Counter[str] = Counter()
        self._open: Counter[str] = Counter()

    def rendered(self, file: str) -> None:
        """Tells the browsers that show this file."""
        with self._changed:
            self._versions[file] += 1
            self._changed.notify_all()

    def open(self) -> list[str]:
        """The files that a browser shows now."""
        with self._changed:
            return [file for file, count in self._open.items() if count > 0]

    @contextmanager
    def shown(self, file: str) -> Iterator[int]:
        """While a browser shows this file; gives its present version."""
        with self._changed:
            self._open[file] += 1
            version = self._versions[file]
        try:
            yield version
        finally:
            with self._changed:
                self._open[file] -= 1

    def wait(self, file: str, version: int, seconds: float) -> bool:
        """Whether the file has another version than this one, waiting that long for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._versions[file] != version, seconds)


class _Handler(SimpleHTTPRequestHandler):
    """The files of a folder; pages with the script that reloads them."""

    def __init__(self, *args: Any, pages: Pages, **kwargs: Any) -> None:
        self.pages = pages
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        """A file, or the events of a page."""
        path, _, asked = self.path.partition("?")
        if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):  # another site's page
            self.send_error(403)
        elif path == "/.events":
            self._tell(unquote(asked) or "index.html")
        elif "/." in unquote(path):  # the batch's own state
            self.send_error(404)
        elif path == "/" or path.endswith(".html"):
            self._page(Path(self.translate_path("/index.html" if path == "/" else path)))
        else:
            super().do_GET()

    def _page(self, file: Path) -> None:
        try:
            content = with_script(file.read_text(encoding="utf-8")).encode()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def _tell(self, file: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        try:
            with self.pages.shown(file) as version:
                self.wfile.write(b": open\n\n")
                while not self.pages.wait(file, version, 1):
                    self.wfile.write(b": still here\n\n")  # fails once the page is closed
                self.wfile.write(b"data: rendered\n\n")
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for the reports."""


def with_script(page: str) -> str:
    """The page, with the script that reloads it and a policy that lets that script run."""
    script = SCRIPT.read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    def opened(policy: re.Match[str]) -> str:
        told = html.unescape(policy[2])
        rules = dict(rule.strip().partition(" ")[::2] for rule in told.split(";") if rule.strip())
        for name, value in (("script-src", f"'sha256-{digest}'"), ("connect-src", "'self'")):
            rules[name] = f"{rules.get(name, '')} {value}".replace("'none'", "").strip()
        again = "; ".join(f"{name} {value}" for name, value in rules.items())
        return f"{policy[1]}{html.escape(again)}{policy[3]}"

    meta = r'(<meta http-equiv="Content-Security-Policy" content=")([^"]*)(")'
    page = re.sub(meta, opened, page, count=1, flags=re.IGNORECASE)
    head, body, tail = page.rpartition("</body>")
    return f"{head}<script>{script}</script>{body}{tail}" if body else f"{page}<script>{script}</script>"


@contextmanager
def served(out: Path, pages: Pages, port: int) -> Iterator[str]:
    """The address where the folder is served, on this machine only, until the end of the block.

    Port 0 takes any that is free. Raises DataError when the port is taken.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(out), pages=pages))
    except OSError as error:
        raise DataError(
            f"Le port {port} est pris.", seen=[error], todo="choisissez-en un autre : --port."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def command(options: argparse.Namespace) -> int:
    """The exit code of `ess watch`, once Ctrl-C is typed."""
    pages = Pages()
    batch.planned(options.data, options.notebooks, options.out, names=options.names)  # what is asked exists
    with served(options.out, pages, options.port) as address:
        print(f"{address} : la page ouverte suit vos enregistrements (Ctrl-C pour arrêter).", flush=True)
        with suppress(KeyboardInterrupt):  # typed while it renders, or between two waits
            follow(options.data, options.notebooks, options.out, pages, names=options.names)
    return 0


def follow(
    data: Path,
    notebooks: Path,
    out: Path,
    pages: Pages,
    *,
    names: list[str] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Nothing; every report is kept up to date until `stop` is set or Ctrl-C is typed (KeyboardInterrupt, but while it waits)."""
    from watchfiles import watch

    changes = watch(
        data,
        notebooks,
        watch_filter=lambda _, path: _is_saved(Path(path)),
        debounce=QUIET_MS * 4,
        step=QUIET_MS,
        rust_timeout=500,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=False,
    )
    _again(data, notebooks, out, pages, names or [], changed=[])
    for batch_of_changes in changes:
        if batch_of_changes:
            changed = sorted({Path(path).name for _, path in batch_of_changes})
            _again(data, notebooks, out, pages, names or [], changed=changed)


def _is_saved(path: Path) -> bool:
    return not any(NOT_SAVED.search(part) for part in (path.name, path.parent.name))


def _again(
    data: Path, notebooks: Path, out: Path, pages: Pages, names: list[str], *, changed: list[str]
) -> None:
    """The reports rendered again, the open ones first; then those that new years or territories call for."""
    start = time.perf_counter()
    what = french.listing(changed) or "Premier rendu"
    render = partial(batch.render, data, notebooks, out, names=names, quiet=True, told=pages.rendered)
    known = plan.read_manifest(out).get("reports", {})
    shown = [file for file in pages.open() if file in known]
    first = batch.Summary()
    try:
        if shown:
            with suppress(DataError):  # it is told below, with all the reports
                first = render(only=shown, keep_values=True)
        rest = render()
    except DataError as error:
        print(f"{what} : {error}", flush=True)
        return
    if first.interrupted or rest.interrupted:
        raise KeyboardInterrupt
    rendered = len(first.rendered) + len(rest.rendered)
    failed = {report.file: why for report, why in [*first.failed, *rest.failed]}
    seconds = french.number(time.perf_counter() - start, 1)
    words = french.plural(rendered, "rapport rendu")
    print(f"{what} : {rendered} {words}, en {seconds}{french.SOLID}s.", flush=True)
    for file, why in failed.items():
        print(f"  ÉCHEC {file} : {why}", flush=True)
    if rendered or failed:
        pages.rendered("index.html")
