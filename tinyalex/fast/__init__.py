"""Faster versions of the plain functions in `tinyalex.layers`. Each is a row of the table in `table.py`.

A reader who wants to understand the mathematics does not need this package. `tests/fast/test_table.py` compares every row of the
table with its plain function.
"""
