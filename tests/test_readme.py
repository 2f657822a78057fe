"""README says what is so: its example runs, its files exist, its command is the one that CI runs."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_example_has_twelve_lines_and_learns(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) == 12
    exec(compile(example, "README.md", "exec"), {})
    losses = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:10]]
    assert len(losses) == 10 and losses[-1] < 0.9 * losses[0]


def test_every_file_of_the_table_exists():
    rows = [line for line in README.splitlines() if line.startswith("| ") and "tinyalex/" in line]
    assert len(rows) >= 13
    for row in rows:
        folder = ""
        for name in re.findall(r"`([\w/.]+(?:\.py|/))`", row):
            folder = name.rpartition("/")[0] or folder  # a bare name lies beside the one before it
            path = Path(__file__).parents[1] / (name if "/" in name else f"{folder}/{name}")
            assert path.exists(), f"{row}: {path} is missing"


def test_first_command_is_the_one_ci_runs():
    command = 'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/python -m pytest'
    assert command in "\n".join(README.splitlines()[:24])
    assert "m venv .*-m pytest" in (Path(__file__).parents[1] / ".ci" / "run").read_text()
