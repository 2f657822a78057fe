"""The numbers that were measured, each with the benchmark that found it: where one row of the table begins to pay.

All were found on two cores of an AMD EPYC with NumPy 2.4 and OpenBLAS 0.3.31; on another processor they cost time, never
exactness. `python -m benchmarks.algorithms` compares the rows of convolution layer by layer, `python -m benchmarks --only layer`
the layers with PyTorch's.
"""

STRIP = 3 << 20  # bytes of columns that are made at a time, so that they stay in cache (benchmarks.algorithms: conv1, conv2)
COLUMNS = 32 << 20  # bytes of columns of one image from which the input gradient makes them in parts (31x31 on 400x400: 1.6 GB whole)
FEWEST_BLOCKS = 4  # of fewer images channels and filters are shared out, so that several workers find work (--only alexnet-infer-1)
LEAST_INNERMOST = 32  # images from which a first convolution leaves them innermost for pooling (--only figure1-epoch)

GAP = 16  # elements between the rows of a matrix: rows that begin 4096 bytes apart compete for the same places in the cache
LARGE = 1 << 15  # elements of an image that is copied into cache before its axes are turned (benchmarks.algorithms: conv2)
SMALL_PRODUCT = 10**6  # multiplications of a product so small that OpenBLAS does not copy its operands first (--only figure1-epoch)
LONG = 256  # rows of a product that runs near the full speed of BLAS (--only layer: fc6 at 128 images)
FEW_IMAGES = 8  # a fully connected layer multiplies so few images by a few rows of the weight at a time (--only alexnet-infer-1)

LEAST_CHANNELS = 16  # Winograd: channels on both sides, below which its transforms take longer than they save
LEAST_TILES, LEAST_FROZEN = 32, 9  # Winograd: tiles of all images that repay the transform of the weights; of weights that are frozen
LEAST_IMAGES = 16  # Winograd: as many images are enough, however small they are (benchmarks.algorithms: the CIFAR nets)
LEAST_PHASED = 4  # Winograd, stride above 1: tiles of all images for each element that a weight becomes
AT_ONCE = 2 << 20  # Winograd: bytes of transformed tiles that a block makes before it uses them
ROWS = 300  # Winograd: tiles of a block, whose products then run near the full speed of BLAS
UNEVEN = 0.95  # Winograd: tiles of two sizes pay where they need at most this part of the products of equal tiles
IMAGES = 8  # Winograd: images of a block, however many tiles they have: the rows of a transform are images times channels long
FEW = 50  # Winograd: tiles of all images that are not worth several blocks

LONGEST_AXIS = 160  # average pooling: pixels of an axis up to which one dense matrix is faster than adding shifted lines
