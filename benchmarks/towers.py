"""tinyalex compared with itself: AlexNet on one core, on two cores, and as two towers with one core each."""

from __future__ import annotations

import tinyalex as ta
from benchmarks.alexnet import RATES, STEP_TOLERANCE, build, step_flops, step_images, step_inputs, step_tinyalex
from benchmarks.steps import fill, tinyalex_step
from benchmarks.workload import Arrays, Job, Setting, Side, Workload
from tinyalex.models import split_state

ONE_TOWER = step_tinyalex(lrn=True)


def one_core(inputs: Arrays, setting: Setting) -> Job:
    return ONE_TOWER(inputs, Setting(threads=1))


def two_towers(inputs: Arrays, setting: Setting) -> Job:
    """Each tower has half of the threads."""
    devices = [ta.CpuDevice(f"cpu:{i}", workers=max(1, setting.threads // 2)) for i in range(2)]
    net = build(inputs, towers=2, devices=devices)
    fill(net.params, split_state(inputs))
    return tinyalex_step(net, inputs, RATES, devices[0])


SIDES: dict[str, Side] = {"tinyalex": ONE_TOWER, "one core": one_core, "two towers": two_towers}
WORKLOADS = [
    Workload(
        "towers-two-128", "training step of AlexNet at batch 128, one tower on all threads beside one core and two towers",
        step_inputs(128), SIDES, STEP_TOLERANCE, 1, 9, step_flops, images=step_images,
    )
]  # fmt: skip
