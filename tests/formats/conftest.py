"""How many mutated files each fuzz test of a parser reads."""

import os

import pytest


@pytest.fixture
def fuzz_count():
    """500, or the number in the environment variable TINYALEX_FUZZ: `TINYALEX_FUZZ=10000 pytest tests/formats -k mutated` takes minutes."""
    return int(os.environ.get("TINYALEX_FUZZ", "500"))
