"""The lessons, and what makes notebooks, a book and a student's edition of them: `python -m lessons --help`."""
