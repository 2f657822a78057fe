"""Networks and weights in the files of other programs: Caffe, ONNX, PyTorch, cuda-convnet. Reading one executes nothing of it."""
