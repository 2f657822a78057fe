"""PyTorch's files of weights, and the names that torchvision, timm and others give to the arrays of a net. Nothing here needs torch."""
