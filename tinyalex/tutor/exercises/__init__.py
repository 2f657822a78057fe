"""The exercises, one a file: E01 to E13. Where one is long, its functions have files of their own beside it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from tinyalex.tutor.exercise import Exercise

EXERCISES: Mapping[str, Exercise] = MappingProxyType(
    {
        module.name.upper(): getattr(importlib.import_module(f"{__name__}.{module.name}"), module.name.upper())
        for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
        if module.name[1:].isdigit()
    }
)
