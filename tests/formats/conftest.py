"""How many mutated files each fuzz test of a parser reads."""

import pytest


@pytest.fixture(params=[500, pytest.param(10_000, marks=pytest.mark.slow)])
def fuzz_count(request):
    """500, and, where slow tests run too, 10,000."""
    return request.param
