"""The experiments of the paper, one folder for each."""
