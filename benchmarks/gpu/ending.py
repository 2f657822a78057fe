"""How a process whose time is over is ended: it is asked first, and one that does not answer hangs."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

PATIENCE = 5.0  # seconds for a process to end after it was asked; longer than any one call of the driver or of a compiler should take
LISTENS = "import signal; signal.signal(signal.SIGTERM, signal.default_int_handler); "  # for `python -c`: Python must run to answer


def listen() -> None:
    """Let the request end this process as Ctrl-C does: not while the driver or other compiled code keeps it, which then is seen to hang."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def ends_when_asked(process: subprocess.Popen[str], group: bool = False) -> bool:
    """Ask the process to end; whether it did so within `PATIENCE`. If not, it is killed. group: then what is left of its group is too."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    ended = process.poll() is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.wait()
    return ended
