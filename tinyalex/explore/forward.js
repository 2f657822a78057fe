// What makes a unit's output: its window, its weights, the products and their sum, or what another layer does.

const FUNCTIONS = {
  relu: ["max(0, x)", (x) => Math.max(0, x), (x) => (x > 0 ? 1 : 0), "1 where x > 0, else 0"],
  tanh: [
    "a tanh(b x)",
    (x, a, b) => a * Math.tanh(b * x),
    (x, a, b) => a * b * (1 - Math.tanh(b * x) ** 2),
    "a b (1 \u2212 tanh(b x)\u00b2)",
  ],
  abstanh: [
    "|a tanh(b x)|",
    (x, a, b) => Math.abs(a * Math.tanh(b * x)),
    (x, a, b) => Math.sign(a * b * x) * Math.abs(a * b) * (1 - Math.tanh(b * x) ** 2),
    "sign(a b x) |a b| (1 \u2212 tanh(b x)\u00b2)",
  ],
  sigmoid: [
    "1 / (1 + exp(\u2212x))",
    (x) => 1 / (1 + Math.exp(-x)),
    (x) => Math.exp(-Math.abs(x)) / (1 + Math.exp(-Math.abs(x))) ** 2,
    "f(x) (1 \u2212 f(x))",
  ],
};
const ROUNDING = "The page adds in another order and with more digits than the engine, so the last digits of a sum may differ.";
const sum = (numbers) => numbers.reduce((total, value) => total + value, 0);
const product = (cell) => (cell.value === null ? null : cell.value * cell.weight);
const words = (text, kind = "") => make("p", { class: kind }, text);
const unitName = (at, c, y, x) => (isVector(at) ? `${nameOf(at)}, unit ${c}` : `${nameOf(at)}, channel ${c}, row ${y}, column ${x}`);

function explainForward(at, c, y, x) {
  const value = valueAt(at, c, y, x);
  if (!at) return [words("The image as the net reads it, after its preparation."), steps(["input", value, "value"])];
  const layer = layers[at - 1],
    explain =
      { conv: weighted, linear: weighted, max, mean, norm, spatial, batch, map: wholeMap, function: applied, dropout, flatten }[layer.kind] ??
      other;
  return [...explain(at, c, y, x, value), ...field(layer, y, x), ...next(at, c, y, x)];
}

function weighted(at, c, y, x, value) {
  const layer = layers[at - 1],
    parts = partsOf(at, c, y, x),
    rest = own(`rest:${layer.name}`),
    bias = arrays[`b:${layer.name}`];
  for (const part of parts) part.sum = sum(part.cells.map((cell) => product(cell) ?? 0));
  const others = rest ? element(rest, at, c, y, x) : 0,
    b = bias ? bias[placeOf(at, c)] : 0,
    total = sum(parts.map((part) => part.sum));
  const part = parts.find((one) => one.name === state.part) ?? [...parts].sort((p, q) => Math.abs(q.sum) - Math.abs(p.sum))[0];
  const unit = layer.kind === "conv" ? "channels" : "groups of inputs";
  return [
    words(`output = bias + the sum of weight \u00d7 input over ${layer.kind === "conv" ? "all cells of the window" : "all inputs"}`),
    steps(
      ["bias", b, "bias"],
      [`products of ${parts.length} ${unit}, added by this page`, total],
      rest ? ["the channels that this page does not hold", others] : null,
      ["sum of these lines", b + total + others],
      ["output that the engine computed", value, "value"],
    ),
    words(ROUNDING, "soft"),
    ...(part ? [make("h3", {}, `${layer.kind === "conv" ? "The window in" : "The inputs of"} ${part.name}`), windowMap(at, part)] : []),
    ...(part
      ? [
          make(
            "div",
            { class: "side" },
            cellTable("input", part, (cell) => cell.value),
            cellTable("weight", part, (cell) => cell.weight),
            cellTable(`product; their sum is ${full(part.sum)}`, part, product),
          ),
        ]
      : []),
    make("h3", {}, "Products added up, part by part"),
    partList(parts, (one) => one.sum, part),
  ];
}

// The map that a window lies on, with a frame around the window.
function windowMap(at, part) {
  if (part.top === undefined) return document.createTextNode("");
  const [, h, w] = shapeOf(at - 1),
    array = own(`v${at - 1}`),
    start = placeOf(at - 1, part.c) * h * w;
  return boxed(
    mapCanvas(array, start, h, w, largest(array.subarray(start, start + h * w))),
    128,
    part.top,
    part.left,
    part.rows,
    part.columns,
  );
}

