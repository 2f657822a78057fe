"""How many one-line changes of the package do the tests notice?

    python -m tests.mutation --only optim devices --sample 100 --out build/mutation.jsonl

Makes one small change at a time in a copy of the tree and runs the tests that execute it. Survivors are printed; the exit code
is 1 if one of them has no verdict in tests/mutation/verdicts.json. A run that was stopped goes on with the same line. Not
mutmut: since its version 3 it changes nothing outside of functions, and here AlexNet itself is a list outside of functions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tests.mutation.runner import AREAS, Result, all_changes, files_of, run, shuffled

VERDICTS = Path(__file__).with_name("verdicts.json")


def main(arguments: list[str] | None = None, root: Path | None = None) -> int:
    """Run the changes that the command line asks for, print what survived, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=AREAS, metavar="AREA", help=f"modules or folders; default {' '.join(AREAS)}")
    parser.add_argument("--sample", type=int, metavar="N", help="as many changes of each area; default all")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the order, drawn at random; default %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results, a JSON document a line; a run before goes on from there")
    parser.add_argument("--again", action="store_true", help="try those once more that survived in FILE")
    args = parser.parse_args(arguments)
    root = root or Path(__file__).parents[2]
    try:
        chosen = [one for area in args.only for one in shuffled(all_changes(root, files_of(root, [area])), args.seed)[: args.sample]]
    except ValueError as error:
        parser.error(str(error))
    results = []
    for number, result in enumerate(run(root, chosen, args.out, args.again), 1):
        results.append(result)
        print(f"{number}/{len(chosen)} {result.outcome:<8} {result.file}:{result.line}: {result.key}", file=sys.stderr, flush=True)
    return report(results, json.loads(VERDICTS.read_text("utf-8")))


def report(results: list[Result], verdicts: list[dict[str, str]]) -> int:
    """Print the survivors and the share noticed; 1 if a survivor has no verdict, else 0.

    A verdict is "equivalent", where no test can see the change, or "accepted", where none shall.
    """
    judged = {(verdict["file"], verdict["key"]): verdict["verdict"] for verdict in verdicts}
    outcomes, unjudged = Counter[str](), 0
    for result in results:
        verdict = judged.get((result.file, result.key)) if result.outcome == "survived" else None
        outcomes[verdict or result.outcome] += 1
        if result.outcome == "survived" and verdict is None:
            unjudged += 1
            print(f"{result.file}:{result.line}: {result.key}")
    noticed, effective = outcomes["noticed"] + outcomes["time"], len(results) - outcomes["equivalent"]
    share = f"{100 * noticed / effective:.1f} %" if effective else "none"
    print(f"{len(results)} changes, {effective} effective, {noticed} noticed: {share}; {unjudged} survived without a verdict")
    return 1 if unjudged else 0


if __name__ == "__main__":
    sys.exit(main())
