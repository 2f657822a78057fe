"""What can be known of a network before it runs: counts, receptive fields, the memory of its training, its picture."""

from tinyalex.analysis.count import Row, Totals, count, totals
from tinyalex.analysis.memory import largest_batch, training_needs
from tinyalex.analysis.need import Need
from tinyalex.analysis.receptive import Field, receptive_fields
from tinyalex.analysis.walk import Visit, visit

__all__ = [
    "Field",
    "Need",
    "Row",
    "Totals",
    "Visit",
    "count",
    "largest_batch",
    "receptive_fields",
    "totals",
    "training_needs",
    "visit",
]
