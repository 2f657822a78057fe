"""cuda-convnet's files for nets that the authors published, from what is known about them: layers as lines, which are spread out here."""


def sections(*lines):
    """`"conv1 conv inputs=data filters=32"` is the section [conv1] with type=conv and the keys behind; without a type where that is -."""
    text = []
    for line in lines:
        name, kind, *keys = line.split()
        text += [f"[{name}]", *([f"type={kind}"] if kind != "-" else []), *keys, ""]
    return "\n".join(text)


DATA = ("data data dataIdx=0", "labels data dataIdx=1")
LOCAL = ("conv1", "conv2", "local3", "local4", "fc10")  # the layers with weights of `conv_local`
CONV = "conv stride=1 sharedBiases=1 partialSum=1"


def cost(logits):
    return f"probs softmax inputs={logits}", "logprob cost.logreg inputs=labels,probs"


def halves(line):
    """The line of each half: {h} is a or b, {o} the other, {g} the device."""
    for half, other, gpu in (("a", "b", 0), ("b", "a", 1)):
        yield line.replace("{h}", half).replace("{o}", other).replace("{g}", str(gpu))


def authors(exchange=("conv3", "fc6", "fc7")):
    """The net of the paper's table, layers-145. exchange: the layers that read both halves."""
    both, conv3 = "conv3" in exchange, "inputs=pool2a,pool2b" if "conv3" in exchange else "inputs=pool2{h}"
    fc6 = "inputs=pool3a,pool3b" if "fc6" in exchange else "inputs=pool3{h}"
    fc7 = "inputs=hs1{h},hs1{o}" if "fc7" in exchange else "inputs=hs1{h}"
    three = {"filters": 192, "padding": 1, "stride": 1, "filterSize": 3, "channels": 128, "initW": 0.03}
    window = " ".join(f"{key}={value},{value}" if both else f"{key}={value}" for key, value in three.items())
    five = "filters=128 padding=1 filterSize=3 channels=192 initW=0.03 initB=1 groups=1 randSparse=0"
    two = "filters=128 padding=2 filterSize=5 channels=48 initW=0.01 initB=1 neuron=relu"
    return sections(
        *DATA,
        *halves("conv1{h} conv inputs=data channels=3 filters=48 padding=0 stride=4 filterSize=11 initW=0.01 partialSum=5 gpu={g}"),
        *halves("rnorm1{h} cmrnorm inputs=conv1{h} channels=48 size=5"),
        *halves("pool1{h} pool pool=max inputs=rnorm1{h} sizeX=3 stride=2 channels=48 neuron=relu"),
        *halves(f"conv2{{h}} {CONV} inputs=pool1{{h}} {two} gpu={{g}}"),
        *halves("rnorm2{h} cmrnorm inputs=conv2{h} channels=128 size=5"),
        *halves("cnorm2{h} rnorm inputs=rnorm2{h} channels=128 size=5"),
        *halves("pool2{h} pool pool=max inputs=cnorm2{h} sizeX=3 stride=2 channels=128"),
        *halves(f"conv3{{h}} conv {conv3} {window} partialSum=13 neuron=relu gpu={{g}}"),
        *halves(f"conv4{{h}} {CONV} inputs=conv3{{h}} filters=192 padding=1 filterSize=3 channels=192 neuron=relu initW=0.03 initB=1"),
        *halves(f"conv5{{h}} {CONV} inputs=conv4{{h}} {five}"),
        *halves("pool3{h} pool pool=max inputs=conv5{h} sizeX=3 stride=2 channels=128 neuron=relu"),
        *halves(f"fc2048{{h}} fc {fc6} outputs=2048 initW=0.01 initB=1 neuron=relu gpu={{g}}"),
        *halves("hs1{h} hs keep=0.5 inputs=fc2048{h}"),
        *halves(f"fc2048b{{h}} fc {fc7} outputs=2048 initW=0.01,0.01 initB=1 neuron=relu gpu={{g}}"),
        *halves("hs2{h} hs keep=0.5 inputs=fc2048b{h}"),
        "fc1000 fc outputs=1000 inputs=hs2a,hs2b initW=0.01,0.01 gpu=0",
        *cost("fc1000"),
    )


