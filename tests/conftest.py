"""Hypothesis draws the same cases everywhere in CI, and gives no case a deadline."""

import os

from hypothesis import settings

settings.register_profile("tinyalex", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("tinyalex")
