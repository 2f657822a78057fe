"""Benchmarks: the same work by tinyalex and by PyTorch, checked to agree, then timed in turns. `python -m benchmarks --help`."""
