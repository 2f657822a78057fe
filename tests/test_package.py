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


def test_all_is_exactly_what_there_is():
    public = {name for name, value in vars(ta).items() if not name.startswith("_") and not isinstance(value, types.ModuleType)}
    assert set(ta.__all__) == public
    assert len(ta.__all__) == len(set(ta.__all__))


def test_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", ta.__version__)


@every_module
def test_module_and_its_public_classes_and_functions_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for key, value in vars(module).items():
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
