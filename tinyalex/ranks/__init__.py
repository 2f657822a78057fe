"""Training on several processes, called ranks as in MPI: which gradients are added where.

Each rank has the whole net and trains on its share of every batch. The gradient of a batch is the sum of the shares' gradients, so all
ranks take the same step, and stay equal.

Read in this order: `group.py` (what ranks can do together), `threads.py` (ranks in one process, for tests and lessons), `mpi.py` (ranks
started by mpiexec), `share.py` (which images a rank has), `gradients.py` (the sum, while the backward pass still computes).
"""
