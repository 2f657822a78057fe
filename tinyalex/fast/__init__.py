"""The functions of `tinyalex.layers` again, faster: each is a row of the one table in `table.py`, and equals the plain function.

Nothing here is needed to understand the mathematics. A test goes through the table and compares every row with the plain
function that stands beside the derivation; see `tests/fast/test_table.py`.
"""
