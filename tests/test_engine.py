"""The engine `ess` gives the notebook that papermill's own engine gives, and keeps reports apart."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import papermill  # before the engine
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from ess_analysis.reports import engine, forks, zygote

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="ce système ne duplique pas les processus"
)


def notebook(*cells: str | dict[str, Any]) -> nbformat.NotebookNode:
    """A notebook of these code cells; a dict gives a cell's other traits (type, tags)."""
    made = []
    for number, cell in enumerate(cells):
        traits = {"source": cell} if isinstance(cell, str) else cell
        kind = traits.get("type", "code")
        node = getattr(nbformat.v4, f"new_{kind}_cell")(textwrap.dedent(traits["source"]).strip())
        node["id"] = f"cell-{number}"
        node.metadata["tags"] = traits.get("tags", [])
        made.append(node)
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=made, metadata=metadata)


DIFFICULT = {
    "display": notebook(
        """
        from IPython.display import HTML, JSON, Latex, Markdown, clear_output, display, update_display
        handle = display("first", display_id="shown")
        display(HTML("<b>é</b>"), Markdown("*m*"), Latex("$x$"), JSON({"a": [1, None]}))
        """,
        "update_display('second', display_id='shown'); handle.update(HTML('<i>third</i>'))",
        "print('gone'); clear_output(); print('kept'); clear_output(wait=True); print('replaced')",
        "display({'text/plain': 'raw', 'application/x-own+json': {'a': 1}}, raw=True, metadata={'m': 1})",
        "display('kept'); clear_output(wait=True)",
        """
        class Odd:
            def _repr_html_(self): return '<p>odd</p>'
            def __repr__(self): return 'odd'
        Odd()
        """,
        "1; 2",
        "_, __, Out, len(In)",
    ),
    "streams": notebook(
        """
        import logging, os, sys, warnings
        print("out"); print("err", file=sys.stderr); print("out again")
        """,
        "warnings.warn('old ways', DeprecationWarning); warnings.warn('twice'); warnings.warn('twice')",
        "logging.basicConfig(); logging.getLogger('x').warning('logged')",
        "sys.stdout.write('no end of line'); sys.stdout.flush()",
        "os.write(1, b'straight to the file descriptor\\n'); sys.stdout.flush()",
        "print('\\r1/3', end=''); print('\\r2/3', end=''); print('\\r3/3')",
        "print('été \\u202f € 😀 \\x1b[31mred\\x1b[0m')",
    ),
    "tqdm": notebook(
        """
        import sys
        from tqdm import tqdm
        for _ in tqdm(range(3), bar_format="{n_fmt}/{total_fmt}", mininterval=0, file=sys.stderr):
            pass
        """,
        """
        from tqdm.notebook import tqdm as bar
        for _ in bar(range(3), bar_format="{n_fmt}/{total_fmt}"):
            pass
        """,
    ),
    "widgets": notebook(
        """
        import ipywidgets as w
        slider = w.IntSlider(3, description="n"); slider
        """,
        """
        out = w.Output()
        with out:
            print("inside")
        out
        """,
        "w.interactive(lambda n: print(n), n=(0, 3))",
        "slider.value = 7; slider.value",
    ),
    "figures": notebook(
        "%matplotlib inline",
        "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]); plt.title('é'); plt.show()",
        "%config InlineBackend.figure_formats = ['svg']",
        "%config InlineBackend.print_figure_kwargs = {'metadata': {'Date': None}}",
        "plt.rcParams['svg.hashsalt'] = 'same'",
        "fig, ax = plt.subplots(); _ = ax.bar(['a', 'b'], [1, 2])",
        "plt.get_backend(), sorted(plt.get_fignums())",
    ),
    "figures without a magic": notebook(
        "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])",
        "plt.rcParams['figure.dpi'], plt.get_backend()",
    ),
    "magics": notebook(
        "%%capture caught\nprint('captured')",
        "caught.stdout",
        "%env ESS_TEST=1",
        "x = 1\n%who",
        "%%bash\necho from bash",
        "!echo from the shell",
        "%%html\n<b>b</b>",
        "%pwd",
        "print?",
        "%load_ext autoreload",
        "%precision 3",
        "3.14159",
    ),
    "asynchronous": notebook(
        "import asyncio\nawait asyncio.sleep(0.01); 'awaited'",
        """
        async def later(n):
            await asyncio.sleep(n / 100)
            return n
        await asyncio.gather(*map(later, range(3)))
        """,
        "task = asyncio.ensure_future(later(1)); print('before')",
        "print(await task)",
        "type(asyncio.get_running_loop()).__name__ != ''",
    ),
    "processes": notebook(
        """
        import subprocess, sys, threading
        print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout)
        """,
        "subprocess.run(['sh', '-c', 'echo to the terminal']); print('after')",
        "t = threading.Thread(target=lambda: print('from a thread')); t.start(); t.join()",
        """
        import multiprocessing as mp
        with mp.get_context("fork").Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
        """,
    ),
    "large": notebook("print('x' * 2_000_000)", "for i in range(5000): print(i)", "list(range(3000))"),
    "tables": notebook(
        "import pandas as pd\npd.DataFrame({'a': [1, None], 'é': ['x', 'y']})",
        "pd.options.display.max_rows, pd.options.mode.copy_on_write",
        "pd.DataFrame({'a': range(500)})",
        "pd.Series(['a', None], dtype='str').dtype",
    ),
    "setting": notebook(
        """
        import gc, locale, os, random, signal, sys, threading, warnings
        import matplotlib, numpy
        __name__, os.path.basename(sys.argv[0]), sys.argv[1], len(sys.argv), os.getcwd(), sys.path
        """,
        "sys.flags, sys.getrecursionlimit(), sys.executable, sys.prefix, sys.getfilesystemencoding()",
        "sorted(set(os.environ) - {'JPY_PARENT_PID'}), os.environ.get('MPLBACKEND')",
        "sorted(str(f) for f in warnings.filters)",
        "dict(matplotlib.rcParams)",
        "gc.isenabled(), gc.get_threshold(), locale.getlocale(), os.umask(0o22)",
        "sorted(t.name.rstrip('0123456789') for t in threading.enumerate() if 'pipe' not in t.name)",
        "[signal.getsignal(n) is signal.SIG_DFL for n in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT)]",
        "sys.stdin.read(), sys.stdin.isatty(), sys.stdout.isatty(), sys.stdout.encoding",
        "numpy.get_printoptions(), numpy.geterr()",
        "sorted(k for k in globals() if not k.startswith('_'))",
        "type(get_ipython()).__name__, get_ipython().history_manager.hist_file, get_ipython().colors",
    ),
    "cells": notebook(
        {"source": "# A title", "type": "markdown"},
        {"source": "year = 2013", "tags": ["parameters"]},
        "year",
        "",
        "# only a comment",
        {"source": "raw", "type": "raw"},
        {"source": "1 / 0", "tags": ["raises-exception"]},
        "'after the error'",
        "get_ipython().set_next_input('next'); get_ipython().run_cell('print(\"nested\")');",
    ),
    "exception": notebook(
        """
        def outer(n):
            return inner(n)
        def inner(n):
            try:
                return {}[n]
            except KeyError as error:
                raise ValueError(f"é {n}") from error
        """,
        "print('before'); outer(3)",
        "print('never')",
    ),
    "syntax": notebook("x = (1,\n     2", "print('never')"),
    "repr that fails": notebook("class Bad:\n    def __repr__(self): raise RuntimeError('no')\nBad()"),
    "interruption": notebook("raise KeyboardInterrupt", "print('never')"),
    "group": notebook("raise ExceptionGroup('many', [ValueError(1), TypeError(2)])"),
    "exit": notebook("import sys\nprint('before'); sys.exit(3)", "print('never')"),
    "input": notebook("input('name? ')", "print('never')"),
}
PROJECT = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(node: nbformat.NotebookNode, folder: Path, engine_name: str | None, **options: Any) -> Any:
    """The notebook executed, or the exception it ended with; the notebook written is kept in both cases."""
    folder.mkdir(parents=True, exist_ok=True)
    source, target = folder / "in.ipynb", folder / "out.ipynb"
    nbformat.write(node, source)
    with suppress(PapermillExecutionError):
        papermill.execute_notebook(
            str(source), str(target), engine_name=engine_name, progress_bar=False, cwd=str(ROOT), **options
        )
    return nbformat.read(target, as_version=4)


