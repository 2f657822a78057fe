"""One contestant's process: `python -m benchmarks.child` reads a message a line and answers each with a line of JSON.

    {"do": "prepare", "side": "torch", "setting": {"threads": 2}, "workload": "lrn-55", "inputs": FOLDER, "quick": false}
    {"do": "answer", "folder": FOLDER}   writes the arrays that must agree, one .npy file each
    {"do": "run", "calls": 4}            works and answers {"s": seconds of one call}
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
    """Do what each message says."""
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
    """The job of a side, its inputs read."""
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
    """Seconds of one call, the mean of `calls`."""
    total = 0.0
    for _ in range(calls):
        job.before()
        start = time.perf_counter()
        result = job.work()
        total += time.perf_counter() - start
        del result  # before the next call, which may then use its memory
    return total / calls


def save(arrays: Arrays, folder: Path) -> None:
    """Write each array as NAME.npy."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def load(folder: Path) -> Arrays:
    """Read what `save` wrote."""
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}


def about() -> dict[str, Any]:
    """What this process runs, and the most memory it has held."""
    from threadpoolctl import threadpool_info

    told = ("user_api", "internal_api", "version", "architecture", "num_threads")
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tinyalex": __version__,
        "thread_pools": [{key: pool.get(key) for key in told} for pool in threadpool_info()],  # their paths are nobody's business
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
    """Absolute paths cut down to their last name: where somebody's compiler lay says nothing about a setting."""
    return re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", text)


def main() -> None:
    """Serve stdin; whatever a library prints goes to stderr, so that it can't be taken for an answer."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
