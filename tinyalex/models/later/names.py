"""What to say of a network that does not exist: the depths of its family, or the name that is most similar."""

from __future__ import annotations

import re
from collections.abc import Collection

from tinyalex.errors import did_you_mean

DEEP = re.compile(r"(?P<family>.*?[a-z])-?(?P<depth>[0-9]{1,9})(?P<kind>-.*)?")  # such as wide-resnet50-2, vgg16-bn


def near_name(name: object, known: Collection[str], cifar: Collection[str] = ()) -> str | None:
    """The remedy for a name that is not among `known`; None if nothing is similar.

    cifar: which of the known names are of nets for CIFAR-10. Their depths are named apart.

    Example
    -------
    >>> near_name("vgg17", ["vgg16", "vgg19", "vgg16-bn"])
    'vgg has the depths 16 and 19'
    """
    asked = DEEP.fullmatch(name.casefold()) if isinstance(name, str) else None
    if asked is None:
        return did_you_mean(name, known)
    depths: dict[bool, list[int]] = {False: [], True: []}
    for other in known:
        found = DEEP.fullmatch(other)
        # one digit is a version, as in inception-v3
        if found is not None and len(found["depth"]) > 1 and (found["family"], found["kind"]) == (asked["family"], asked["kind"]):
            depths[other in cifar].append(int(found["depth"]))
    if not any(depths.values()) or int(asked["depth"]) in depths[False] + depths[True]:
        return did_you_mean(name, known)
    shown = [_listed(sorted(depths[False])), _listed(sorted(depths[True]), "for CIFAR-10 ")]
    family = f"{asked['family']}{f'...{kind}' if (kind := asked['kind']) else ''}"
    return f"{family} has the {'depths' if sum(map(len, depths.values())) > 1 else 'depth'} {', and '.join(filter(None, shown))}"


def _listed(depths: list[int], before: str = "") -> str:
    if not depths:
        return ""
    *most, last = map(str, depths)
    return before + (f"{', '.join(most)} and {last}" if most else last)
