"""Everything that needs a CUDA card, in ten minutes: `python -m benchmarks.gpu`, or `.ci/gpu`, which installs what is needed first."""
