"""The process of one contestant: `python -m benchmarks.child` reads one message a line and answers with one line of JSON.

    {"do": "prepare", "side": "torch", "setting": {"threads": 2}, "workload": "lrn-55", "inputs": FOLDER, "quick": false}
    {"do": "answer", "folder": FOLDER}   writes each array that must agree to a .npy file
    {"do": "run", "calls": 4}            works four times and answers {"s": seconds of one call}
    {"do": "forget peak"}                peak memory counts from here
    {"do": "about"}                      versions, matrix library, peak memory so far

It ends when its input ends.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.machine import copy, copy_size, forget_peak, peak_rss, sgemm, sgemm_size
from benchmarks.scaling_job import scaling_job
from benchmarks.table import WORKLOADS
from benchmarks.workload import Arrays, Job, Setting
from tinyalex import __version__


def serve(messages: Iterable[str], answers: TextIO) -> None:
    """Does what the messages say."""
    job: Job | None = None
    for line in messages:
        message, result = json.loads(line), {}
        if message["do"] == "prepare":
            job = prepare(message)
        elif message["do"] == "forget peak":
            forget_peak()
        elif message["do"] == "about":
            result = about()
        else:
            assert job is not None, "prepare comes first"
            if message["do"] == "answer":
                save(job.answer(), Path(message["folder"]))
            else:
                result = {"s": run(job, message["calls"])}
        print(json.dumps(result), file=answers, flush=True)


def prepare(message: dict[str, Any]) -> Job:
    """The job of a side, with its inputs."""
    setting = Setting(**message["setting"])
    if message["side"] == "sgemm":
        return sgemm(sgemm_size(message["quick"]))
    if message["side"] == "copy":
        return copy(copy_size(message["quick"]), setting.threads)
    if message["side"] == "scaling":
        return scaling_job(message["net"], message["batch"], message["options"], setting.threads)
    if message["side"] == "torch":
        import torch

        torch.set_num_threads(setting.threads)
    return WORKLOADS[message["workload"]].sides[message["side"]](load(Path(message["inputs"])), setting)


def run(job: Job, calls: int) -> float:
    """Seconds of one call, the mean over `calls` calls."""
    total = 0.0
    for _ in range(calls):
        job.before()
        start = time.perf_counter()
        result = job.work()
        total += time.perf_counter() - start
        del result  # the next call may use its memory
    return total / calls


def save(arrays: Arrays, folder: Path) -> None:
    """Write each array to a file NAME.npy in the folder."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def load(folder: Path) -> Arrays:
    """Read the arrays that `save` wrote."""
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}


def about() -> dict[str, Any]:
    """The versions and settings of this process, and its peak memory."""
    from threadpoolctl import threadpool_info

    told = ("user_api", "internal_api", "version", "architecture", "num_threads")
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tinyalex": __version__,
        "thread_pools": [{key: pool.get(key) for key in told} for pool in threadpool_info()],  # without private paths
        "peak_rss": peak_rss(),
    }
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        result |= {"torch": torch.__version__, "torch_threads": torch.get_num_threads()}
        result["torch_config"] = without_folders(torch.__config__.show())
    if "onnxruntime" in sys.modules:
        result["onnxruntime"] = sys.modules["onnxruntime"].__version__
    return result


def without_folders(text: str) -> str:
    """Replace each absolute path by its last name, because the place of a compiler is private and no setting."""
    return re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", text)


def main() -> None:
    """Answer the messages on stdin. What a library prints goes to stderr, so that it is not taken for an answer."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
