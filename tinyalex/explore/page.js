// The page itself: which picture, direction, layer and unit are chosen, and what is drawn for them.

const $ = (id) => document.getElementById(id);
const clamp = (value, most) => Math.max(0, Math.min(most, Number.isFinite(value) ? Math.round(value) : 0));
const backward = () => state.mode === "backward";
const shown = (at) => own(`${backward() ? "d" : "v"}${at}`);

// Keep the choice inside of the net, and in the address, so that a reload and a link find it again.
function settle() {
  state.picture = clamp(state.picture, content.pictures.length - 1);
  state.at = clamp(state.at, layers.length);
  if (!["forward", "backward"].includes(state.mode)) state.mode = "forward";
  const [, h, w] = shapeOf(state.at), channels = channelsOf(state.at);
  if (!channels.includes(state.c)) state.c = channels.reduce((best, c) => (Math.abs(c - state.c) < Math.abs(best - state.c) ? c : best), channels[0]);
  state.y = clamp(state.y, h - 1);
  state.x = clamp(state.x, w - 1);
  const hash = [state.picture, state.mode, nameOf(state.at), state.c, state.y, state.x].join("/");
  try { history.replaceState(null, "", `#${hash}`); } catch { /* a page without an address, such as a preview, keeps none */ }
}

function fromAddress() {
  const [picture, mode, name, c, y, x] = decodeURIComponent(location.hash.slice(1)).split("/"), found = layers.findIndex((layer) => layer.name === name);
  if (name) Object.assign(state, { picture: Number(picture), mode, at: found + 1, c: Number(c), y: Number(y), x: Number(x), part: null });
}

function choose(change) {
  Object.assign(state, change);
  if (["at", "c", "y", "x", "mode", "picture"].some((key) => key in change)) state.part = null;
  show();
}

function show() {
  settle();
  const { at, c, y, x, mode } = state, picture = content.pictures[state.picture];
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  document.querySelectorAll("#pictures button").forEach((button, k) => button.setAttribute("aria-pressed", String(k === state.picture)));
  document.querySelectorAll("#net li").forEach((li, k) => {
    li.classList.toggle("current", k === at);
    li.lastChild.setAttribute("aria-current", String(k === at));
  });
  const [best, probability] = picture.top[0], label = content.classes[picture.label];
  const why = { given: "the label you gave", folder: "the name of its folder", guess: "the most probable class, since no label was given" }[picture.why];
  $("answer").textContent = `The net says ${best} (${(100 * probability).toFixed(1)} %). Loss for ${label}, ${why}: ${full(picture.loss)}.`;
  showMaps();
  showUnit();
  reveal($("net"), document.querySelector("#net .current"));
  for (const box of document.querySelectorAll(".maps")) reveal(box, box.querySelector("[tabindex='0']"));
}

// Scroll a box of its own height to one of its children, and leave the page where it is.
function reveal(box, child) {
  if (!child || box.scrollHeight <= box.clientHeight + 1) return;
  const above = child.getBoundingClientRect().top - box.getBoundingClientRect().top, below = above + child.offsetHeight - box.clientHeight;
  if (above < 0 || below > 0) box.scrollTop += above < 0 ? above : below;
}

function showMaps() {
  const { at } = state, layer = layers[at - 1], [count, h, w] = shapeOf(at), array = shown(at), most = largest(array), channels = channelsOf(at);
  $("layer").textContent = `${nameOf(at)}: ${backward() ? "the gradient of its output" : at ? "its output" : "the image as the net reads it"}`;
  const size = isVector(at) ? `${count} units` : `${count} channels of ${h} \u00d7 ${w}`;
  const held = channels.length < count ? `; this page holds ${channels.length} of them` : "";
  $("layer-words").textContent = `${size}${held}${layer?.settings ? `; ${layer.settings}` : ""}`;
  $("scale").textContent = `Orange is positive, blue negative; the full color is \u00b1${full(most)} in all maps of this layer.`;
  const scrolled = $("maps").querySelector(".maps")?.scrollTop ?? 0, again = document.activeElement?.closest?.(".map") !== null && document.activeElement !== document.body;
  const side = isVector(at) ? Math.min(288, Math.max(96, 24 * Math.ceil(Math.sqrt(channels.length)))) : count <= 4 ? 160 : 72;
  const towers = !isVector(at) && layer?.towers === 2 ? [["Tower a", (c) => c < count / 2], ["Tower b", (c) => c >= count / 2]] : [[null, () => true]];
  const groups = towers.map(([name, inside]) => {
    const own = channels.filter(inside), box = make("div", { class: "maps" });
    if (isVector(at)) box.append(vectorMap(array, channels, most, side));
    else for (const c of own) box.append(map(array, c, h, w, most, side));
    return name && own.length ? [make("h3", {}, name), box] : own.length ? [box] : [];
  });
  $("maps").replaceChildren(...groups.flat());
  const box = $("maps").querySelector(".maps");
  if (box) box.scrollTop = scrolled;
  if (again) $("maps").querySelector("[tabindex='0']")?.focus({ preventScroll: true });
}

