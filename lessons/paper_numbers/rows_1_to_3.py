"""The rows of the abstract and of sections 1 to 3, with their figures and footnotes."""

from __future__ import annotations

from lessons.paper_numbers import net, published as log, runs
from lessons.paper_numbers.number import Also, Cell, Number, agrees, by, differs, published, slip

IMAGENET = "It needs ImageNet."
CONVOLUTIONS = net.CONVOLUTIONS

ABSTRACT = (
    published("abstract; 1; 2; 3.2; 5", "training images of ILSVRC-2010", "1.2 million", IMAGENET),
    agrees("abstract; 2; 3.5; 4", "classes", "1000", by(net.classes)),
    published(
        "abstract; 6; Table 1", "top-1 error of the net on the test images of 2010", "37.5 %", IMAGENET,
        by(log.logged, "145, test of 2010", "top-1"),
        log="37.4727 % stands in the authors' log",
    ),
    published(
        "abstract; 6; Table 1", "top-5 error of the net on the test images of 2010", "17.0 %", IMAGENET,
        by(log.logged, "145, test of 2010", "top-5"),
        log="16.9987 % stands in the authors' log",
    ),
    agrees(
        "abstract; 4", "parameters of the net", "60 million", by(net.parameters), within=5e6,
        cell=Cell("09", "60,965,224 parameters"), why="The paper rounds down, to tens of millions.",
    ),
    agrees(
        "abstract", "neurons of the net", "650,000", by(net.neurons, *CONVOLUTIONS), within=5e3,
        cell=Cell("09", "of which 650,080 are in the convolutions"),
        why="This is the number of the five convolutions, and it rounds to 650,000 only with the right count of conv1: see Figure 2.",
        also=(Also("659,272 neurons are in all layers with weights", by(net.neurons, *CONVOLUTIONS, "fc6", "fc7", "fc8")),),
    ),
    agrees("abstract; 1; 3; 3.5", "convolutional layers", "five", by(net.layers, "Conv2d")),
    agrees("abstract; 1; 3; 3.5", "fully connected layers", "three", by(net.layers, "Linear")),
    agrees("abstract; 3.5", "outputs of the softmax", "1000", by(net.units, "fc8")),
    published(
        "abstract; 6; Table 2", "top-5 error of seven nets on the test images of 2012", "15.3 %",
        IMAGENET, by(log.contest, "winner"),
        log="15.315 % stands on the slides of the contest",
    ),
    published(
        "abstract; 6; Table 2", "top-5 error of the second-best entry of 2012", "26.2 %",
        "It is another group's program.", by(log.contest, "second"), log="26.172 % stands on the slides of the contest",
    ),
)  # fmt: skip

SECTION_1 = (
    published("1", "the best error on MNIST at that time", "< 0.3 %", "It is the result of another paper, [4], with a committee of nets."),
    published("1; 2", "images of ImageNet", "over 15 million", IMAGENET),
    published("1", "categories of ImageNet", "over 22,000", IMAGENET),
    slip(
        "1", "largest share of the parameters that a convolution has", "no more than 1 %", by(net.share_of_parameters, *CONVOLUTIONS),
        "1.45 %, of conv3", relation="at most", cell=Cell("09", "conv3 has 1.45 %"),
        why="conv3 and conv4 are above 1 %, the other three are below.",
        also=(
            Also("885,120 parameters are in conv3", by(net.parameters, "conv3")),
            Also("1.09 % of the parameters are in conv4", by(net.share_of_parameters, "conv4")),
        ),
    ),
    published(
        "1; 5", "days of training", "five to six", f"{IMAGENET} It also needs the cards of 2012. We can say what they must have done.",
        also=(
            Also(
                "0.99 TFLOP in a second are needed from both cards together for 5.5 days, where additions and multiplications both count",
                by(log.work_in_a_second, "1.2 million", days=5.5),
            ),
        ),
    ),
    agrees("1; 3.2; 5", "graphics cards", "two", by(net.cards)),
    agrees(
        "1; 3.2; 5", "memory of a card: what the program of 2012 held on each of two, by our count of its arrays", "3GB", by(net.memory, 2),
        relation="at most", why="One card would be nearly full.",
        also=(Also("2.72 GiB would lie on it, as lesson 10 counts too", by(net.gib_of_memory, 1)),),
    ),
)  # fmt: skip

SECTION_2 = (
    published("2", "categories of ImageNet, in other words", "roughly 22,000", IMAGENET),
    agrees(
        "2", "training images in each category: the printed 1.2 million divided by 1000", "roughly 1000",
        by(log.quotient, "1.2 million", "1000"), within=500, why="The paper rounds to one digit.",
    ),
    published("2", "validation images", "50,000", IMAGENET),
    published("2", "test images", "150,000", IMAGENET),
    agrees("2", "ranks of the right label that count as right in the first error", "top-1", by(runs.ranks_that_count, "error")),
    agrees("2", "ranks of the right label that count as right in the second error", "five", by(runs.ranks_that_count, "top5_error")),
    agrees("2; 4.1", "height and width of a prepared picture", "256 x 256", by(runs.resized)),
    agrees("2", "pixels of the shorter side, before the middle is cut out", "256", by(runs.shorter_side)),
)  # fmt: skip

