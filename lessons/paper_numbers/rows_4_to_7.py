"""The rows of sections 4 to 7, with their tables, figures and footnotes."""

from __future__ import annotations

from lessons.paper_numbers import learning, net, published as log, runs
from lessons.paper_numbers.number import Also, Cell, Number, agrees, by, differs, published, slip
from lessons.paper_numbers.rows_1_to_3 import IMAGENET

ANOTHER = "It is the result of another group, on data that are not here."
PICTURES = "The pictures are of ILSVRC-2010."

SECTION_4 = (
    agrees("4", "bits that a label of 1000 classes gives", "10 bits", by(net.bits), within=0.5, why="The paper rounds."),
    agrees("4.1", "height and width of a random piece", "224 x 224", by(runs.crop_size)),
    slip(
        "4.1", "pieces of an image, with reflections", "2048", by(runs.pieces, "code"), "2,178", by(runs.pieces, "paper"),
        cell=Cell("08", "pieces of an image: 2,178"),
        why="256 - 224 is 32, but from 0 to 32 there are 33 places. The paper counts 32 x 32 x 2, the authors' program cuts 33 x 33 x 2.",
    ),
    agrees("4.1", "pieces in testing that are not mirrored", "five", by(runs.views_not_mirrored)),
    agrees("4.1", "of these, pieces in a corner", "four", by(runs.corners)),
    agrees("4.1; footnote 5", "pieces in testing, in all", "ten", by(runs.views)),
    agrees("4.1", "mean of the random factors alpha of the color noise", "zero", by(runs.noise_mean), within=1e-3),
    agrees(
        "4.1", "standard deviation of alpha", "0.1", by(runs.noise_deviation), within=1e-3,
        why="The paper multiplies alpha by the eigenvalue. The authors' program multiplies by its root, which is a deviation.",
        also=(
            Also("12.2 gray levels are the deviation of the shift along the first axis with the root", by(runs.shift, by_eigenvalue=False)),
            Also("1,483 gray levels would be its deviation with the eigenvalue; an image has only 256", by(runs.shift, by_eigenvalue=True)),
        ),
    ),
    agrees("4.1", "different shifts among the pixels of an image", "only once", by(runs.shifts_of_an_image)),
    agrees("4.1", "size of the covariance matrix of the colors, from its axes", "3 x 3", by(runs.axes)),
    published(
        "4.1", "by how much color noise lowers the top-1 error", "over 1 %", f"{IMAGENET} None of the authors' logs is without the noise."
    ),
    agrees("footnote 4", "height, width and channels of the image in Figure 2", "224 x 224 x 3", by(net.image)),
    agrees("4.2", "share of the hidden units that dropout sets to 0", "0.5", by(runs.dropped_share), within=0.004),
    agrees("4.2", "factor of the outputs in testing", "0.5", by(runs.kept_at_test)),
    agrees("4.2", "fully connected layers with dropout, from the first one on", "two", by(net.dropped)),
    differs(
        "4.2", "by what dropout multiplies the iterations to convergence", "roughly doubles", None, "1.3 times",
        cell=Cell("08", "dropout needs 1.3 times as many epochs"), within=0.5,
        why="Measured with a small net on synthetic images, to the same loss. AlexNet on ImageNet was not trained here.",
    ),
    differs(
        "4.2", "cost of dropout during training", "a factor of two", None, "1.3 times", within=0.5,
        cell=Cell("08", "dropout needs 1.3 times as many epochs"), why="It is the same measurement.",
    ),
)  # fmt: skip

