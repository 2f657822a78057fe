"""Claims of the networks after AlexNet: two families, each with one budget for all of its runs.

- "later": batches of 64. The deep nets of He et al. 2015 for CIFAR-10, with their augmentation and their rate, and edits of them.
- "batch-4": the nets of eight layers with each normalization again, in batches of 4.

Where the rates come from. Two pilots of two epochs each were run with seed 0, before any run.

- The nets of eight layers read the first 2,560 images at 0.1, 0.03 and 0.01. The mean losses of the second epoch were, in this order,
  1.89, 1.98 and 2.19 with batch normalization, 2.12, 2.13 and 2.27 with group normalization, 2.17, 2.30 and 2.30 with response
  normalization, 2.19, 2.14 and 2.17 without any. Each net has its best rate of the three. With batches of 4 it is 4/64 of that, by the
  linear rule (Goyal et al. 2017), which the paper on group normalization uses too.
- The others read the first 640 images, 20 steps in all. He et al. take 0.1 with batches of 128, for which the linear rule gives 0.05 here.
  There the losses of the second epoch were 4.2 of resnet-56 and 4.3 of bottleneck-29: far above that of chance, 2.3. At 0.02 they were
  2.5 and 2.6, those of the other nets 2.20 to 2.28, and the error of the batches fell below chance for every net, to between 84 % and
  88 % in this epoch. So all of them have 0.02.
"""

from __future__ import annotations

from tinyalex.experiments.claims.claim import Claim, Family, Round, Table, Variant
from tinyalex.experiments.claims.later_nets import NETS, of_later

LR, BATCH, SMALL_BATCH = 0.02, 64, 4
DECAY = 1e-4  # He et al. 2015, section 3.4
PADDING = 4  # He et al. 2015, section 4.2
RATES = {"bn": 0.1, "gn": 0.1, "lrn": 0.1, "none": 0.03}  # with batches of 64
FAMILIES = {
    "later": Family("later", 10, 8_000, LR, BATCH, padding=PADDING, test_images=1_000),
    "batch-4": Family("batch-4", 10, 4_000, LR * SMALL_BATCH / BATCH, SMALL_BATCH, padding=PADDING, test_images=1_000),
}
NORMS = {
    "bn": "batch normalization",
    "gn": "group normalization, four groups",
    "lrn": "response normalization behind each ReLU",
    "none": "no normalization",
}
MEMBERS = ("resnet-20", "bottleneck-29", "se-20", "two-3x3")


def _net(name: str, text: str) -> Variant:
    return Variant(name, "later", text, of_later(NETS[name], name), color=False, weight_decay=DECAY)


def _norm(norm: str, family: str) -> Variant:
    name, rate = (norm, RATES[norm]) if family == "later" else (f"{norm}-4", RATES[norm] * SMALL_BATCH / BATCH)
    text = f"a plain net of eight layers with {NORMS[norm]}" + (", batches of 4" if family == "batch-4" else "")
    return Variant(name, family, text, of_later(NETS[norm], name), color=False, weight_decay=DECAY, lr=rate)


