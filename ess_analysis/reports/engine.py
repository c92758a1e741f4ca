"""The papermill engine `ess`: each notebook runs in a kernel forked from a preloaded process.

    papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name="ess")

Papermill, nbclient, the messages and the kernel are the stock ones, so the notebook that comes out is the
stock one. Only two things differ: the kernel starts by a fork (a few milliseconds) instead of a new
interpreter (a second or two), and it is killed at the end instead of being asked politely. Where fork does
not exist, or for a kernel in another language, papermill's default engine runs, and this is said once.

What it leans on, beyond what is documented: `LocalProvisioner.launch_kernel` and `.kill`,
`KernelManager.provisioner` and `.transport` (jupyter_client); `NotebookClient.create_kernel_manager` and
`.async_start_new_kernel_client` (nbclient); `ipykernel.kernelapp.launch_new_instance`; the arguments of
papermill's `NBClientEngine.execute_managed_notebook`. tests/test_engine.py holds each of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.utils import merge_kwargs, remove_args

from ess_analysis.reports import forks
from ess_analysis.reports.forks import START_SECONDS, Child, NotStarted, can_fork

logger = logging.getLogger("ess_analysis")

END_SECONDS = 2.0  # what a kernel gets to write out its files once the last cell has run


class ForkProvisioner(LocalProvisioner):
    """A local provisioner whose kernels are forked instead of started."""

    process: Any = None  # a Child once launched
    memory: int | None = None  # megabytes
    reads: tuple[str, ...] | None = None  # the file where opened data files are told, the data folder
    started: Callable[[Child], None] | None = None  # called with each kernel born

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Mapping[str, Any]:  # type: ignore[override]
        """The connection information of a kernel just forked."""
        self.process = forks.fork(
            argv=[_launcher(), *cmd[cmd.index("ipykernel_launcher") + 1 :]],
            cwd=str(kwargs.get("cwd") or os.getcwd()),
            env=dict(kwargs.get("env") or os.environ),
            memory=self.memory,
            reads=self.reads,
        )
        self.pid = self.pgid = self.process.pid
        if self.started:
            self.started(self.process)
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """Ended as an interpreter ends (files written out), killed when that takes too long."""
        if self.process:
            self.process.terminate()
            if self.process.wait(END_SECONDS) is None:
                self.process.kill()
                self.process.wait(END_SECONDS)


def _launcher() -> str:
    import ipykernel_launcher

    return str(ipykernel_launcher.__file__)


class ForkClient(PapermillNotebookClient):
    """Papermill's client, with a forked kernel."""

    fork_options: Mapping[str, Any] = {}
    sockets: str = ""  # a folder of its own for the sockets of each kernel

    def create_kernel_manager(self) -> AsyncKernelManager:
        """A stock kernel manager whose kernel will be forked; it speaks over local sockets."""
        manager = super().create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = str(Path(self.sockets) / "k")
        manager.connection_file = str(Path(self.sockets) / "kernel.json")
        provisioner = ForkProvisioner(
            kernel_id=str(uuid.uuid4()), kernel_spec=manager.kernel_spec, parent=manager
        )
        for name, value in self.fork_options.items():
            setattr(provisioner, name, value)
        manager.provisioner = provisioner
        return manager

    async def async_start_new_kernel_client(self) -> AsyncKernelClient:
        """The client of a kernel that has answered; stock nbclient waits 0.2 s more, for nothing to come.

        Raises NotStarted when the kernel does not answer in time.
        """
        client = self.km.client()
        end = time.monotonic() + min(START_SECONDS, self.startup_timeout)
        try:
            await _listening(self.km, end)
            client.start_channels()
            await _answered(client, end)
        except NotStarted:
            client.stop_channels()
            self.km.provisioner.process.kill()
            raise
        client.allow_stdin = False
        self.kc = client
        return client

    start_new_kernel_client = run_sync(async_start_new_kernel_client)