def authors_params(first="0.01", later="0.01"):
    """Their rates at the beginning, or in the end, when conv1 had stopped."""
    rates = "momW=0.9 momB=0.9 wc=0.0005 wball=0.00"
    weighted = [f"conv{i}{{h}}" for i in (2, 3, 4, 5)] + ["fc2048{h}", "fc2048b{h}"]
    own = [half for layer in weighted for half in halves(f"{layer} - epsW={later},{later} epsB=0.02 {rates}")]
    return sections(
        *halves(f"conv1{{h}} - epsW={first} epsB={'0.02' if first != '0.000' else '0'} {rates}"),
        *own,
        f"fc1000 - epsW={later},{later} epsB=0.02 {rates}",
        *[half for i in (1, 2) for half in halves(f"rnorm{i}{{h}} - scale=0.0001 pow=0.75 minDiv=2")],
        *halves("cnorm2{h} - scale=0.001 pow=0.75"),
        *[half for i in (1, 2) for half in halves(f"hs{i}{{h}} - enable=true")],
        "logprob - coeff=1 topk=5",
    )


def _conv(i, below, filters, channels, std, more=""):
    return f"conv{i} {CONV} inputs={below} channels={channels} filters={filters} padding=2 filterSize=5 initW={std} {more}"


def _pool(i, below, kind, channels, more=""):
    return f"pool{i} pool pool={kind} inputs={below} start=0 sizeX=3 stride=2 outputsX=0 channels={channels} {more}"


def three_stages(rnorm=False, hidden=False):
    """The nets of 19 %, with rnorm of 18 %, and with a hidden layer and no rnorm of 26 % in 80 seconds."""
    between = {1: "rnorm1", 2: "rnorm2"} if rnorm else {1: "pool1", 2: "pool2"}
    norms = [f"rnorm{i} rnorm inputs=pool{i} channels=32 size=3" if rnorm else "" for i in (1, 2)]
    fc = ("fc64 fc outputs=64 inputs=pool3 initW=0.1 neuron=relu", "fc10 fc outputs=10 inputs=fc64 initW=0.1")
    lines = (
        _conv(1, "data", 32, 3, 0.0001),
        _pool(1, "conv1", "max", 32, "neuron=relu"),
        norms[0],
        _conv(2, between[1], 32, 32, 0.01, "neuron=relu"),
        _pool(2, "conv2", "avg", 32),
        norms[1],
        _conv(3, between[2], 64, 32, 0.01, "neuron=relu"),
        _pool(3, "conv3", "avg", 64),
        *(fc if hidden else ("fc10 fc outputs=10 inputs=pool3 initW=0.01",)),
    )
    return sections(*DATA, *(line for line in lines if line), *cost("fc10"))


def conv_local(norm=False):
    """The nets of 13 % and, with normalization across maps and a wider local3, of 11 %."""
    lines = (
        _conv(1, "data", 64, 3, 0.0001, "neuron=relu"),
        _pool(1, "conv1", "max", 64),
        "rnorm1 cmrnorm inputs=pool1 channels=64 size=9" if norm else "",
        _conv(2, "rnorm1" if norm else "pool1", 64, 64, 0.01, "neuron=relu"),
        "rnorm2 cmrnorm inputs=conv2 channels=64 size=9" if norm else "",
        _pool(2, "rnorm2" if norm else "conv2", "max", 64),
        f"local3 local inputs=pool2 filters={64 if norm else 32} padding=1 stride=1 filterSize=3 channels=64 neuron=relu initW=0.04",
        f"local4 local inputs=local3 filters=32 padding=1 stride=1 filterSize=3 channels={64 if norm else 32} neuron=relu initW=0.04",
        "fc10 fc outputs=10 inputs=local4 initW=0.01",
    )
    return sections(*DATA, *(line for line in lines if line), *cost("fc10"))


def cifar_params(layers, wc, scale="0.001"):
    """Rates of layers with their weight decays, and of two normalizations."""
    own = [f"{layer} - epsW=0.001 epsB=0.002 momW=0.9 momB=0.9 wc={each}" for layer, each in zip(layers, wc, strict=True)]
    return sections(*own, *(f"rnorm{i} - scale={scale} pow=.75" for i in (1, 2)), "logprob - coeff=1")
