"""Measured bounds, each with the benchmark that found it. They decide which row of the table pays and how large blocks are.

All were measured on two cores of an AMD EPYC with NumPy 2.4 and OpenBLAS 0.3.31. On another processor other bounds may be faster; results
then differ by rounding alone. `python -m benchmarks.algorithms` compares the rows for each convolution of a net, and
`python -m benchmarks --only layer` compares the layers with PyTorch's.
"""

# Convolution by columns.
STRIP = 3 << 20  # most bytes of columns that are computed at a time, so that they stay in cache (benchmarks.algorithms: conv1, conv2)
COLUMNS = 32 << 20  # most bytes of columns that the input gradient computes at a time (31x31 on 400x400 has 1.6 GB for one image)
FEWEST_BLOCKS = 4  # with fewer images, workers share out channels and filters instead of images (--only alexnet-infer-1)
FILTERS = 64  # fewest filters of a product of 1x1 kernels, if an image has more than two such products (--only resnet50-infer-1)
LEAST_INNERMOST = 32  # fewest images for which a first convolution leaves its output CHWN for pooling (--only figure1-epoch)

# Matrices and products.
GAP = 16  # elements between the rows of a matrix, because rows 4096 bytes apart compete for the same lines of the cache
LARGE = 1 << 15  # an image with more elements is copied into the cache before its axes are permuted (benchmarks.algorithms: conv2)
SMALL_PRODUCT = 10**6  # multiplications up to which OpenBLAS does not copy the operands of a product (--only figure1-epoch)
LONG = 256  # a product with this many rows runs near the full speed of BLAS (--only layer: fc6 at 128 images)
FEW_IMAGES = 8  # up to this many images a fully connected layer multiplies by a few rows of the weight at a time (--only alexnet-infer-1)

# Winograd.
LEAST_CHANNELS = 16  # with fewer channels or filters in a group, the transforms take longer than they save
LEAST_TILES, LEAST_FROZEN = 32, 9  # fewest tiles of all images that repay the transform of the weights; of a frozen layer's weights
LEAST_IMAGES = 16  # this many images always repay it, even if they have fewer tiles (benchmarks.algorithms: the CIFAR nets)
LEAST_PHASED = 4  # stride above 1: fewest tiles of all images for each transformed element that one weight yields
AT_ONCE = 2 << 20  # bytes of transformed tiles that a block computes before it multiplies them
BLOCK_TILES = 300  # a block with this many tiles has products near the full speed of BLAS
UNEVEN = 0.95  # tiles of two sizes pay if they need at most this fraction of the products that tiles of one size need
BLOCK_IMAGES = 8  # fewest images of a block, however many tiles they have: the rows of a transform are images times channels long
FEW_TILES = 50  # with at most this many tiles of all images, the batch is one block; of a single image, a band has at least as many

# Batch normalization, and sums of paths.
MAPS = 1 << 20  # bytes of one array of a block: so that all its arrays stay in the cache, and blocks are few (--only resnet18-step-32)

# Average pooling.
LONGEST_AXIS = 160  # pixels of an axis up to which one dense matrix is faster than adding shifted lines
