"""Figure 1 of the paper: ReLU against tanh on CIFAR-10."""
