"""An interpreter of PTX, the assembly language of NVIDIA's cards, in NumPy. `run.py` is where to begin to read."""