VARIANTS = {
    variant.name: variant
    for variant in (
        _net("plain-20", "20 layers without shortcuts"),
        _net("plain-56", "56 layers without shortcuts"),
        _net("resnet-20", "20 layers, a shortcut beside every two"),
        _net("resnet-56", "56 layers, a shortcut beside every two"),
        *(_norm(norm, family) for family in FAMILIES for norm in NORMS),
        _net("one-5x5", "three stages of one 5x5 convolution"),
        _net("two-3x3", "three stages of two 3x3 convolutions"),
        _net("se-20", "resnet-20 with squeeze-and-excitation in every block"),
        _net("bottleneck-29", "29 layers in bottlenecks of 1x1, 3x3 and 1x1"),
        Variant("ensemble", "later", f"the mean of the probabilities of {', '.join(MEMBERS)}", None, color=False, members=MEMBERS),
        _net("preactivation-56", "resnet-56 with normalization and ReLU in front of each convolution"),
    )
}
HE, IDENTITY, VGG, BATCH_NORM, GROUP = "He 2015, 4.2", "He 2016, 4.1", "Simonyan 2014, 4.1", "Ioffe 2015, 4.2", "Wu 2018, 4.1"
DEEPER = "figure 6: 56 layers have the higher error, training and test"
SHALLOWER = "figure 6: 20 layers have the higher error, training and test"
CURVES = "figure 6 shows both; no number"
WITH_110 = "0.2 points with 110 layers"
BASELINE = "0.5 points of top-1; “14 times fewer training steps” if the rate is raised and more is changed"
LEFT_OUT = "no number; it leaves response normalization out"
NOT_4 = "no number for batches of 4"
AT_32, AT_4 = (f"{points} points of top-1 with {n} images on each GPU" for points, n in ((0.5, 32), (3.1, 4)))
OF_34 = "1.7 points of top-1 from 34 layers to 50"
SIX = "4.49 % (validation) to 3.57 % (test) of top-5 with six nets"
CLAIMS = {
    claim.name: claim
    for claim in (
        Claim("degradation", HE, "plain nets: 20 layers train better than 56", DEEPER, "plain-20", "plain-56", "training error"),
        Claim("degradation-test", HE, "plain nets: 20 layers test better than 56", DEEPER, "plain-20", "plain-56"),
        Claim("deeper", HE, "with shortcuts: 56 layers train better than 20", SHALLOWER, "resnet-56", "resnet-20", "training error"),
        Claim("deeper-test", HE, "with shortcuts: 56 layers test better than 20", "8.75 % to 6.97 %", "resnet-56", "resnet-20"),
        Claim("shortcuts", HE, "56 layers: shortcuts against none", CURVES, "resnet-56", "plain-56", "training error"),
        Claim("shortcuts-20", HE, "20 layers: shortcuts against none", CURVES, "resnet-20", "plain-20", "training error"),
        Claim("batch-norm", BATCH_NORM, "batch normalization against none", BASELINE, "bn", "none"),
        Claim("response-norm", BATCH_NORM, "batch normalization against response normalization", LEFT_OUT, "bn", "lrn"),
        Claim("group-norm", GROUP, "batch normalization against group normalization", AT_32, "bn", "gn"),
        Claim("batch-norm-4", BATCH_NORM, "batches of 4: batch normalization against none", NOT_4, "bn-4", "none-4"),
        Claim("response-norm-4", BATCH_NORM, "batches of 4: batch against response normalization", NOT_4, "bn-4", "lrn-4"),
        Claim("group-norm-4", GROUP, "batches of 4: group against batch normalization", AT_4, "gn-4", "bn-4"),
        Claim("windows", VGG, "two 3x3 against one 5x5, which see equally far", "7 points of top-1", "two-3x3", "one-5x5"),
        Claim("excitation", "Hu 2017, 5.1", "squeeze-and-excitation against none", "1.2 points with 110 layers", "se-20", "resnet-20"),
        Claim("bottleneck", "He 2015, 4.1", "bottlenecks against pairs of 3x3", OF_34, "bottleneck-29", "resnet-20"),
        Claim("preactivation", IDENTITY, "normalization in front against behind", WITH_110, "preactivation-56", "resnet-56"),
        *(Claim(f"ensemble-{name}", "He 2015, 4.1", f"mean of four nets against {name} alone", SIX, "ensemble", name) for name in MEMBERS),
    )
}


def rounds(seeds: int) -> tuple[Round, ...]:
    """First the degradation with all seeds, then everything else with seed 0, then with the next seeds."""
    first = tuple(VARIANTS)[:4]
    return (first, range(seeds)), (tuple(VARIANTS)[4:], range(seeds))


AFTER_ALEXNET = Table(
    "later",
    "what the papers after AlexNet say of theirs",
    FAMILIES,
    VARIANTS,
    CLAIMS,
    rounds,
    quick={"later": (2, 16), "batch-4": (2, 16)},
    quick_test=48,
    least={},
)