async def _listening(manager: AsyncKernelManager, end: float) -> None:
    """Nothing; the kernel's sockets are there: one connected too soon would try again 0.1 s later only."""
    for port in manager.ports:
        while not os.path.exists(f"{manager.ip}-{port}"):
            if time.monotonic() > end or not await manager.is_alive():
                raise NotStarted("the forked kernel does not listen")
            await asyncio.sleep(0.002)


async def _answered(client: AsyncKernelClient, end: float) -> None:
    """Nothing; the kernel has replied, and told on its output channel that it is idle again."""
    while time.monotonic() < end and await client.is_alive():
        asked = client.kernel_info()  # again: what was told before the channel was connected is lost
        with suppress(queue.Empty):
            while (reply := await client.get_shell_msg(timeout=1))["parent_header"].get("msg_id") != asked:
                continue
            client._handle_kernel_info_reply(reply)
            while True:
                told = await client.get_iopub_msg(timeout=0.2)
                if told["parent_header"].get("msg_id") == asked and told["content"] == {
                    "execution_state": "idle"
                }:
                    return
    raise NotStarted("the forked kernel does not answer")


class ForkEngine(NBClientEngine):
    """The engine that papermill knows as `ess`."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """The notebook executed in a forked kernel, or by papermill's default engine where that cannot be.

        Besides papermill's own options: `fork_memory` (megabytes), `fork_reads` (a file where the data files
        opened are told, the data folder) and `fork_started` (called with the process of each kernel born).
        """
        ours = {name: kwargs.pop(f"fork_{name}", None) for name in ("memory", "reads", "started")}
        reason = _why_not(kernel_name)
        options = {
            "timeout": execution_timeout if execution_timeout else kwargs.get("timeout"),
            "startup_timeout": start_timeout,
            "kernel_name": kernel_name,
            "log": logger,
            "log_output": log_output,
            "stdout_file": stdout_file,
            "stderr_file": stderr_file,
        }
        if reason:
            _say_once(reason)
            return PapermillNotebookClient(nb_man, **_merged(kwargs, options)).execute()
        client = ForkClient(nb_man, **_merged(kwargs, {**options, "shutdown_kernel": "immediate"}))
        client.fork_options = ours
        try:
            with forks.aside() as client.sockets:
                return client.execute()
        except (CellTimeoutError, DeadKernelError) as error:
            vars(error)["running_cell"] = _last_started(nb_man.nb)
            raise
        except NotStarted as error:
            if forks.stopping():
                raise
            logger.warning("Un noyau préparé n’a pas répondu (%s) : papermill sert son moteur.", error)
            return PapermillNotebookClient(nb_man, **_merged(kwargs, options)).execute()


def _last_started(notebook: Any) -> tuple[int, str] | None:
    """The last cell that began to run, by papermill's own marks: its index and its source."""
    begun = [
        (index, cell.source)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.metadata.papermill.start_time
    ]
    return begun[-1] if begun else None


def _merged(kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return merge_kwargs(remove_args(["timeout", "startup_timeout", "input_path"], **kwargs), **options)


def _why_not(kernel_name: str) -> str:
    """Why this kernel cannot be forked, in French; empty when it can."""
    if not can_fork():
        return "ce système ne permet pas de dupliquer un processus préparé"
    try:
        spec = KernelSpecManager().get_kernel_spec(kernel_name or NATIVE_KERNEL_NAME)
    except NoSuchKernel:
        return f"le noyau « {kernel_name} » n’est pas installé ici"
    same = (
        spec.argv
        and os.path.basename(spec.argv[0]).startswith("python")
        and "ipykernel_launcher" in spec.argv
    )
    if spec.language != "python" or not same or not _is_this_python(spec.argv[0]):
        return f"le noyau « {kernel_name} » n’est pas celui de cet environnement"
    return ""


def _is_this_python(program: str) -> bool:
    return not os.path.isabs(program) or os.path.realpath(program) == os.path.realpath(sys.executable)


_said: set[str] = set()


def _say_once(reason: str) -> None:
    if reason not in _said:
        _said.add(reason)
        logger.warning("Moteur rapide indisponible (%s) : papermill sert son moteur ordinaire.", reason)
