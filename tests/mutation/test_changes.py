"""Every kind of change is made, one at a time, and what no test could see is left alone."""

import pytest

from tests.mutation.changes import changes


def made(source):
    """(kind, changed source) of every change."""
    return [(change.kind, change.apply(source)) for change in changes(source)]


@pytest.mark.parametrize(
    "source, kind, expected",
    [
        ("a < b", "comparison", "(a <= b)"),
        ("a >= b", "comparison", "(a > b)"),
        ("a is None", "comparison", "(a is not None)"),
        ("a in b", "comparison", "(a not in b)"),
        ("a < b < c", "comparison", "(a < b <= c)"),
        ("a + b", "arithmetic", "(a - b)"),
        ("a * (b - c)", "arithmetic", "a * ((b + c))"),
        ("a += b", "arithmetic", "a -= b"),
        ("a and b", "and or", "(a or b)"),
        ("not a", "not", "(a)"),
        ("-a", "sign", "(a)"),
        ("f(7)", "constant", "f(8)"),
        ("f(1e-3)", "constant", "f(1.001)"),
        ("f(True)", "truth", "f(False)"),
        ("x[a:b]", "slice", "x[a:(b) + 1]"),
        ("x[a:b]", "slice", "x[(a) + 1:b]"),
        ("f(range(n))", "range", "f(range((n) - 1))"),
        ("f(range(1, n, 2))", "range", "f(range(1, (n) - 1, 2))"),
        ("f(a, b, c)", "arguments", "f(a, c, b)"),
        ("f(a, b, c=1)", "arguments", "f(b, a, c=1)"),
        ("x[0] = a", "dropped", "pass"),
        ("f()", "dropped", "pass"),
        ("if a:\n    f()", "condition", "if (not (a)):\n    f()"),
        ("[a for a in b if a]", "condition", "[a for a in b if (not (a))]"),
        ("def f():\n    return 'ä', a  # é", "return", "def f():\n    return None  # é"),
        ("def f():\n    raise E", "dropped", "def f():\n    pass"),
        ("for a in b:\n    break", "dropped", "for a in b:\n    pass"),
        ("f('é', 1); g(2)", "constant", "f('é', 1); g(3)"),
        ("f(a +\n  b)", "arithmetic", "f((a - b))"),
    ],
)
def test_change_is_made(source, kind, expected):
    assert (kind, expected) in made(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2."""',
        "x = f'{1 + 2}'",
        "def f(a: int | 3) -> 4:\n    'text'",
        "@g(1, 2)\ndef f():\n    return None",
        "if TYPE_CHECKING:\n    f(1)",
        "x = a",
        "f = g(a, a)",
        "f = max(a, b)",
        "import a",
    ],
)
def test_what_no_test_can_see_is_left_alone(source):
    assert made(source) == []


def test_changes_have_keys_of_their_own_that_stay_when_lines_move():
    source = "a = f(1, 1)\nb = 2\na = f(1, 1)\n"
    keys = [change.key for change in changes(source)]
    assert len(set(keys)) == len(keys) == 5
    moved = [change.key for change in changes("import c\n\n" + source)]
    assert moved == keys


def test_every_change_is_another_program_and_compiles():
    source = "def f(x, n=3):\n    while x[1:] and not n < 2:\n        n -= 1\n    return x if n else -n\n"
    found = made(source)
    assert len({text for _, text in found}) == len(found) > 10
    for _, text in found:
        compile(text, "changed", "exec")
