"""What the paper says of its own net, tried on CIFAR-10: each part taken away in turn, with the same budget and several seeds."""