SECTION_5 = (
    agrees("5", "images of a batch", "128", by(learning.batch)),
    agrees("5", "momentum: what is left of a velocity after a step", "0.9", by(learning.momentum)),
    agrees("5", "weight decay: what a weight takes from its velocity, divided by the rate", "0.0005", by(learning.weight_decay)),
    agrees("5, update rule", "factor of the old velocity in the formula", "0.9", by(learning.momentum)),
    agrees("5, update rule", "factor of the rate and the weight in the formula", "0.0005", by(learning.weight_decay)),
    agrees("5", "mean of the first weights of a layer, conv1 to fc8", "zero", by(learning.first_means), within=1e-4),
    agrees(
        "5", "standard deviation of the first weights, conv1 to fc8", "0.01", by(learning.first_deviations), within=5e-5,
        why="The authors' program starts conv3, conv4 and conv5 wider.",
        also=(Also("0.03 is the deviation in the authors' conv3", by(learning.first_deviation, "authors", "conv3")),),
    ),
    agrees("5", "convolutions whose first biases are not 0", "second, fourth and fifth", by(learning.starts_at_one, "conv")),
    agrees(
        "5", "first biases of these convolutions and of the hidden fully connected layers", "1",
        by(learning.first_biases, "conv2", "conv4", "conv5", "fc6", "fc7"),
    ),
    agrees("5", "first biases of the remaining layers", "0", by(learning.first_biases, "conv1", "conv3", "fc8")),
    agrees(
        "5", "by what the rate is divided each time", "10", by(learning.divided_by), within=1e-9,
        why='The paper says "an equal learning rate for all layers". In the authors\' program biases have twice the rate of the weights.',
    ),
    agrees(
        "5", "first learning rate", "0.01", by(learning.rate_of_a_step),
        also=(Also("0.00001 is the last rate", by(learning.last_rate)),),
    ),
    agrees("5", "how often the rate is lowered", "three times", by(learning.lowered)),
    agrees(
        "5", "epochs of the recipe", "roughly 90", by(learning.epochs),
        why="Epochs times images divided by the images of a batch are the steps.",
        also=(
            Also("91 epochs were in the authors' run for 2012, by its log", by(learning.epochs, "authors")),
            Also("843,750 steps are the whole run", by(learning.steps, "1.2 million")),
            Also("9,375 steps are an epoch", by(learning.steps_of_an_epoch, "1.2 million")),
        ),
    ),
)  # fmt: skip

SECTION_6 = (
    published("6; Table 1", "top-1 error of sparse coding, 2010", "47.1 %", ANOTHER),
    published("6; Table 1", "top-5 error of sparse coding, 2010", "28.2 %", ANOTHER),
    published("6", "sparse-coding models that were averaged there", "six", ANOTHER),
    published("6; Table 1", "top-1 error of Fisher vectors", "45.7 %", ANOTHER),
    published("6; Table 1", "top-5 error of Fisher vectors", "25.7 %", ANOTHER),
    published("6", "classifiers that were averaged there, and types of features", "two", ANOTHER),
    published(
        "footnote 5", "top-1 error with one view", "39.0 %", IMAGENET,
        by(log.logged, "145, test of 2010, one view", "top-1"),
        log="39.0247 % stands in the authors' log",
    ),
    published(
        "footnote 5", "top-5 error with one view", "18.3 %", IMAGENET,
        by(log.logged, "145, test of 2010, one view", "top-5"),
        log="18.2953 % stands in the authors' log",
    ),
    agrees(
        "6", "difference of validation and test errors, in the lines of Table 2 that have both", "not more than 0.1 %",
        by(log.validation_from_test), relation="at most",
    ),
    published(
        "Table 2", "top-1 error of one net on the validation images of 2012", "40.7 %", IMAGENET,
        by(log.logged, "145, validation of 2012", "top-1"),
        log="40.664 % stands in the authors' log",
    ),
    published(
        "6; Table 2", "top-5 error of one net on the validation images of 2012", "18.2 %", IMAGENET,
        by(log.logged, "145, validation of 2012", "top-5"),
        log="18.21 % stands in the authors' log",
    ),
    published("6; Table 2", "nets of the smaller average", "five", f"{IMAGENET} The other four nets are not public."),
    published("Table 2", "top-1 error of five nets, validation", "38.1 %", IMAGENET),
    published("6; Table 2", "top-5 error of five nets, validation", "16.4 %", IMAGENET),
    published("Table 2", "top-5 error of five nets, test", "16.4 %", IMAGENET),
    agrees("6", "convolutions of the net with one over the last pooling", "sixth", by(net.convolutions, sixth=True)),
    published("6", "images of the Fall 2011 release", "15M", IMAGENET),
    published(
        "6", "categories of the Fall 2011 release", "22K", IMAGENET, by(log.classes_of_2011), within=500,
        log="21,843 outputs are in the authors' net for it",
    ),
    published(
        "Table 2", "top-1 error of the net that saw the Fall 2011 release first", "39.0 %", IMAGENET,
        by(log.logged, "146-2012-2011, validation of 2012", "top-1"),
        log="38.99 % stands in the authors' log",
    ),
    published(
        "6; Table 2", "top-5 error of the net that saw the Fall 2011 release first", "16.6 %", IMAGENET,
        by(log.logged, "146-2012-2011, validation of 2012", "top-5"),
        log="16.622 % stands in the authors' log",
    ),
    agrees("6; Table 2", "nets of the larger average: the text's two and five", "7 CNNs", by(log.added, "two", "five")),
    published("Table 2", "top-1 error of seven nets, validation", "36.7 %", IMAGENET),
    published("Table 2", "top-5 error of seven nets, validation", "15.4 %", IMAGENET),
    published("6", "categories of the Fall 2009 release", "10,184", IMAGENET),
    published("6", "images of the Fall 2009 release", "8.9 million", IMAGENET),
    published("6", "share of these images for training, and for testing", "half", IMAGENET),
    published("6", "top-1 error on the Fall 2009 release", "67.4 %", IMAGENET),
    published("6", "top-5 error on the Fall 2009 release", "40.9 %", IMAGENET),
    published("6", "best top-1 error on it before", "78.1 %", ANOTHER),
    published("6", "best top-5 error on it before", "60.9 %", ANOTHER),
)  # fmt: skip

