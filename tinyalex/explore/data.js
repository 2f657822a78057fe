"use strict";
// The numbers of the page. Python computed and packed them; here they are unpacked and found, never computed again.

const content = JSON.parse(document.getElementById("content").textContent);
const layers = content.layers;
const arrays = {};
const state = { picture: 0, mode: "forward", at: 1, c: 0, y: 0, x: 0, part: null };

// The bytes of all elements' first bytes, then of all second ones, are put together again. Every browser's machine is little-endian.
async function unpack(pack) {
  const bytes = Uint8Array.from(atob(pack.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const [size, Kind] = { f4: [4, Float32Array], u2: [2, Uint16Array], u1: [1, Uint8Array] }[pack.kind];
  const n = planes.length / size,
    whole = new Uint8Array(planes.length);
  for (let b = 0; b < size; b++) for (let i = 0; i < n; i++) whole[i * size + b] = planes[b * n + i];
  const array = new Kind(whole.buffer);
  array.sizes = pack.shape;
  return array;
}

async function unpackAll() {
  for (const [name, pack] of Object.entries(content.arrays)) arrays[name] = await unpack(pack);
  content.arrays = null;
}

// Value 0 is the net's input, value k the output of layer k. Features have one row and one column.
const shapeOf = (at) => {
  const [c, h = 1, w = 1] = at ? layers[at - 1].shape : content.input;
  return [c, h, w];
};
const storedOf = (at) => (at ? layers[at - 1].stored : null);
const nameOf = (at) => (at ? layers[at - 1].name : "input");
const own = (name) => arrays[`p${state.picture}:${name}`];
const isVector = (at) => at > 0 && layers[at - 1].shape.length === 1;
const channelsOf = (at) => storedOf(at) ?? Array.from({ length: shapeOf(at)[0] }, (_, c) => c);

function placeOf(at, c) {
  const stored = storedOf(at);
  return stored ? stored.indexOf(c) : c;
}

// An element of an array that is shaped like value `at`; null outside of the image and for channels that the page does not hold.
function element(array, at, c, y, x) {
  const [, h, w] = shapeOf(at),
    place = placeOf(at, c);
  return place < 0 || y < 0 || x < 0 || y >= h || x >= w ? null : array[(place * h + y) * w + x];
}

const valueAt = (at, c, y, x) => element(own(`v${at}`), at, c, y, x);
const doutAt = (at, c, y, x) => element(own(`d${at}`), at, c, y, x);

// The inputs of a unit of a layer with weights, in parts: one for each channel, or for each few features.
// A cell without a value is padding.
function partsOf(at, k, y, x) {
  const layer = layers[at - 1],
    kp = placeOf(at, k),
    from = at - 1;
  const weight = arrays[`w:${layer.name}`],
    dweight = own(`dw:${layer.name}`),
    [, m, kh = 1, kw = 1] = weight.sizes;
  const group = Math.floor(k / (shapeOf(at)[0] / layer.groups)),
    size = shapeOf(from)[0] / layer.groups;
  const inputs = channelsOf(from).filter((c) => Math.floor(c / size) === group);
  const cell = (at3, pos, i, j) => {
    const place = ((kp * m + pos) * kh + i) * kw + j,
      value = valueAt(from, ...at3);
    return { at: at3, value, weight: weight[place], dweight: dweight[place], dx: value === null ? null : doutAt(from, ...at3) };
  };
  if (layer.kind === "conv") {
    const { stride, before } = layer.windows,
      top = y * stride[0] - before[0],
      left = x * stride[1] - before[1];
    return inputs.map((c, pos) => ({
      name: `channel ${c}`,
      c,
      rows: kh,
      columns: kw,
      top,
      left,
      cells: Array.from({ length: kh * kw }, (_, n) => {
        const i = Math.floor(n / kw),
          j = n % kw;
        return cell([c, top + i, left + j], pos, i, j);
      }),
    }));
  }
  const flat = from > 0 && layers[from - 1].kind === "flatten" ? shapeOf(from - 1) : null;
  const length = flat ? flat[1] * flat[2] : 16,
    columns = flat ? flat[2] : 4,
    parts = new Map();
  inputs.forEach((f, pos) => {
    const key = Math.floor(f / length);
    if (!parts.has(key))
      parts.set(key, {
        name: flat ? `channel ${key}` : `features ${key * 16} to ${Math.min(key * 16 + 15, shapeOf(from)[0] - 1)}`,
        c: f,
        columns,
        cells: [],
      });
    parts.get(key).cells.push(cell([f, 0, 0], pos, 0, 0));
  });
  return [...parts.values()].map((part) => ({ ...part, rows: Math.ceil(part.cells.length / columns) }));
}

// The cells of a window of pooling or of response normalization, in rows; a cell that is not on the image has no value.
function windowOf(at, c, y, x, windows = layers[at - 1].windows) {
  const { kernel, stride, before } = windows,
    cells = [];
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) {
      const place = [c, y * stride[0] - before[0] + i, x * stride[1] - before[1] + j];
      cells.push({ at: place, i, j, value: valueAt(at - 1, ...place), dx: doutAt(at - 1, ...place) });
    }
  }
  return { rows: kernel[0], columns: kernel[1], top: cells[0].at[1], left: cells[0].at[2], cells };
}

// The channels that response normalization of channel c reads, `down` below it and `up` above it, within its group.
function neighbors(at, c, down, up) {
  const layer = layers[at - 1],
    size = shapeOf(at)[0] / layer.groups,
    first = Math.floor(c / size) * size,
    found = [];
  for (let j = Math.max(first, c - down); j <= Math.min(first + size - 1, c + up); j++) if (placeOf(at, j) >= 0) found.push(j);
  return found;
}
