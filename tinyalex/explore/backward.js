// What a unit's gradient does: where it comes from, what it sends back, and what it adds to the gradients of the weights.

function explainBackward(at, c, y, x) {
  const dout = doutAt(at, c, y, x);
  if (!at)
    return [
      words("How the loss changes with this input: what all units that read it send back, added up."),
      steps(["gradient that the engine computed", dout, "dout"]),
    ];
  const layer = layers[at - 1];
  const explain = {
    conv: sentByWeights,
    linear: sentByWeights,
    max: sentByMax,
    mean: sentByMean,
    norm: sentByNorm,
    spatial: sentBySpatial,
    batch: sentByBatch,
    map: sentByMap,
    function: sentByFunction,
    dropout: sentByDropout,
  };
  return [origin(at, c, dout), ...(explain[layer.kind] ?? sentOn)(at, c, y, x, dout)];
}

// Where dout comes from.
function origin(at, c, dout) {
  const picture = content.pictures[state.picture],
    label = content.classes[picture.label];
  const minus = c === picture.label ? " \u2212 1, as this is its class" : "";
  const from =
    at === layers.length
      ? `The loss is \u2212log of the probability of ${label}, so dout = probability${minus}.`
      : `dout is what ${nameOf(at + 1)} sends back: the derivative of the loss by this unit's output.`;
  const none = dout === 0 ? words("It is 0: a small change of this unit does not change the loss.") : null;
  return make("div", {}, words(from), none, steps(["dout that the engine computed", dout, "dout"]));
}

function sentByWeights(at, c, y, x, dout) {
  const layer = layers[at - 1],
    parts = partsOf(at, c, y, x),
    db = own(`db:${layer.name}`),
    name = nameOf(at - 1);
  const back = (cell) => (cell.value === null ? null : dout * cell.weight),
    added = (cell) => (cell.value === null ? 0 : dout * cell.value);
  for (const part of parts) part.sum = Math.sqrt(sum(part.cells.map((cell) => cell.dweight ** 2)));
  const part = parts.find((one) => one.name === state.part) ?? [...parts].sort((p, q) => q.sum - p.sum)[0];
  const [, h, w] = shapeOf(at),
    start = placeOf(at, c) * h * w,
    douts = own(`d${at}`).subarray(start, start + h * w);
  const once =
    h * w === 1
      ? "The unit is alone with its weights, so the gradient is dout \u00d7 input."
      : `The weight is used at ${h * w} places, and the gradient adds over all of them.`;
  return [
    make("h3", {}, `What goes back to ${part ? part.name : ""} of ${name}`),
    words("Each input gets dout \u00d7 its weight from this unit, and the same from all others that read it; the engine adds them."),
    ...(part
      ? [
          make(
            "div",
            { class: "side" },
            cellTable("from this unit: dout \u00d7 weight", part, back),
            cellTable("from all units, computed by the engine", part, (cell) => cell.dx),
          ),
        ]
      : []),
    make("h3", {}, "The gradient of the weights"),
    words(`dweight = the sum of dout \u00d7 input. ${once}`),
    ...(part ? [make("div", { class: "side" }, cellTable("from this unit: dout \u00d7 input", part, added), dweightTable(part))] : []),
    steps(
      ["sum of dout over the map, added by this page", sum([...douts])],
      db ? ["gradient of the bias that the engine computed", db[placeOf(at, c)], "dbias"] : null,
    ),
    words(ROUNDING, "soft"),
    make("h3", {}, "Length of the weights' gradient, part by part"),
    partList(parts, (one) => one.sum, part),
  ];
}

function dweightTable(part) {
  const table = cellTable("gradient of the weights, computed by the engine", part, (cell) => cell.dweight);
  table.querySelector("table").dataset.part = part.name;
  return table;
}

const gets = (window, at) => cellTable(`what ${nameOf(at - 1)} gets from all windows, computed by the engine`, window, (cell) => cell.dx);

function sentByMax(at, c, y, x, dout) {
  const window = windowOf(at, c, y, x),
    winner = element(own(`win:${nameOf(at)}`), at, c, y, x),
    wins = (cell) => cell.i + window.rows * cell.j === winner;
  const won = window.cells.find(wins);
  const several = won.dx !== null && won.dx !== dout ? " This cell won in other windows too, and their gradients are added." : "";
  return [
    words(`All of dout goes to the cell that won, in row ${won.at[1]}, column ${won.at[2]}; the others get nothing.${several}`),
    windowMap(at, { ...window, c }),
    make(
      "div",
      { class: "side" },
      cellTable("from this window", window, (cell) => (cell.value === null ? null : wins(cell) ? dout : 0), wins),
      gets(window, at),
    ),
    steps(["what the winner gets from all windows, computed by the engine", won.dx, "dx"]),
  ];
}

function sentByMean(at, c, y, x, dout) {
  const window = windowOf(at, c, y, x),
    seen = window.cells.filter((cell) => cell.value !== null);
  return [
    words(`Each of the ${seen.length} cells on the image gets dout / ${seen.length} from this window.`),
    windowMap(at, { ...window, c }),
    make(
      "div",
      { class: "side" },
      cellTable("from this window", window, (cell) => (cell.value === null ? null : dout / seen.length)),
      gets(window, at),
    ),
    steps(["what the first cell gets from all windows, computed by the engine", seen[0].dx, "dx"]),
  ];
}