SECTION_6_1 = (
    agrees(
        "6.1", "layers with weights that read the image, each card's half counted", "two", by(net.readers_of_the_image),
        why="They are the halves of conv1. As section 3.5 counts, it is one layer. An earlier net of the authors had two: there conv2 read "
        "a small copy of the image as well.",
    ),
    agrees("Figure 3", "size of the image that these kernels read", "224 x 224 x 3", by(net.image)),
    agrees("Figure 3", "kernels of conv1 on the first card", "top 48", by(net.half_maps, "conv1")),
    agrees("Figure 3", "kernels of conv1 on the second card: all but those of the first", "bottom 48", by(net.half_maps, "conv1", "b")),
    published("6.1; Figure 4", "test images on the left", "eight", f"{PICTURES} `tinyalex predict` draws such a figure of your own."),
    published("6.1; Figure 4", "labels beside each", "five", PICTURES, by(runs.guesses), log="5 labels are named by `tinyalex predict`"),
    published(
        "6.1; Figure 4", "test images on the right", "five", PICTURES, by(runs.queries_drawn),
        log="5 test images are drawn by `tinyalex neighbors`",
    ),
    published(
        "6.1; Figure 4", "nearest training images of each", "six", PICTURES, by(runs.neighbors_found),
        log="6 neighbors are found by `tinyalex neighbors`",
    ),
    agrees("6.1", "units of the last hidden layer, whose values are compared", "4096", by(net.last_hidden_units)),
)  # fmt: skip

SECTION_7 = (
    published(
        "7", "by how much the top-1 error rises without one of the middle convolutions", "about 2 %",
        f"{IMAGENET} None of the authors' logs is of such a net. What such a net loses in parameters can be counted.",
        also=(Also("1.09 % of all parameters are in conv4", by(net.share_of_parameters, "conv4")),),
    ),
)  # fmt: skip

PARTS: tuple[tuple[str, tuple[Number, ...]], ...] = (
    ("4 Reducing overfitting", SECTION_4),
    ("5 Details of learning", SECTION_5),
    ("6 Results, with Tables 1 and 2", SECTION_6),
    ("6.1 Qualitative evaluations, with Figures 3 and 4", SECTION_6_1),
    ("7 Discussion", SECTION_7),
)
