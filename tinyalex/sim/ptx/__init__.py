"""An interpreter of PTX, the assembly language of NVIDIA's cards, in NumPy. This is an order in which to read it:

parse.py: the text to instructions. inline.py: calls to the instructions of what is called.
decode.py: an instruction to a Python function. integer.py, bits.py, carry.py, floating.py, convert.py: those that compute.
flow.py: basic blocks, which registers are needed, where pointers come from. kernel.py: all of it together.
run.py: the loop that runs a kernel. group.py: threads that are at the same instruction, with their registers.
memory.py: global memory. access.py, atomic.py: loads, stores, atomic operations. together.py: barriers, shuffles, votes.
races.py: the log of accesses. count.py: what a teacher wants to count.
"""