FIGURE_2 = (
    agrees("Figure 2", "numbers of an image", "150,528", by(net.input_elements)),
    slip(
        "Figure 2", "neurons of conv1", "253,440", by(net.neurons, "conv1"), "290,400", by(net.slip_of_conv1),
        cell=Cell("09", "conv1 has 290,400 neurons"),
        why="55 x 55 x 96 is right. The printed number is 55 x 48 x 96: one side of a map is replaced by the 48 maps of a card.",
        also=(Also("622,312 neurons would be in the whole net with the slip", by(net.neurons_with_the_slip)),),
    ),
    agrees("Figure 2", "neurons of conv2", "186,624", by(net.neurons, "conv2")),
    agrees("Figure 2", "neurons of conv3", "64,896", by(net.neurons, "conv3")),
    agrees("Figure 2", "neurons of conv4", "64,896", by(net.neurons, "conv4")),
    agrees("Figure 2", "neurons of conv5", "43,264", by(net.neurons, "conv5")),
    agrees("Figure 2", "neurons of fc6", "4096", by(net.neurons, "fc6")),
    agrees("Figure 2", "neurons of fc7", "4096", by(net.neurons, "fc7")),
    agrees("Figure 2", "neurons of fc8", "1000", by(net.neurons, "fc8")),
    agrees(
        "Figure 2", "side of conv1's maps, written at its box", "55", by(net.side, "conv1"),
        why="It needs rounding up, and zeros beyond the right and the lower edge, as the authors' program has it.",
        also=(Also("54 is the side where the count is rounded down", by(net.rounded_down)),),
    ),
    agrees("Figure 2", "maps of conv1 on one card, written at its box", "48", by(net.half_maps, "conv1")),
)  # fmt: skip