function max(at, c, y, x, value) {
  const window = windowOf(at, c, y, x),
    winner = element(own(`win:${nameOf(at)}`), at, c, y, x);
  const wins = (cell) => cell.i + window.rows * cell.j === winner,
    won = window.cells.find(wins);
  return [
    words(
      `The largest cell of the window wins, of equal ones the leftmost: here row ${won.at[1]}, column ${won.at[2]} of ${nameOf(at - 1)}.`,
    ),
    windowMap(at, { ...window, c }),
    cellTable("window; the winner has a frame", window, (cell) => cell.value, wins),
    steps(["output that the engine computed", value, "value"]),
  ];
}

function mean(at, c, y, x, value) {
  const window = windowOf(at, c, y, x),
    seen = window.cells.filter((cell) => cell.value !== null),
    total = sum(seen.map((cell) => cell.value));
  return [
    words("output = the sum of the cells on the image / their number"),
    windowMap(at, { ...window, c }),
    cellTable("window", window, (cell) => cell.value),
    steps(
      ["sum, added by this page", total],
      ["cells on the image", seen.length],
      ["quotient", total / seen.length],
      ["output that the engine computed", value, "value"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function norm(at, c, y, x, value) {
  const layer = layers[at - 1],
    s = element(own(`s:${layer.name}`), at, c, y, x),
    near = neighbors(at, c, layer.before, layer.after);
  const squares = near.map((j) => valueAt(at - 1, j, y, x) ** 2),
    a = valueAt(at - 1, c, y, x),
    rest = s - layer.k - layer.alpha * sum(squares);
  const edge = layer.groups > 1 ? " A window ends at the edge of its tower." : "";
  return [
    words(`b = a / s^\u03b2 with s = k + \u03b1 \u00d7 the sum of a\u00b2 over the channels around this one, at this place.${edge}`),
    steps(
      ...near.map((j, n) => [`a\u00b2 of channel ${j}${j === c ? " (this one)" : ""}, a = ${full(valueAt(at - 1, j, y, x))}`, squares[n]]),
      [`k + \u03b1 \u00d7 their sum, with k = ${layer.k}, \u03b1 = ${full(layer.alpha)}`, layer.k + layer.alpha * sum(squares)],
      storedOf(at) ? ["the channels that this page does not hold", rest] : null,
      ["s that the engine computed", s, "scale"],
      [`a / s^${layer.beta}, computed by this page`, a / s ** layer.beta],
      ["output that the engine computed", value, "value"],
    ),
    words(`Here the layer multiplies by ${full(a ? value / a : s ** -layer.beta)}.`),
    words(ROUNDING, "soft"),
  ];
}

function spatial(at, c, y, x, value) {
  const layer = layers[at - 1],
    s = element(own(`s:${layer.name}`), at, c, y, x),
    window = windowOf(at, c, y, x),
    seen = window.cells.filter((cell) => cell.value !== null);
  const total = sum(seen.map((cell) => cell.value ** 2)),
    a = valueAt(at - 1, c, y, x);
  return [
    words(
      "b = a / s^\u03b2 with s = k + \u03b1 \u00d7 the sum of a\u00b2 over the places around this one, in this channel. " +
        "At the edge of the image the window has fewer cells.",
    ),
    windowMap(at, { ...window, c }),
    cellTable("window", window, (cell) => cell.value),
    steps(
      ["sum of a\u00b2, added by this page", total],
      [`k + \u03b1 \u00d7 their sum, with k = ${layer.k}, \u03b1 = ${full(layer.alpha)}`, layer.k + layer.alpha * total],
      ["s that the engine computed", s, "scale"],
      [`a / s^${layer.beta}, computed by this page`, a / s ** layer.beta],
      ["output that the engine computed", value, "value"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function batch(at, c, y, x, value) {
  const layer = layers[at - 1],
    [mean, variance, scale, shift] = ["m", "v", "g", "b"].map((letter) => arrays[`${letter}:${layer.name}`][placeOf(at, c)]),
    a = valueAt(at - 1, c, y, x),
    s = 1 / Math.sqrt(variance + layer.eps);
  return [
    words(
      "output = weight \u00d7 (x \u2212 mean) / \u221a(variance + \u03b5) + bias, with one of each for a channel. " +
        "The page shows the net as it is tested: mean and variance are the running ones.",
    ),
    steps(
      ["input x", a],
      ["running mean of the channel", mean, "mean"],
      ["running variance of the channel", variance, "variance"],
      [`x \u2212 mean, divided by \u221a(variance + ${layer.eps})`, (a - mean) * s],
      ["weight", scale, "weight"],
      ["bias", shift, "bias"],
      ["weight \u00d7 that + bias, computed by this page", scale * (a - mean) * s + shift],
      ["output that the engine computed", value, "value"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function wholeMap(at, c, _y, _x, value) {
  const [, h, w] = shapeOf(at - 1),
    array = own(`v${at - 1}`),
    start = placeOf(at - 1, c) * h * w,
    map = array.subarray(start, start + h * w),
    total = sum([...map]);
  return [
    words(`output = the mean of all ${h * w} places of channel ${c} of ${nameOf(at - 1)}`),
    boxed(mapCanvas(array, start, h, w, largest(map)), 128, 0, 0, h, w),
    steps(
      ["sum, added by this page", total],
      ["places", h * w],
      ["quotient", total / (h * w)],
      ["output that the engine computed", value, "value"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function applied(at, c, y, x, value) {
  const layer = layers[at - 1],
    a = valueAt(at - 1, c, y, x),
    [formula] = FUNCTIONS[layer.function];
  return [
    words(`f(x) = ${formula}${constants(layer)}`),
    curve(layer, a, value),
    steps([`input x, from ${nameOf(at - 1)}`, a], ["output that the engine computed", value, "value"]),
  ];
}

const constants = (layer) => (["tanh", "abstanh"].includes(layer.function) ? `, a = ${layer.a}, b = ${layer.b}` : "");

// The function from -4 to 4, or as far as x, with the unit on it.
function curve(layer, x, y) {
  const [, f] = FUNCTIONS[layer.function],
    reach = Math.max(4, Math.abs(x) * 1.1),
    points = Array.from({ length: 121 }, (_, n) => ((n - 60) / 60) * reach);
  const values = points.map((p) => f(p, layer.a, layer.b)),
    high = Math.max(1, ...values),
    low = Math.min(0, ...values);
  const at = (p, v) => [100 + (95 * p) / reach, 95 - (85 * (v - low)) / (high - low)].map((number) => number.toFixed(2));
  const path = points.map((p, n) => `${n ? "L" : "M"}${at(p, values[n]).join(" ")}`).join(""),
    zero = at(0, 0),
    dot = at(x, y);
  return drawing(
    "svg",
    { viewBox: "0 0 200 105", class: "curve", role: "img", "aria-label": `The curve of ${layer.function} with a dot at x = ${full(x)}` },
    drawing("line", { x1: 0, x2: 200, y1: zero[1], y2: zero[1] }),
    drawing("line", { x1: 100, x2: 100, y1: 0, y2: 105 }),
    drawing("path", { d: path }),
    drawing("circle", { cx: dot[0], cy: dot[1], r: 4 }),
  );
}

function dropout(at, c, y, x, value) {
  const { factor } = layers[at - 1];
  return [
    words(`The page shows the net as it is tested: dropout draws no mask and multiplies every output by ${factor}.`),
    steps(["input", valueAt(at - 1, c, y, x)], ["output that the engine computed", value, "value"]),
  ];
}

function flatten(at, c, y, x, value) {
  const [, h, w] = shapeOf(at - 1),
    from = [Math.floor(c / (h * w)), Math.floor(c / w) % h, c % w];
  return [
    words(`The same number as ${unitName(at - 1, ...from)}: the maps are written one after the other, row by row.`),
    steps(["output that the engine computed", value, "value"]),
  ];
}

const other = (at, c, y, x, value) => [
  words("The page does not take this layer apart."),
  steps(["output that the engine computed", value, "value"]),
];

// The part of the image on which the unit depends.
function field(layer, y, x) {
  const [top, left, height, width, downward, across, rows, columns] = layer.field,
    [j, i] = [rows > 1 ? y : 0, columns > 1 ? x : 0];
  return [
    make("h3", {}, "What the unit sees of the image"),
    boxed(pictureCanvas(state.picture), 128, top + j * downward, left + i * across, height, width),
  ];
}

function next(at, c, y, x) {
  const layer = layers[at];
  if (!layer) return [probability(c)];
  if (layer.kind !== "function") return [];
  return [
    make("h3", {}, `Then ${layer.name}`),
    words(`f(x) = ${FUNCTIONS[layer.function][0]}${constants(layer)}`),
    steps([`output of ${layer.name} that the engine computed`, valueAt(at + 1, c, y, x), "next"]),
  ];
}

// The softmax of the last layer.
function probability(c) {
  const last = own(`v${layers.length}`),
    z = valueAt(layers.length, c, 0, 0),
    high = Math.max(...last);
  if (storedOf(layers.length)) return words("");
  const total = sum([...last].map((value) => Math.exp(value - high)));
  return make(
    "div",
    {},
    make("h3", {}, `The probability of ${content.classes[c]}`),
    steps(["exp(z) / the sum of exp over all classes", Math.exp(z - high) / total]),
  );
}
