"""A teacher for twelve exercises: it calls your function and says which mistake it makes, never the answer unasked."""