SECTION_3 = (
    agrees("3; 3.5", "layers with weights", "eight", by(net.layers)),
    *FIGURE_2,
    agrees("3.1", "the largest output of ReLU for negative inputs, f(x) = max(0, x)", "0", by(runs.relu_of_negative)),
    agrees("3.1", "c and p of the sigmoid, (c + e^-x)^p", "1, -1", by(runs.formula_of_sigmoid), within=1e-9),
    agrees(
        "3.1; Figure 1", "training error on CIFAR-10 to which the nets are compared", "25 %", by(log.target),
        why="It is the goal of our runs, too.",
    ),
    agrees(
        "3.1; Figure 1", "layers of the net of Figure 1", "four", by(net.figure_1_layers),
        why="The paper says no more of this net. Ours is one of four layers with weights that its authors published.",
    ),
    differs(
        "Figure 1", "times as many epochs as ReLU that tanh needs to 25 %", "six", by(log.slower, "2012"),
        "9.5 times, in the setup of 2012",
        why="One seed, a JPEG-recompressed copy of CIFAR-10. Most of the effect depends on the scale of inputs and first weights.",
        also=(Also("1.7 times as many are needed where both are scaled by today's rules", by(log.slower, "fan-in")),),
    ),
    agrees("3.2", "share of the kernels or units that lies on one card, conv1 to fc7", "half", by(net.on_one_card)),
    agrees("3.2; 3.5", "the convolution that reads all maps of the one before it", "third", by(net.reads_all)),
    agrees("3.2; 3.5", "convolutions that read the maps of their own card alone", "second, fourth and fifth", by(net.own_half)),
    published(
        "3.2", "by how much two cards lower the top-1 error", "1.7 %", IMAGENET,
        by(log.fell, "145-half, test of 2010", "145, test of 2010", "top-1"),
        log="1.695 % is the difference of two of the authors' logs",
    ),
    published(
        "3.2", "by how much two cards lower the top-5 error", "1.2 %", IMAGENET,
        by(log.fell, "145-half, test of 2010", "145, test of 2010", "top-5"),
        log="1.230 % is the difference of the same logs",
    ),
    agrees(
        "3.2; footnote 2", "kernels of the one-card net divided by the paper's, conv1 to conv4", "half as many",
        by(net.half_as_many, *CONVOLUTIONS[:4]),
    ),
    agrees(
        "footnote 2", "parameters of the one-card net divided by the paper's: bigger than half", "half the size",
        by(net.size_of_the_half_net), relation="at least", why="It keeps all kernels of conv5, and so all of fc6. It has less work.",
        also=(
            Also("59,798,312 parameters are in the one-card net", by(net.parameters, half=True)),
            Also("54 % of the multiplications are left", by(net.work_of_the_half_net)),
        ),
    ),
    agrees("3.3", "k of response normalization", "2", by(runs.norm_k), within=1e-6),
    agrees(
        "3.3", "n: channels that one activity has an effect on", "5", by(runs.norm_n),
        also=(
            Also("2 of them are on each side, which is n / 2 rounded down", by(runs.norm_reach)),
            Also("3 channels depend on the first one, which has neighbors on one side only", by(runs.norm_n, 0)),
        ),
    ),
    agrees(
        "3.3", "alpha", "10^-4", by(runs.norm_alpha), within=1e-9,
        why="The authors' program divides alpha by n, so a square counts a fifth there.",
        also=(Also("0.00002 is alpha in the authors' net", by(runs.norm_alpha, "authors")),),
    ),
    agrees("3.3", "beta", "0.75", by(runs.norm_beta), within=1e-6),
    published(
        "3.3", "by how much normalization lowers the top-1 error", "1.4 %", IMAGENET,
        by(log.fell, "148, validation of 2012", "145, validation of 2012", "top-1"),
        log="1.370 % is the difference of two of the authors' logs",
    ),
    published(
        "3.3", "by how much normalization lowers the top-5 error", "1.2 %", IMAGENET,
        by(log.fell, "148, validation of 2012", "145, validation of 2012", "top-5"),
        log="1.152 % is the difference of the same logs",
    ),
    slip(
        "3.3", "layers of the net for CIFAR-10 with 13 % and 11 %", "four", by(net.cifar_layers), "5 layers with weights",
        by(net.cifar_layers, classifier=False),
        why="Footnote 3 names the files of the authors' program. Their nets have two convolutions, two layers with weights of their own at "
        "each place, and a last layer that gives the classes. The paper's four leaves out the last one.",
        also=(Also("1,116,490 parameters are in the 13 % net", by(net.cifar_parameters)),),
    ),
    published(
        "3.3", "test error on CIFAR-10 without normalization", "13 %",
        "Training takes hours, and was not done here. The authors' own page calls 13 % a careful estimate.", by(log.site_13),
        log="12.6 % is what that page shows",
    ),
    published(
        "3.3", "test error on CIFAR-10 with normalization", "11 %",
        "Training takes longer still. The public files of the two nets differ in more than normalization: the 11 % net also has "
        "twice as many filters in its third layer.",
    ),
    agrees("3.4", "s, the stride of all poolings", "2", by(net.step_of_pooling)),
    agrees("3.4", "z, the side of all pooling windows", "3", by(net.window_of_pooling)),
    published(
        "3.4", "by how much overlap lowers the top-1 error", "0.4 %", IMAGENET,
        by(log.fell, "147, validation of 2012", "145, validation of 2012", "top-1"),
        log="0.394 % is the difference of two of the authors' logs",
    ),
    published(
        "3.4", "by how much overlap lowers the top-5 error", "0.3 %", IMAGENET,
        by(log.fell, "147, validation of 2012", "145, validation of 2012", "top-5"),
        log="0.300 % is the difference of the same logs",
    ),
    agrees(
        "3.4", "s and z without overlap: they give maps of the same sides as z = 3", "s = 2, z = 2", by(net.without_overlap),
        why="That is so where the count of windows is rounded down. The authors' program rounds up, and there conv2 and conv3 were given "
        "other padding.",
        also=(Also("27 is the side after the first pooling; then come 13 and 6", by(net.first_pooled_side, 2, 2)),),
    ),
    agrees("3.5", "height, width and channels of the image", "224 x 224 x 3", by(net.image)),
    agrees("3.5; Figure 3", "kernels of conv1", "96", by(net.kernels, "conv1")),
    agrees("3.5; Figure 3", "size of a kernel of conv1", "11 x 11 x 3", by(net.kernel_size, "conv1")),
    agrees(
        "3.5", "stride of conv1: pixels between the receptive fields of two neighbors", "4 pixels", by(net.stride, "conv1"),
    ),
    agrees("3.5", "kernels of conv2", "256", by(net.kernels, "conv2")),
    agrees("3.5", "size of a kernel of conv2", "5 x 5 x 48", by(net.kernel_size, "conv2")),
    agrees("3.5", "kernels of conv3", "384", by(net.kernels, "conv3")),
    agrees("3.5", "size of a kernel of conv3", "3 x 3 x 256", by(net.kernel_size, "conv3")),
    agrees("3.5", "kernels of conv4", "384", by(net.kernels, "conv4")),
    agrees("3.5", "size of a kernel of conv4", "3 x 3 x 192", by(net.kernel_size, "conv4")),
    agrees("3.5", "kernels of conv5", "256", by(net.kernels, "conv5")),
    agrees("3.5", "size of a kernel of conv5", "3 x 3 x 192", by(net.kernel_size, "conv5")),
    agrees(
        "3.5", "units of each fully connected layer", "4096", by(net.units, "fc6", "fc7"),
        why="The last layer has 1000, one for each class.",
    ),
    agrees("3.5", "convolutions that normalization follows", "first and second", by(net.followed_by, "LocalResponseNorm")),
    agrees("3.5", "the last convolution that pooling follows", "fifth", by(net.last_followed_by, "MaxPool2d")),
)  # fmt: skip

PARTS: tuple[tuple[str, tuple[Number, ...]], ...] = (
    ("Abstract", ABSTRACT),
    ("1 Introduction", SECTION_1),
    ("2 The dataset", SECTION_2),
    ("3 The architecture, with Figures 1 and 2", SECTION_3),
)
