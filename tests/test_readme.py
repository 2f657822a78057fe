"""README and the pages beside it say what is so: examples run, files exist, commands are ones that the program takes."""

import argparse
import importlib.util
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from tinyalex.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md")}
every_page = pytest.mark.parametrize("name", PAGES)


@pytest.mark.slow
def test_twenty_lines_learn_as_far_as_readme_says(capsys, tmp_path, monkeypatch):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    first, classes = capsys.readouterr().out.splitlines()
    told = re.search(r"this net ends near (\d+) %", README)
    error = re.fullmatch(r"test error ([\d.]+) %", first)
    assert told and error and abs(float(error[1]) - float(told[1])) < 6  # rounding moves it by a percent or two
    assert len(re.findall(r"'\w+'", classes)) == 5


@every_page
def test_every_file_that_a_page_names_exists(name):
    named = 0
    for line in PAGES[name].splitlines():
        folder = ""
        for path in re.findall(r"`((?:[\w-]+/)*[\w.-]+\.(?:py|md|json)|(?:[\w-]+/)+)`", line):
            if "yours" in path:
                continue
            folder = path.rpartition("/")[0] or folder  # a bare name lies beside the one before it
            assert (ROOT / path).exists() or (ROOT / folder / path).exists(), f"{line}: {path} is missing"
            named += 1
    assert named > 8


@every_page
def test_every_link_leads_somewhere(name):
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[name])
    assert links
    for link in links:
        assert ((ROOT / name).parent / link).exists(), link


@every_page
def test_every_command_is_one_that_the_program_takes(name):
    lines = re.findall(r"^    .*?tinyalex (\w+.*)$|`(?:\.venv/bin/)?tinyalex (\w+ [^`]+)`", PAGES[name], re.MULTILINE)
    lines = [line for found in lines for line in found if line and line.partition(" ")[0] in COMMANDS]
    assert lines
    for line in lines:
        command, *words = shlex.split(line.replace("\\", "/"), comments=True)
        parser = argparse.ArgumentParser(allow_abbrev=False)
        import_module(COMMANDS[command][0]).add_arguments(parser)
        parser.parse_args(words)


def test_first_command_is_the_one_ci_runs():
    command = 'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/python -m pytest -n auto --dist worksteal'
    assert command in README
    assert "m venv .*-m pytest" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_that_runs_all_tests_shares_them_among_processes():
    pages = [*PAGES.values(), (ROOT / ".ci" / "run").read_text(encoding="utf-8")]
    options = [line.partition(" -m pytest")[2] for page in pages for line in page.splitlines() if "python" in line and " -m pytest" in line]
    whole = [line for line in options if "tests/" not in line]
    assert len(whole) == 4 and all("-n auto --dist worksteal" in line for line in whole), whole


def test_first_screen_leads_to_the_first_picture():
    screen = README.splitlines()[:36]
    assert "    python3 -m venv .venv && .venv/bin/pip install -e ." in screen
    assert any(line.startswith("    py -m venv .venv") for line in screen)  # Windows
    assert any("figure1 --quick" in line for line in screen) and any("figure1-quick.png" in line for line in screen)


def test_every_install_line_leaves_the_package_where_it_is():
    for text in PAGES.values():
        for line in re.findall(r"^    .*pip install.*", text, re.MULTILINE):
            assert "install -e " in line, line


def architecture():
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_picture_shows_the_imports_of_today():
    module = architecture()
    shown = json.loads(Image.open(module.PICTURE).text[module.KEY])
    assert shown == module.imports(), "run python docs/architecture.py"


def test_every_box_has_a_place_and_no_import_goes_up_but_one():
    module = architecture()
    level = {name: number for number, names in enumerate(module.LEVELS) for name in names}
    found = module.imports()
    assert {unit for box in level for unit in box.split(", ")} == set(found)
    assert [arrow for arrow in sorted(module.boxes(found)) if level[arrow[1]] <= level[arrow[0]]] == [module.UPWARD]


def test_arrow_that_is_left_out_follows_from_others():
    module = architecture()
    all_arrows = module.boxes(module.imports())
    drawn = module.drawn(all_arrows)
    reached = set(drawn)
    while more := {(a, d) for a, b in reached for c, d in drawn if b == c} - reached:
        reached |= more
    assert all_arrows - {module.UPWARD} <= reached and set(drawn) <= all_arrows


def test_imports_are_read_off_the_sources(tmp_path):
    for path, text in {
        "cli.py": "import importlib", "errors.py": "", "__init__.py": "from tinyalex import errors",
        "commands/__init__.py": "from tinyalex import errors\nimport tinyalex.fast.table",
        "fast/__init__.py": "def f():\n    from tinyalex.errors import g\n    if TYPE_CHECKING:\n        from tinyalex.cli import main",
    }.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert architecture().imports(tmp_path) == {"commands": ["errors", "fast"], "errors": [], "fast": ["errors"]}