function map(array, c, h, w, most, side) {
  const { at } = state, start = placeOf(at, c) * h * w, canvas = mapCanvas(array, start, h, w, most), here = c === state.c;
  const frame = here ? boxed(canvas, side, state.y, state.x, 1, 1) : boxed(canvas, side, -9, -9, 0, 0);
  if (!here) frame.lastChild.remove();
  return grid(frame, h, w, `channel ${c}`, here, String(c), (y, x) => ({ c, y, x }));
}

// All features as one square of cells.
function vectorMap(array, channels, most, side) {
  const columns = Math.ceil(Math.sqrt(channels.length)), rows = Math.ceil(channels.length / columns), place = channels.indexOf(state.c);
  const frame = boxed(mapCanvas(array, 0, rows, columns, most), side, Math.floor(place / columns), place % columns, 1, 1);
  const pick = (y, x) => ({ c: channels[Math.min(channels.length - 1, y * columns + x)], y: 0, x: 0 });
  const node = grid(frame, rows, columns, `${channels.length} units`, true, "", pick);
  const last = state.at === layers.length;
  if (!last || channels.length > 20) return node;
  const classes = channels.map((c, k) => ({ name: content.classes[c] ?? `unit ${c}`, c, value: array[k] }));
  const list = make("ul", { class: "parts" }, ...classes.map(({ name, c, value }) => {
    const look = { type: "button", "aria-pressed": String(c === state.c), onclick: () => choose({ c }) };
    return make("li", {}, make("button", look, name, make("span"), make("b", {}, full(value))));
  }));
  return make("div", { class: "side" }, node, list);
}

// A map that answers to clicks and arrow keys.
function grid(frame, h, w, name, here, caption, pick) {
  const [y0, x0] = isVector(state.at) ? [Math.floor(channelsOf(state.at).indexOf(state.c) / w), channelsOf(state.at).indexOf(state.c) % w] : [state.y, state.x];
  const node = make("div", {
    class: "map", role: "application", tabindex: here ? "0" : "-1", "aria-describedby": "keys", "aria-roledescription": "map of units",
    "aria-label": `${nameOf(state.at)}, ${name}, ${h} rows, ${w} columns${here ? ", chosen" : ""}`, "data-channel": caption,
  }, frame, make("span", { "aria-hidden": "true" }, caption));
  node.addEventListener("click", (event) => {
    const box = frame.getBoundingClientRect();
    choose(pick(clamp(((event.clientY - box.top) / box.height) * h - 0.5, h - 1), clamp(((event.clientX - box.left) / box.width) * w - 0.5, w - 1)));
  });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key], turn = { PageUp: -1, PageDown: 1 }[event.key];
    if (!step && !turn) return;
    event.preventDefault();
    const channels = channelsOf(state.at), place = clamp(channels.indexOf(state.c) + (turn ?? 0), channels.length - 1);
    choose(turn ? { c: channels[place] } : pick(clamp(y0 + step[0], h - 1), clamp(x0 + step[1], w - 1)));
  });
  return node;
}

