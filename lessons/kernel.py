"""The kernel that runs a lesson: one of this interpreter, which ends with the lesson and on Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

OPTIONS = ("-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.enabled=False", "--log-level=CRITICAL")


class Client(NotebookClient):
    """A client whose Ctrl-C ends the run; nbclient's own ends the kernel alone, and then fails because it is gone."""

    interrupted = False

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, and let signals cancel the task that runs the cells."""
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(RuntimeError):  # Windows has no such handlers, nor has a thread
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.interrupt, task)
        await super().async_start_new_kernel(**kwargs)

    def interrupt(self, task: asyncio.Task[Any]) -> None:
        """End `task`. nbclient takes a cancelled cell for a dead kernel, so `interrupted` keeps what it was."""
        self.interrupted = True
        task.cancel()


def client_of(notebook: Any, folder: str, start: str, cell_s: int, on_cell: Callable[[], Any]) -> Client:
    """A client that runs `notebook` in `folder`: `start` first, then each cell for at most `cell_s` seconds."""

    class Kernel(AsyncKernelManager):
        """A kernel of this interpreter, whatever is installed under the name python3."""

        kernel_spec = KernelSpec(
            argv=[sys.executable, *OPTIONS, f"--IPKernelApp.exec_lines={start}"], language="python", display_name="Python 3"
        )

    return Client(
        notebook,
        kernel_manager_class=Kernel,
        timeout=cell_s,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
        on_cell_executed=lambda **_: on_cell(),
    )
