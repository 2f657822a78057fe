"""The questions of the lessons that have a number for an answer, and what the number says; the numbers come from answers.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinyalex.tutor import answers


@dataclass(frozen=True)
class Prediction:
    """A question with a number for an answer.

    question: what is asked, with its unit. answer: computes the number. means: what the number says.
    """

    question: str
    answer: Callable[[], float]
    means: str


PREDICTIONS = {
    "00-a": Prediction("The centered difference of x**3 at x = 1 with h = 0.1: which number comes out, where the slope is 3?",
        answers.slope_of_the_difference, "The error is h**2 times a sixth of the third derivative: 0.01."),
    "00-b": Prediction("The centered difference of sin at x = 1 with h = 1e-5: its error is about 10 to which power?",
        answers.power_of_the_error, "h**2 / 6 and 1e-16 / h, from rounding, are both about 1e-11: ten digits are right."),
    "00-c": Prediction("The same with h = 0.1, 0.01 and so on to 1e-15: 10 to which power is the best of these steps?",
        answers.best_power, "Below about 1e-5 the differences are so small that mostly rounding errors are left of them."),
    "01-a": Prediction("ReLU on 100,000 numbers from a normal distribution with mean 0: how many percent are zero afterwards?",
        answers.dead_units, "Half of a distribution around zero is negative."),
    "01-b": Prediction("A net with small random weights chooses among 10 classes: what is its loss before it has learned anything?",
        lambda: math.log(10), "Each class gets a probability of about 1/10, and -log(1/10) is 2.303."),
    "01-c": Prediction("A slope goes back through 8 sigmoids. At most one part in how many is left of it?",
        answers.parts_of_a_slope, "The slope of a sigmoid is at most 1/4, and 4 to the power of 8 is 65,536."),
    "02-a": Prediction("y = x * x with x = 3, where x is used twice: what is the slope of y?",
        answers.shared, "Each use sends back 3, and a gradient adds where a value is used more than once."),
    "02-b": Prediction("A fully connected layer: backward (dx, dweight, dbias) multiplies how many times as often as forward?",
        answers.cost_of_backward, "One product forward, two of the same size backward, however many weights there are."),
    "02-c": Prediction("y = x * x + 3 * x at x = 2. Each use of x, from left to right, writes dx = ..., and does not add. What is left?",
        answers.last_use, "The last use alone. The right slope is 2 + 2 + 3 = 7: each use adds its part."),
    "03-a": Prediction("im2col writes out all windows of conv1: how many numbers does it write for each number of the 224 x 224 image?",
        answers.conv1_columns, "Windows of 11 with stride 4 overlap, so that most pixels are written several times."),
    "03-b": Prediction("An image 224 pixels wide, a kernel of 11 and a stride of 4: how many windows side by side has conv1 in the paper?",
        answers.conv1_windows, "(224 - 11) / 4 + 1 is 54.25. The program of 2012 rounds up, and reads zeros beyond the edge."),
    "03-c": Prediction("An image of ones, 6 x 8, kernel 3 x 4, stride 2: what is the largest number in col2im(im2col(image))?",
        answers.most_copies, "col2im adds what im2col copied, so each pixel comes back once for every window that sees it."),
    "04-a": Prediction("Pooling 55 x 55 with kernel 3 and stride 2: how many percent of the pixels lie in two windows or more?",
        answers.seen_twice, "So many pixels may win more than once, and then their gradients add."),
    "04-b": Prediction("Noise of 55 x 55 pixels, the same pooling: of the pixels that win a window, how many percent win two or more?",
        answers.won_twice, "A large number wins wherever it is seen. Each further win brings one more gradient."),
    "04-c": Prediction("Windows that overwrite with = where they should add with +=: how many percent of the gradient (its norm) is lost?",
        answers.lost_by_overwriting, "What is lost are the gradients of all windows but one, at the pixels that matter most."),
    "05-a": Prediction("Response normalization (k = 2, alpha = 1e-4, beta = 0.75) of an activity of 10 alone: what is left?",
        answers.lrn_alone, "With these constants k does nearly all of it: even a strong unit is hardly damped by itself."),
    "05-b": Prediction("Noise of standard deviation 1 in 96 channels, the same constants: what is the median of output over input?",
        lambda: answers.lrn_factor(1), "The squares are too small for alpha = 0.0001. Only k is left: 2 to the power of -0.75."),
    "05-c": Prediction("The same noise with standard deviation 100: what is the median of output over input?",
        lambda: answers.lrn_factor(100), "AlexNet's first layer reaches this scale. The squares matter more than k."),
    "05-d": Prediction("Standard deviation 1, and the cross term is forgotten: by how many percent (its norm) is the gradient wrong?",
        answers.cross_term_missing, "So little that a loose gradient check passes it. At standard deviation 100 it is 44 percent."),
    "06-a": Prediction("A net that guesses among 1,000 classes, all alike: what is its cross-entropy loss?",
        answers.chance_loss, "It is log(1000). A first loss far from it means that something is scaled badly."),
    "06-b": Prediction("Three classes with the logits 2, 0.5 and -3, and the first one is right: what is the loss?",
        answers.loss_of_three, "The softmax gives the first class 0.813, and the loss is minus the natural logarithm of this."),
    "06-c": Prediction("The same three: what is the slope of the loss with respect to the first logit?",
        answers.slope_of_three, "What the net said minus what is true: 0.813 - 1."),
    "06-d": Prediction("Two classes with the logits 10,000 and 0, and the second one is right: what is the loss?",
        answers.hopeless, "The distance between the logits. A program that computes exp(10000) gets infinity or NaN here."),
    "07-a": Prediction("Momentum 0.9, and a gradient that stays 1: how many times as large as the learning rate does the velocity become?",
        answers.steady_velocity, "1 / (1 - 0.9): momentum multiplies a steady step by ten."),
    "07-b": Prediction("The rate is divided by 10. The paper's form goes how many times as far as PyTorch's form, in the next ten steps?",
        answers.ten_steps_after_the_cut, "In the paper each old gradient keeps the rate of its own step, and fades slowly."),
    "07-c": Prediction("Momentum 0.9, and a gradient that stays 1: how many percent of the velocity come from the last ten gradients?",
        answers.last_ten_gradients, "1 - 0.9**10. The other third is older."),
    "08-a": Prediction("How many digits has the number of different dropout masks of one layer of 4,096 units?",
        answers.masks, "Two to the power of 4,096: more nets than could ever be trained."),
    "08-b": Prediction("Pieces of 224 x 224 out of an image of 256 x 256, each also mirrored: how many different ones are there?",
        answers.pieces, "33 places in each direction, and two reflections. The paper says 2,048, which is 32 * 32 * 2."),
    "08-c": Prediction("10 hidden units, 1,024 masks: how far is the geometric mean of all nets from the halved net, in percentage points?",
        answers.geometric_and_halved, "Nothing at all: the logits are linear in the mask, so the halved net is this mean."),
    "08-d": Prediction("Color noise with the eigenvalue, as the paper's text says: by how many gray levels do ImageNet's pixels move?",
        answers.eigenvalue_for_its_root, "An eigenvalue is a variance. Its root gives 12 gray levels, as in the authors' program."),
    "09-a": Prediction("How many percent of AlexNet's 61 million parameters are in its three fully connected layers?",
        answers.fc_share, "Nearly all of the parameters, and hardly a tenth of the multiplications."),
    "09-b": Prediction("How many percent of AlexNet's multiplications are in its five convolutions?",
        answers.conv_share, "A convolution uses a weight in every window, a fully connected layer uses it once."),
    "09-c": Prediction("On how many of the 224 pixels of a line does one number of AlexNet's last pooling layer depend?",
        answers.field_of_pool5, "No kernel is larger than 11, but strides multiply, and with them grows what a number sees."),
    "10-a": Prediction("How many bytes cross between the two cards for each byte of the image, forward?",
        answers.sent_bytes, "The cards meet in conv3, fc6 and fc7 and at the end, and nowhere else."),
    "10-b": Prediction("If conv2, conv4 and conv5 read both cards too: how many times as many bytes would cross?",
        answers.all_links, "The maps in front of conv2 are large: this link alone would send more than the paper's four together."),
    "10-c": Prediction("Neither card sends back the gradient of what it received: how many percent of the gradient's norm are lost?",
        answers.not_sent_back, "Half of the square. Nothing stops, and the loss still falls, so the mistake is easily overlooked."),
}  # fmt: skip
