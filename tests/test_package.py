"""What `import tinyalex` gives, what it leaves alone, and that every example in a docstring runs."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.tutor.exercises import EXERCISES

ROOT = Path(ta.__file__).parent
MODULES = sorted(
    ".".join(("tinyalex", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py"
)
every_module = pytest.mark.parametrize("name", MODULES)


def imported_by(statement):
    """The packages that a fresh interpreter has loaded after a statement."""
    command = f"{statement}; import sys; print(*sorted(set(name.partition('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_numpy_and_nothing_heavier():
    loaded = imported_by("import tinyalex")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"cupy", "matplotlib", "PIL", "safetensors", "tqdm", "threadpoolctl", "torch", "onnx"})


LAZY = {"Trainer", "data", "evaluate", "gradcheck", "load_dataset", "models", "training"}


def test_all_is_what_there_is_and_leaves_the_errors_to_their_module():
    public = {name for name, value in vars(ta).items() if not name.startswith("_") and isinstance(value, type | types.FunctionType)}
    errors = {name for name in public if isinstance(vars(ta)[name], type) and issubclass(vars(ta)[name], Exception)}
    assert set(ta.__all__) == (public - errors) | LAZY | {"errors"}
    assert errors and all(getattr(ta.errors, name) is getattr(ta, name) for name in errors)
    assert len(ta.__all__) == len(set(ta.__all__)) and set(ta.__all__) <= set(dir(ta))


def test_what_is_loaded_late_is_there_and_not_before():
    assert {"matplotlib", "safetensors", "tinyalex"} & imported_by("import tinyalex as ta; dir(ta)") == {"tinyalex"}
    for name in LAZY:
        imported_by(f"import tinyalex as ta; ta.{name}")
    assert ta.Trainer is importlib.import_module("tinyalex.training").Trainer
    with pytest.raises(AttributeError, match="module 'tinyalex' has no attribute 'Trainr'"):
        ta.Trainr  # noqa: B018


def test_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", ta.__version__)


@every_module
def test_module_and_its_public_classes_and_functions_have_docstrings(name):
    module = importlib.import_module(name)
    asked_of_students = {function.name for exercise in EXERCISES.values() for function in exercise.functions}
    assert module.__doc__
    for key, value in vars(module).items():
        if name.startswith("tinyalex.tutor.exercises.") and key not in asked_of_students:
            continue  # a mistake is three lines, and its message says what it is
        if not key.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == name:
            assert vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__, f"{name}.{key}"


@every_module
def test_examples_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, extraglobs={"np": np, "ta": ta}).failed == 0


def test_there_are_examples_of_the_main_classes():
    finder = doctest.DocTestFinder()
    for public in (ta.Conv2d, ta.Linear, ta.LocalResponseNorm, ta.MaxPool2d, ta.ReLU, ta.Sequential, ta.SGD, ta.SoftmaxCrossEntropy):
        assert any(test.examples for test in finder.find(public)), public


def test_a_net_that_is_built_in_memory_loads_neither_data_sets_nor_processes():
    code = (
        "import sys, tinyalex as ta; from tinyalex.models import figure1_net; net = figure1_net(); ta.SGD(net); ta.SoftmaxCrossEntropy();"
        "print(sorted(name for name in sys.modules if name.startswith(('tinyalex.data', 'tinyalex.training', 'multiprocessing'))))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
