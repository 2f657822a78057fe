"""Curves of training runs that each hold one planted bug: name the bug from the curve."""
