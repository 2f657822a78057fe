"""A teacher for thirteen exercises: it calls your function and says which mistake it makes, never the answer unasked.

    from tinyalex import tutor
    tutor.check("E06", max_pool, max_pool_backward)
    tutor.hint("E06")

It works from what a function does, never from its source text.
"""

from tinyalex.tutor.predictions import predict, reveal
from tinyalex.tutor.session import check, hint, replay, solution
from tinyalex.tutor.turned import fool, mend, weak
from tinyalex.tutor.xray import xray

__all__ = ["check", "fool", "hint", "mend", "predict", "replay", "reveal", "solution", "weak", "xray"]
