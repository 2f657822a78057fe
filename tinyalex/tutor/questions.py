"""The questions of the lessons that have a number for an answer. `answers.py` computes the numbers."""

from __future__ import annotations

from dataclasses import dataclass

NUMBER = "a number, such as 2.5"
WHOLE = "a whole number"
PERCENT = "a number of percent: for 12 % write 12"
FACTOR = "a factor: 2 means two times as much"
POWER = "a power of ten: for 0.001 write -3"


@dataclass(frozen=True)
class Prediction:
    """A question with a number for an answer.

    question: what is asked, in sentences that can be read once. form: how the number is written, after the words "The answer is".
    means: what the number says.
    """

    question: str
    form: str
    means: str


PREDICTIONS = {
    "00-a": Prediction("The slope of x**3 at x = 1 is 3. Which number does the centered difference with h = 0.1 give?",
                       NUMBER, "The error is h**2 times a sixth of the third derivative: 0.01."),
    "00-b": Prediction("How large is the error of the centered difference of sin at x = 1, with h = 1e-5?",
                       POWER, "h**2 / 6, and eps / h from rounding, are both near 1e-11: ten digits are right."),
    "00-c": Prediction("We try the steps 0.1, 0.01, 0.001 and so on, down to 1e-15. With which of them is the error of the centered\n"
                       "difference of sin at x = 1 smallest?",
                       POWER,
                       "With smaller steps the two values of sin are nearly equal. Mostly rounding errors are left in their difference."),
    "01-a": Prediction("ReLU gets 100,000 random numbers from a normal distribution with mean 0. How many of its outputs are 0?",
                       PERCENT, "Half of the numbers are negative."),
    "01-b": Prediction("A net chooses among 10 classes. It has small random weights and has learned nothing yet. How large is its loss?",
                       NUMBER, "Each class gets a probability of about 1/10, and -log(1/10) is 2.303."),
    "01-c": Prediction("In a chain of 8 sigmoids the slope is at most 1/n. How large is n?",
                       "the number n: for 1/1000 write 1000", "The slope of a sigmoid is at most 1/4, and 4 to the power of 8 is 65,536."),
    "02-a": Prediction("In y = x * x, x is used twice. What is the slope of y at x = 3?",
                       NUMBER, "Each use sends back 3, and a gradient adds where a value is used more than once."),
    "02-b": Prediction("Count the multiplications in a fully connected layer: forward, to compute out, and backward, to compute dx,\n"
                       "dweight and dbias. The number backward is how many times the number forward?",
                       FACTOR, "One product forward, two of the same size backward, however many weights there are."),
    "02-c": Prediction("In y = x * x + 3 * x, x is used three times. A program goes through the uses from left to right. At each use it\n"
                       "writes the slope of this use alone into dx, with = and not with +=. Which number is left in dx at x = 2?",
                       NUMBER, "The slope of the last use alone. The right slope is 2 + 2 + 3 = 7: each use adds its part."),
    "03-a": Prediction("im2col copies the windows of conv1 into a table. How many numbers does the table have for each number of the\n"
                       "image of 3 x 224 x 224?",
                       NUMBER, "Windows of 11 with stride 4 overlap, so that most pixels are copied several times."),
    "03-b": Prediction("In the paper, conv1 reads an image 224 pixels wide. Its kernels are 11 pixels wide, and its stride is 4.\n"
                       "How many windows lie side by side?",
                       WHOLE, "(224 - 11) / 4 + 1 is 54.25. The program of 2012 rounds up, and reads zeros beyond the edge."),
    "03-c": Prediction("An image of 6 x 8 pixels is 1 everywhere. im2col makes a table of it, for kernels of 3 x 4 and the stride 2.\n"
                       "col2im makes an image of the table. What is the largest number in this image?",
                       WHOLE, "col2im adds what im2col copied, so each pixel comes back once for every window that sees it."),
    "04-a": Prediction("A map of 55 x 55 pixels is pooled with kernel 3 and stride 2. How many of its pixels lie in more than one window?",
                       PERCENT, "So many pixels may win more than once, and then their gradients add."),
    "04-b": Prediction("A map of noise, 55 x 55 pixels, is pooled with kernel 3 and stride 2. We look at the pixels that win at least one\n"
                       "window. How many of them win more than one?",
                       PERCENT, "A large number wins wherever it is seen. Each further win brings one more gradient."),
    "04-c": Prediction("A map of noise, 55 x 55 pixels, is pooled with kernel 3 and stride 2. The backward pass writes = where it should\n"
                       "write +=, so a part of the gradient is lost. How large is the norm of this part, compared with the norm of the\n"
                       "right gradient?",
                       PERCENT, "What is lost are the gradients of all windows but one, at the pixels that matter most."),
    "05-a": Prediction("Response normalization with the paper's constants reads an activity of 10. All its neighbors are 0. What does\n"
                       "it give for this activity?",
                       NUMBER, "k alone would give 10 * 2**-0.75 = 5.946. The activity itself changes this by less than one percent."),
    "05-b": Prediction("The input is noise of standard deviation 1 in 96 channels. What is the median of output / input?",
                       NUMBER, "The squares are too small for alpha = 0.0001. Only k is left: 2 to the power of -0.75."),
    "05-c": Prediction("The input is noise of standard deviation 100 in 96 channels. What is the median of output / input?",
                       NUMBER, "Activities of AlexNet's first layer are as large as this. Their squares matter more than k."),
    "05-d": Prediction("The input is noise of standard deviation 1, and the backward pass forgets the cross term. How large is the norm\n"
                       "of the difference from the right gradient, compared with the norm of the right gradient?",
                       PERCENT, "So little that a loose gradient check passes it. At standard deviation 100 it is 44 percent."),
    "06-a": Prediction("A net gives the same probability to each of 1,000 classes. How large is its loss?",
                       NUMBER, "It is log(1000). A first loss far from it means that something is scaled badly."),
    "06-b": Prediction("Three classes have the logits 2, 0.5 and -3, and the first class is right. How large is the loss?",
                       NUMBER, "The softmax gives the first class 0.813, and the loss is minus the natural logarithm of this."),
    "06-c": Prediction("Three classes have the logits 2, 0.5 and -3, and the first class is right. What is the slope of the loss with\n"
                       "respect to the first logit?",
                       "a number with its sign", "What the net said minus what is true: 0.813 - 1."),
    "06-d": Prediction("Two classes have the logits 10,000 and 0, and the second class is right. How large is the loss?",
                       NUMBER, "The distance between the logits. A program that computes exp(10000) gets infinity or NaN here."),
    "07-a": Prediction("The momentum is 0.9, and the gradient stays 1. The velocity becomes negative. How large does it become without\n"
                       "its sign, compared with the learning rate?",
                       FACTOR, "1 / (1 - 0.9): momentum multiplies a steady step by ten."),
    "07-b": Prediction("The gradient has been 1 for many steps, and it stays 1. Now the learning rate is divided by 10. How far does a\n"
                       "weight move in the next ten steps with the paper's form, compared with PyTorch's form?",
                       FACTOR, "In the paper each old gradient keeps the rate of its own step, and fades slowly."),
    "07-c": Prediction("The momentum is 0.9, and the gradient has been 1 for many steps. How much of the velocity comes from the last ten\n"
                       "gradients?",
                       PERCENT, "1 - 0.9**10. The other third is older."),
    "08-a": Prediction("A layer has 4,096 units. How many digits has the number of its different masks?",
                       "a number of digits: for 1,024 write 4", "Two to the power of 4,096: more nets than could ever be trained."),
    "08-b": Prediction("A piece of 224 x 224 pixels is cut out of an image of 256 x 256, and it may be mirrored. How many different\n"
                       "pieces are there?",
                       WHOLE, "33 places in each direction, and two reflections. The paper says 2,048, which is 32 * 32 * 2."),
    "08-c": Prediction("A hidden layer of 10 units has 1,024 masks. For each class we compare the geometric mean of the 1,024 nets with\n"
                       "the probability that the halved net gives. How large is the largest difference?",
                       "a number of percentage points: for 40 % and 43 % write 3",
                       "There is no difference: the logits are linear in the mask, so the halved net is exactly this mean."),
    "08-d": Prediction("In one direction the colors of ImageNet have the standard deviation 121.8 gray levels. Its square is the\n"
                       "eigenvalue. The paper's text multiplies the eigenvalue by a random number of standard deviation 0.1, and adds the\n"
                       "product to all pixels of an image. What is the standard deviation of the products, in gray levels?",
                       NUMBER, "An eigenvalue is a variance. Its root gives 12 gray levels, as in the authors' program."),
    "09-a": Prediction("AlexNet has 61 million parameters. How many of them are in its three fully connected layers?",
                       PERCENT, "Nearly all of the parameters, and hardly a tenth of the multiplications."),
    "09-b": Prediction("How many of AlexNet's multiplications on the way forward are in its five convolutions?",
                       PERCENT, "A convolution uses a weight in every window, a fully connected layer uses it once."),
    "09-c": Prediction("Each number of AlexNet's last pooling layer depends on a part of the image. The image is 224 pixels wide. How\n"
                       "many pixels wide is the largest of these parts?",
                       WHOLE, "No kernel is wider than 11. But strides multiply, and what a number sees grows with them."),
    "09-d": Prediction("Caffe's file of AlexNet reads images of 227 pixels: its convolutions round the number of windows down, its\n"
                       "pooling rounds it up. Somebody writes 224 in place of 227. How many million parameters does the net have then?",
                       NUMBER, "As many as before: conv1 gives 54 lines in place of 55, and pooling makes 27 of both."),
    "10-a": Prediction("How many bytes do the two cards send each other on the way forward, for each byte of the image?",
                       NUMBER, "They send something in front of conv3, fc6, fc7 and fc8, and nowhere else."),
    "10-b": Prediction("Let conv2, conv4 and conv5 read the channels of both cards, too. How many times as many bytes do the cards then\n"
                       "send?",
                       FACTOR, "The maps in front of conv2 are large: this link alone would send more than the paper's four together."),
    "10-c": Prediction("On the way back a card should add two gradients, its own and one from the other card. Both hold random numbers\n"
                       "of the same standard deviation. The second one never arrives. How large is its norm, compared with the norm of\n"
                       "the sum?",
                       PERCENT,
                       "Half of the square is lost. Nothing stops, and the loss still falls, so the mistake is easily overlooked."),
    "14-a": Prediction("x is a float32 array on the simulated card sim:0, xp is the card's module, and mean is an array of the host:\n"
                       "    x - mean\n"
                       "    x.sum(where=x > 0)\n"
                       "    xp.maximum(x, 0)\n"
                       "    x * np.sqrt(2)\n"
                       "    float(x.mean())\n"
                       "How many of these five lines raise an error?",
                       WHOLE, "The first two. The last two make float64 and make the host wait, and no error says so."),
    "14-b": Prediction("An array lies on the host. A kernel on a GeForce GTX 580 reads such an array and writes another one.\n"
                       "By the published peaks, copying the array to the card takes how many times as long as the kernel?",
                       FACTOR, "The card's memory is 24 times as fast as the way from the host, and the kernel uses it twice."),
    "14-c": Prediction("The 32 threads of a warp each read one float32 of an array. In one order of the indices they read neighbors. In\n"
                       "another order they read numbers that lie 729 places apart. How many times as many bytes does the card move?",
                       FACTOR, "Each number lies in a sector of its own: 32 sectors of 32 bytes instead of 4."),
    "15-a": Prediction("Each of 20 layers multiplies a gradient by 0.8. How much of it is left in front of the first layer?",
                       PERCENT, "0.8**20 is 0.0115. After two layers it would still be 64 %."),
    "15-b": Prediction("20 residual blocks follow each other, y = f(x) + x. The slope of each f is 0.1. What is the slope of all\n"
                       "20 blocks together?",
                       NUMBER, "Each block has the slope 1.1, and 1.1**20 is 6.73. Without the sums it would be 0.1**20, or 1e-20."),
    "15-c": Prediction("Batch normalization gets a dout that is 1 everywhere. How large is the largest number in dx?",
                       NUMBER, "No change of x changes the sum of the outputs: they keep the mean that bias gives them."),
    "15-d": Prediction("ResNet-50 has 50 layers with weights and AlexNet has 8. How many parameters has ResNet-50, compared with\n"
                       "AlexNet's 61 million?",
                       PERCENT, "It has one small fully connected layer, where AlexNet has three large ones."),
    "16-a": Prediction("An activity is 100, and all its neighbors are 0. The paper's response normalization leaves 44 % of it.\n"
                       "The program of 2012 first divides alpha by n = 5. How much does the program leave?",
                       PERCENT, "2 + 0.00002 * 100**2 is 2.2, and 2.2 to the power of -0.75 is 0.55."),
    "16-b": Prediction("The outputs of a convolution are noise with mean 0. The program of 2012 normalizes them before ReLU, the paper\n"
                       "after it. How large is the program's sum of squares in a window of five channels, compared with the paper's?",
                       FACTOR, "ReLU would have removed the negative half, and with it half of the squares."),
    "16-c": Prediction("A map is 10 everywhere. Normalization over windows of 5 x 5 pixels, with k = 1 and alpha = 0.001 divided by 25,\n"
                       "reads it. beta is 0.75. What does it give in the middle of the map?",
                       NUMBER, "The 25 squares have the sum 2,500, so the scale is 1.1."),
    "16-d": Prediction("Three layers follow each other, with ReLU and without biases. The weights of all three become 3 times as large.\n"
                       "How large do the outputs of the third layer become?",
                       FACTOR, "Each layer multiplies by 3 once more, and ReLU lets a positive factor through."),
    "16-e": Prediction("The program of 2012 adds color noise to an image in training, with a tenth of the colors' standard deviation, and\n"
                       "divides the sum by 1.1. How large is the standard deviation of the result, compared with an image without noise?",
                       PERCENT, "Variances add: the root of 1 + 0.01 is 1.005, and 1.005 / 1.1 is 0.914."),
    "16-f": Prediction("In the run on the images of 2012 the rate of the weights began at 0.01 and was divided by 10 three times. At\n"
                       "the end the rate of the biases was twice 0.01. How large was it then, compared with a weight's?",
                       FACTOR, "0.02 over 0.00001. The paper speaks of an equal rate for all layers."),
    "13-a": Prediction("A layer is computed by Python loops, one multiplication at a time. Then it is computed by im2col and one matrix\n"
                       "product. How many times as fast is the second way, in its order of magnitude?",
                       "a power of ten: for 1,000 times write 3",
                       "Both do the same multiplications. It is measured on your computer, so another one may give one more or less."),
    "13-b": Prediction("Winograd's algorithm computes a tile of 2 x 2 outputs with a kernel of 3 x 3. How many multiplications does it\n"
                       "need for each output and channel, in place of 9?",
                       NUMBER, "The tile has 4 x 4 points, and each of them is one multiplication."),
    "13-c": Prediction("One image goes through AlexNet. How many of the eight layers with weights wait for memory, and not for arithmetic?",
                       WHOLE, "These are the fully connected layers. For one image they use each weight once."),
    "13-d": Prediction("Winograd's algorithm with the largest tiles of the engine, in float32: how large is the largest error, divided by\n"
                       "the largest output?",
                       POWER, "A plain product has an error of some 1e-7. What Winograd saves in time it costs in digits."),
    "11-a": Prediction("The paper says that tanh needs six times as many epochs as ReLU. We repeated Figure 1 with inputs and first\n"
                       "weights of the kind that the authors used in 2012. How many times as many epochs does tanh need in our runs?",
                       FACTOR, "The paper's effect is there. How large it is depends on the inputs and on the first weights."),
    "11-b": Prediction("The same net, the same images, but inputs of unit variance, and first weights that fit them. How many times\n"
                       "as many epochs does tanh need in our runs?",
                       FACTOR, "With such inputs the sums stay small, and tanh keeps its slope."),
    "11-c": Prediction("Net A has inputs of standard deviation 74, and net B has inputs of standard deviation 1. In both nets the same\n"
                       "gradient comes back to a sum of layer 1. Both make a step with the same rate. Then the same image comes again.\n"
                       "How many times as far has the sum moved in net A?",
                       FACTOR, "The input is in the gradient of the weight, and it multiplies the weight again: its square counts."),
    "11-d": Prediction("The sums of a layer with tanh have a normal distribution with mean 0 and standard deviation 10. At how many of\n"
                       "its units is the slope of tanh below 0.01?",
                       PERCENT, "The slope is below 0.01 where a sum is above 3 or below -3."),
    "12-a": Prediction("A net is trained on 3,000 images of ten equally frequent classes, but their labels were shuffled. How many\n"
                       "new images does it answer right afterwards?",
                       PERCENT, "No more than a guess: the labels that it was trained on say nothing about the images."),
    "12-b": Prediction("For each test image of the synthetic set we search the six nearest of 3,000 training images, by pixels. How\n"
                       "many of the six have the class of the test image, on average?",
                       NUMBER, "Chance gives 0.6. Pixels mostly compare the color of the ground and the light."),
    "12-c": Prediction("Synthetic images are moved two pixels to the right. How large is the distance in pixels between an image and\n"
                       "its moved copy, compared with the median distance between images of different classes?",
                       PERCENT, "Nearly half of the way to an image of another class. And yet it is the same picture."),
    "12-d": Prediction("A unit gives y = tanh(5 x), and x is 1. The slope of y there is 0.0009. So the gradient expects that y falls by\n"
                       "0.0009 if x goes to 0. By how much does y fall?",
                       NUMBER, "The slope holds at the place where we stand. Occlusion goes all the way, and at its end y is 0."),
}  # fmt: skip