function sentByNorm(at, c, y, x, dout) {
  const layer = layers[at - 1],
    s = (j) => element(own(`s:${layer.name}`), at, j, y, x),
    a = valueAt(at - 1, c, y, x),
    dx = doutAt(at - 1, c, y, x);
  const near = neighbors(at, c, layer.after, layer.before),
    terms = near.map((j) => (doutAt(at, j, y, x) * valueAt(at, j, y, x)) / s(j));
  const direct = dout * s(c) ** -layer.beta,
    cross = 2 * layer.alpha * layer.beta * a * sum(terms),
    rest = direct - cross - dx;
  return [
    words("dx = dout / s^\u03b2 \u2212 2\u03b1\u03b2 a \u00d7 the sum of dout b / s over the channels whose window holds this one."),
    words("The second part is the cross term."),
    steps(
      [`direct term: dout / s^${layer.beta}`, direct],
      ...near.map((j, n) => [`dout b / s of channel ${j}${j === c ? " (this one)" : ""}, dout = ${full(doutAt(at, j, y, x))}`, terms[n]]),
      ["cross term: 2\u03b1\u03b2 a \u00d7 their sum", cross],
      storedOf(at) ? ["cross term of the channels that this page does not hold", rest] : null,
      ["direct \u2212 cross", direct - cross - (storedOf(at) ? rest : 0)],
      ["gradient of the input that the engine computed", dx, "dx"],
    ),
    words(
      direct
        ? `The cross term takes away ${digits((100 * (direct - dx)) / direct, 3)} % of the direct term.`
        : "The direct term is 0, so all that goes back is the cross term.",
    ),
    words(ROUNDING, "soft"),
  ];
}

function sentBySpatial(at, c, y, x, dout) {
  const layer = layers[at - 1],
    s = (cell) => element(own(`s:${layer.name}`), at, ...cell.at),
    a = valueAt(at - 1, c, y, x),
    dx = doutAt(at - 1, c, y, x);
  const window = windowOf(at, c, y, x, layer.mirrored),
    term = (cell) => (cell.value === null ? null : (doutAt(at, ...cell.at) * valueAt(at, ...cell.at)) / s(cell)),
    total = sum(window.cells.map((cell) => term(cell) ?? 0));
  const direct = dout * element(own(`s:${layer.name}`), at, c, y, x) ** -layer.beta,
    cross = 2 * layer.alpha * layer.beta * a * total;
  return [
    words("dx = dout / s^\u03b2 \u2212 2\u03b1\u03b2 a \u00d7 the sum of dout b / s over the places whose window holds this one."),
    words("The second part is the cross term."),
    cellTable("dout b / s of these places", window, term),
    steps(
      [`direct term: dout / s^${layer.beta}`, direct],
      ["cross term: 2\u03b1\u03b2 a \u00d7 the sum of the table", cross],
      ["direct \u2212 cross", direct - cross],
      ["gradient of the input that the engine computed", dx, "dx"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function sentByBatch(at, c, y, x, dout) {
  const layer = layers[at - 1],
    place = placeOf(at, c),
    factor = arrays[`g:${layer.name}`][place] / Math.sqrt(arrays[`v:${layer.name}`][place] + layer.eps);
  return [
    words(
      "dx = dout \u00d7 weight / \u221a(variance + \u03b5). Mean and variance are the running ones here, so nothing goes back through them; " +
        "in training they are those of the batch, and two more terms come back.",
    ),
    steps(
      ["weight / \u221a(variance + \u03b5)", factor],
      ["dout \u00d7 this factor, computed by this page", dout * factor],
      ["gradient of the input that the engine computed", doutAt(at - 1, c, y, x), "dx"],
      ["gradient of the weight that the engine computed", own(`dg:${layer.name}`)[place], "dweight"],
      ["gradient of the bias that the engine computed", own(`db:${layer.name}`)[place], "dbias"],
    ),
    words(ROUNDING, "soft"),
  ];
}

function sentByMap(at, c, _y, _x, dout) {
  const [, h, w] = shapeOf(at - 1);
  return [
    words(`Each of the ${h * w} places of channel ${c} gets dout / ${h * w}.`),
    steps([`dout / ${h * w}`, dout / (h * w)], ["gradient of a place that the engine computed", doutAt(at - 1, c, 0, 0), "dx"]),
  ];
}

function sentByFunction(at, c, y, x, dout) {
  const layer = layers[at - 1],
    a = valueAt(at - 1, c, y, x),
    [, , slope, formula] = FUNCTIONS[layer.function];
  return [
    words(`dx = dout \u00d7 f'(x), with f'(x) = ${formula}${constants(layer)}`),
    curve(layer, a, valueAt(at, c, y, x)),
    steps(
      ["input x", a],
      ["f'(x), computed by this page", slope(a, layer.a, layer.b)],
      ["gradient of the input that the engine computed", doutAt(at - 1, c, y, x), "dx"],
    ),
  ];
}

function sentByDropout(at, c, y, x) {
  return [
    words(`The page shows the net as it is tested: the gradient is multiplied by ${layers[at - 1].factor} too.`),
    steps(["gradient of the input that the engine computed", doutAt(at - 1, c, y, x), "dx"]),
  ];
}

const sentOn = (at) => [
  words(
    layers[at - 1].kind === "flatten" ? "The same number goes back to where it came from." : "The page does not take this layer apart.",
  ),
];