def comparable(node: nbformat.NotebookNode) -> list[Any]:
    """The notebook without what differs between two runs of the same engine: times, pids, random names."""
    names: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"id{len(names)}")

    text = json.dumps(node, ensure_ascii=False)
    text = re.sub(r"ipykernel_\d+[/\\]+\d+\.py", "ipykernel/cell.py", text)
    text = re.sub(r"0x[0-9a-f]{6,}", "0xADDRESS", text)
    text = re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r'"id": "[0-9a-f]{8}"', '"id": "of papermill"', text)
    text = re.sub(
        r"(?<![0-9a-f])([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])", numbered, text
    )
    plain = json.loads(text)
    for cell in plain["cells"]:
        cell["outputs"] = joined(cell.get("outputs", []))
    for part in [plain, *plain["cells"]]:
        told = part["metadata"].get("papermill", {})
        for name in (
            "start_time",
            "end_time",
            "duration",
            "input_path",
            "output_path",
            "environment_variables",
        ):
            told.pop(name, None)
    states = plain["metadata"].pop("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    shown = [json.dumps(one, sort_keys=True) for one in states.get("state", {}).values()]
    shown = sorted(re.sub(r"id\d+", "id", one) for one in shown)  # ids are drawn: so is their order
    return [plain["metadata"], shown, *plain["cells"]]


def joined(outputs: list[Any]) -> list[Any]:
    """The outputs, streams cut by the clock (every 0.2 s, in both engines) put together again."""
    whole: list[Any] = []
    for one in outputs:
        if whole and one["output_type"] == "stream" and whole[-1].get("name") == one["name"]:
            whole[-1]["text"] += one["text"]
        else:
            whole.append(one)
    return whole


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """The notebook of each name, by the engine `ess` and by papermill's own (run side by side)."""
    folder = tmp_path_factory.mktemp("engines")
    wanted = {**DIFFICULT, **{path.stem: nbformat.read(path, as_version=4) for path in PROJECT}}

    def answered(name: str, engine_name: str | None) -> Any:
        """As `run`; again where a message was lost: nbclient may wait for ever for an Output widget."""
        for _ in range(3):
            with suppress(CellTimeoutError):
                return run(wanted[name], folder / f"{name}-{engine_name}", engine_name, execution_timeout=60)
        raise AssertionError(f"{name} : trois fois sans réponse")

    @cache
    def executed(name: str) -> tuple[Any, Any]:
        with ThreadPoolExecutor(2) as pool:
            ours = pool.submit(answered, name, "ess")
            stock = pool.submit(answered, name, None)
            return ours.result(), stock.result()

    return executed


@pytest.mark.parametrize("name", DIFFICULT)
def test_a_difficult_notebook_comes_out_as_from_papermill(name: str, both: Callable[[str], Any]) -> None:
    ours, stock = map(comparable, both(name))
    assert len(ours) == len(stock)
    for mine, theirs in zip(ours, stock, strict=True):
        assert mine == theirs


@pytest.mark.parametrize("name", [path.stem for path in PROJECT])
def test_each_notebook_of_the_project_comes_out_as_from_papermill(
    name: str, both: Callable[[str], Any]
) -> None:
    ours, stock = map(comparable, both(name))
    for mine, theirs in zip(ours, stock, strict=True):
        assert mine == theirs
    outputs = [output for cell in stock[2:] for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]


def test_the_difficult_notebooks_are_difficult(both: Callable[[str], Any]) -> None:
    kinds = {
        output["output_type"]
        for name in DIFFICULT
        for cell in both(name)[1].cells
        for output in cell.get("outputs", [])
    }
    assert kinds == {"stream", "display_data", "execute_result", "error"}
    stopped = [name for name in DIFFICULT if both(name)[1].metadata.papermill.exception]
    assert set(stopped) >= {"exception", "syntax", "interruption", "group", "exit", "input"}


# --- One report never leaks into another ----------------------------------------------------------

LEAKS = {
    "options of pandas": (
        "import pandas as pd; pd.options.display.max_rows = 7",
        "pd.options.display.max_rows",
    ),
    "rcParams": ("import matplotlib as m; m.rcParams['figure.dpi'] = 7", "m.rcParams['figure.dpi']"),
    "environment": ("import os; os.environ['ESS_LEAK'] = '7'", "os.environ.get('ESS_LEAK')"),
    "working folder": ("import os; os.chdir('/')", "os.getcwd()"),
    "a patched module": ("import textwrap; textwrap.dedent = len", "textwrap.dedent.__name__"),
    "warnings": ("import warnings; warnings.simplefilter('error')", "warnings.filters[0][0]"),
    "locale": (
        "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')",
        "locale.setlocale(locale.LC_ALL)",
    ),
    "names": ("leaked = 7", "'leaked' in globals()"),
    "modules": ("import sys; sys.modules['leaked'] = 7", "'leaked' in sys.modules"),
    "numpy's errors": ("import numpy as np; np.seterr(all='raise')", "np.geterr()['divide']"),
    "seeds": ("import random; random.seed(7); first = random.random()", "random.random()"),
    "numpy's seed": ("import numpy as np; np.random.seed(7)", "np.random.rand()"),
    "recursion limit": ("import sys; sys.setrecursionlimit(777)", "sys.getrecursionlimit()"),
    "time zone": ("import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.tzname"),
}


def test_what_a_report_changes_is_gone_in_the_next(tmp_path: Path) -> None:
    def asked(setup: str, told: str) -> str:
        return f"{setup.partition(';')[0] if ';' in setup else ''}\n[{told}]"

    ask = notebook(*[asked(setup, told) for setup, told in LEAKS.values()])
    change = notebook(*[f"{setup}\n[{told}]" for setup, told in LEAKS.values()])

    def seen(node: Any) -> list[str]:
        return [cell.outputs[0].data["text/plain"] for cell in node.cells]

    before = seen(run(ask, tmp_path / "before", "ess"))
    changed = seen(run(change, tmp_path / "change", "ess"))
    after = seen(run(ask, tmp_path / "after", "ess"))
    names = list(LEAKS)
    drawn = {"seeds", "numpy's seed"}
    constant = [name for name in names if name not in drawn]
    moved = [name for name in names if changed[names.index(name)] != before[names.index(name)]]
    assert moved == names
    assert [after[names.index(name)] for name in constant] == [before[names.index(name)] for name in constant]
    for name in drawn:
        assert after[names.index(name)] != changed[names.index(name)]


def test_each_report_draws_its_own_random_numbers(tmp_path: Path) -> None:
    node = notebook("import random, numpy as np\nrandom.random(), np.random.rand(), np.random.randint(10**9)")
    drawn = {run(node, tmp_path / str(n), "ess").cells[0].outputs[0].data["text/plain"] for n in range(3)}
    assert len(drawn) == 3


def test_files_left_open_and_functions_left_for_the_end_are_not_lost(tmp_path: Path) -> None:
    node = notebook(
        f"file = open({str(tmp_path / 'open.txt')!r}, 'w'); file.write('written');",
        f"import atexit, pathlib\natexit.register(pathlib.Path({str(tmp_path / 'end.txt')!r}).touch);",
    )
    run(node, tmp_path / "ess", "ess")
    assert (tmp_path / "open.txt").read_text() == "written"
    assert (tmp_path / "end.txt").exists()


# --- A report that goes wrong ends alone ----------------------------------------------------------


@pytest.mark.parametrize(
    "end", ["import os; os._exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
)
def test_a_kernel_that_dies_is_told_as_papermill_tells_it(end: str, tmp_path: Path) -> None:
    with pytest.raises(DeadKernelError) as raised:
        run(notebook("1", end), tmp_path / "ess", "ess")
    assert raised.value.running_cell == (1, end)  # type: ignore[attr-defined]
    after = run(notebook("'alive'"), tmp_path / "after", "ess")
    assert after.cells[0].outputs[0].data["text/plain"] == "'alive'"


def test_memory_beyond_the_limit_is_refused_to_the_report_only(tmp_path: Path) -> None:
    node = run(notebook("x = bytearray(10 * 2**30)"), tmp_path / "ess", "ess", fork_memory=300)
    assert node.cells[-1].outputs[0].ename == "MemoryError"


def test_processes_left_by_a_report_end_with_it(tmp_path: Path) -> None:
    node = notebook("import subprocess\nsubprocess.Popen(['sleep', '300']).pid")
    pid = int(run(node, tmp_path / "ess", "ess").cells[0].outputs[0].data["text/plain"])
    assert ended(pid)


def test_nothing_survives_the_death_of_the_process_that_renders(tmp_path: Path) -> None:
    script = f"""
        import papermill, nbformat, sys
        sys.path.insert(0, {str(ROOT)!r})
        from tests.test_engine import notebook, run
        from pathlib import Path
        code = "import os, time; print(os.getpid(), os.getppid(), file=open({str(tmp_path / "pids")!r}, 'w'))"
        run(notebook(code, "time.sleep(300)"), Path({str(tmp_path)!r}) / "ess", "ess")
    """
    batch = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    time.sleep(0.2)
    batch.send_signal(signal.SIGKILL)
    batch.wait()
    assert all(ended(int(pid)) for pid in pids.read_text().split())


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.02)


def ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that nobody has waited for yet; within ten seconds."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


# --- When a fork cannot be had --------------------------------------------------------------------


def test_a_kernel_that_does_not_answer_is_killed_and_papermill_runs_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    born: list[forks.Child] = []
    fork = forks.Zygote.fork

    def stopped(self: forks.Zygote, **request: Any) -> forks.Child:
        child = fork(self, **request)
        os.kill(child.pid, signal.SIGSTOP)
        born.append(child)
        return child

    run(notebook("1"), tmp_path / "warm", "ess")  # the preloaded process has finished its imports
    monkeypatch.setattr(forks.Zygote, "fork", stopped)
    monkeypatch.setattr(engine, "START_SECONDS", 2)
    node = run(notebook("6 * 7"), tmp_path / "ess", "ess")
    assert node.cells[0].outputs[0].data["text/plain"] == "42"
    assert ended(born[0].pid)
    assert "n’a pas répondu" in caplog.text


def test_another_kernel_is_left_to_papermill(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._why_not("python3") == ""
    assert "n’est pas installé" in engine._why_not("no-such-kernel")
    argv = ["/usr/bin/another-python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(argv=argv, language="python")
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: spec)
    assert "n’est pas celui de cet environnement" in engine._why_not("python3")


def test_the_preloaded_process_is_started_again_when_it_died(tmp_path: Path) -> None:
    first = forks.zygote()
    os.kill(first._process.pid, signal.SIGKILL)
    first._process.wait()
    node = run(notebook("6 * 7"), tmp_path / "ess", "ess")
    assert node.cells[0].outputs[0].data["text/plain"] == "42"
    assert forks.zygote() is not first


# --- What it leans on ----------------------------------------------------------------------------


def test_papermill_knows_the_engine_by_its_name() -> None:
    assert papermill_engines.get_engine("ess") is engine.ForkEngine


def test_the_internals_leant_upon_have_the_form_expected() -> None:
    def names(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert names(LocalProvisioner.launch_kernel) == names(engine.ForkProvisioner.launch_kernel)
    assert names(LocalProvisioner.kill) == names(engine.ForkProvisioner.kill)
    assert names(NotebookClient.create_kernel_manager) == ["self"]
    assert names(NotebookClient.async_start_new_kernel_client) == ["self"]
    assert names(NBClientEngine.execute_managed_notebook) == names(engine.ForkEngine.execute_managed_notebook)
    assert {"provisioner", "transport", "ip", "connection_file"} <= set(dir(KernelManager()))
    from ipykernel.kernelapp import launch_new_instance

    assert callable(launch_new_instance)


def test_nothing_of_the_project_is_preloaded() -> None:
    assert not [name for name in zygote.PRELOADED if name.startswith("ess_analysis")]
    code = (
        "import sys, importlib\n"
        "from ess_analysis.reports import zygote\n"
        "for name in zygote.PRELOADED: importlib.import_module(name)\n"
        "print([n for n in sys.modules if n.startswith('ess_analysis') and n.count('.') != 0"
        " and n not in ('ess_analysis.errors', 'ess_analysis.reports', 'ess_analysis.reports.zygote')])\n"
        "import threading; print(threading.active_count(), 'pyplot' in ' '.join(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.splitlines() == ["[]", "1 False"]