function showUnit() {
  const { at, c, y, x } = state, title = unitName(at, c, y, x), value = (backward() ? doutAt : valueAt)(at, c, y, x);
  const label = at === layers.length && content.classes[c] ? `${title} (${content.classes[c]})` : title;
  $("unit-name").textContent = label;
  $("status").textContent = `${backward() ? "Gradient" : "Value"}: ${full(value)}`;
  const [count, h, w] = shapeOf(at);
  const field = (key, word, most) => make("label", {}, `${word} `, make("input", {
    type: "number", min: 0, max: most, value: state[key], onchange: (event) => choose({ [key]: Number(event.target.value) }),
  }));
  if (!$("choose").contains(document.activeElement) || $("choose").dataset.at !== String(at)) {
    $("choose").replaceChildren(...(isVector(at) ? [field("c", "unit", count - 1)] : [field("c", "channel", count - 1), field("y", "row", h - 1), field("x", "column", w - 1)]));
    $("choose").append(make("button", { type: "button", onclick: chooseLargest }, "go to the largest"));
    $("choose").dataset.at = at;
  }
  $("explained").replaceChildren(...(backward() ? explainBackward : explainForward)(at, c, y, x));
}

// The unit of this layer whose shown number is farthest from 0; most gradients of a layer are 0.
function chooseLargest() {
  const array = shown(state.at), [, h, w] = shapeOf(state.at);
  let best = 0;
  for (let i = 1; i < array.length; i++) if (Math.abs(array[i]) > Math.abs(array[best])) best = i;
  $("choose").dataset.at = "";
  choose({ c: channelsOf(state.at)[Math.floor(best / (h * w))], y: Math.floor(best / w) % h, x: best % w });
}

// The net from the top to the bottom: one box for a layer, two where it is divided into towers, and who reads whom.
function drawNet() {
  const middles = (count) => (count === 2 ? [16, 48] : [32]);
  const entry = (at) => {
    const layer = layers[at - 1], towers = layer?.towers ?? 1, before = at > 1 ? layers[at - 2].towers : 1, svg = drawing("svg", { viewBox: "0 0 64 44", "aria-hidden": "true" });
    const to = middles(towers), from = middles(before), apart = towers === 2 && before === 2 && layer.reads !== "both";
    if (at) for (const [k, a] of from.entries()) for (const [j, b] of to.entries()) if (!apart || k === j) svg.append(drawing("line", { x1: a, y1: 0, x2: b, y2: 12 }));
    for (const middle of to) {
      const half = towers === 2 ? 12 : 28;
      svg.append(drawing("rect", { x: middle - half, y: 12, width: 2 * half, height: 26, rx: 3 }));
      if (at < layers.length) svg.append(drawing("line", { x1: middle, y1: 38, x2: middle, y2: 44 }));
    }
    const shape = (at ? layer.shape : content.input).join("\u00d7"), parts = towers === 2 ? ", two towers" : "";
    const reads = layer?.reads === "both" ? ", reads both towers" : "";
    const look = { type: "button", "data-layer": nameOf(at), "aria-label": `${nameOf(at)}, ${shape}${parts}${reads}`, onclick: () => choose({ at }) };
    return make("li", { class: ["conv", "linear"].includes(layer?.kind) ? "weighted" : "" }, svg, make("button", look, nameOf(at), make("small", {}, shape)));
  };
  $("net").replaceChildren(...Array.from({ length: layers.length + 1 }, (_, at) => entry(at)));
}

function begin() {
  $("about").textContent = `${content.file}${content.note ? `: ${content.note}` : ""}. Every number in bold was computed by tinyalex in float32 and is shown to six digits.`;
  drawNet();
  $("pictures").replaceChildren(...content.pictures.map((picture, k) => make("button", { type: "button", onclick: () => choose({ picture: k }) }, pictureCanvas(k), picture.name)));
  for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => choose({ mode: button.dataset.mode }));
  $("choose").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { fromAddress(); show(); });
  dark.addEventListener("change", show);
  const weightedLayers = layers.flatMap((layer, k) => (["conv", "linear"].includes(layer.kind) ? [k + 1] : []));
  const first = weightedLayers[0] ?? 1, [, h, w] = shapeOf(first);
  Object.assign(state, { at: first, c: channelsOf(first)[0], y: Math.floor(h / 2), x: Math.floor(w / 2) });
  fromAddress();
  show();
  document.documentElement.dataset.ready = "yes";
}

unpackAll().then(begin, (error) => { $("about").textContent = `This browser cannot unpack the page (${error}); a browser of 2023 or later can.`; });
