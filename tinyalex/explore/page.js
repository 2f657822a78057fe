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
  const [, h, w] = shapeOf(state.at),
    channels = channelsOf(state.at);
  if (!channels.includes(state.c))
    state.c = channels.reduce((best, c) => (Math.abs(c - state.c) < Math.abs(best - state.c) ? c : best), channels[0]);
  state.y = clamp(state.y, h - 1);
  state.x = clamp(state.x, w - 1);
  const hash = [state.picture, state.mode, encodeURIComponent(nameOf(state.at)), state.c, state.y, state.x].join("/");
  try {
    history.replaceState(null, "", `#${hash}`);
  } catch {
    /* a page without an address, such as a preview, keeps none */
  }
}

function fromAddress() {
  const [picture, mode, name, c, y, x] = location.hash.slice(1).split("/"),
    found = layers.findIndex((layer) => encodeURIComponent(layer.name) === name);
  if (name) Object.assign(state, { picture: Number(picture), mode, at: found + 1, c: Number(c), y: Number(y), x: Number(x), part: null });
}

function choose(change) {
  Object.assign(state, change);
  if ("at" in change) state.part = null;
  show();
}

function show() {
  settle();
  const { at, c, y, x, mode } = state,
    picture = content.pictures[state.picture];
  for (const button of document.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  document.querySelectorAll("#pictures button").forEach((button, k) => button.setAttribute("aria-pressed", String(k === state.picture)));
  document.querySelectorAll("#net li").forEach((li, k) => {
    li.classList.toggle("current", k === at);
    li.lastChild.setAttribute("aria-current", String(k === at));
  });
  const [best, probability] = picture.top[0],
    label = content.classes[picture.label];
  const why = { given: "the label you gave", folder: "the name of its folder", guess: "the most probable class, since no label was given" }[
    picture.why
  ];
  $("answer").textContent = `The net says ${best} (${(100 * probability).toFixed(1)} %). Loss for ${label}, ${why}: ${full(picture.loss)}.`;
  showMaps();
  showUnit();
  reveal($("net"), document.querySelector("#net .current"));
  for (const box of document.querySelectorAll(".maps")) reveal(box, box.querySelector("[tabindex='0']"));
}

// Scroll a box of its own height to one of its children, and leave the page where it is.
function reveal(box, child) {
  if (!child || box.scrollHeight <= box.clientHeight + 1) return;
  const above = child.getBoundingClientRect().top - box.getBoundingClientRect().top,
    below = above + child.offsetHeight - box.clientHeight;
  if (above < 0 || below > 0) box.scrollTop += above < 0 ? above : below;
}

function showUnit() {
  const { at, c, y, x } = state,
    title = unitName(at, c, y, x),
    value = (backward() ? doutAt : valueAt)(at, c, y, x);
  const label = at === layers.length && content.classes[c] ? `${title} (${content.classes[c]})` : title;
  $("unit-name").textContent = label;
  const unit = make("span", { class: "hidden" }, `${label}. `); // a screen reader hears which unit it is; the heading shows it
  $("status").replaceChildren(unit, `${backward() ? "Gradient" : "Value"}: ${full(value)}`);
  showChoice();
  $("explained").replaceChildren(...(backward() ? explainBackward : explainForward)(at, c, y, x));
}

// The fields for channel, row and column: new ones for another layer, otherwise only their numbers, so that the focus stays.
function showChoice() {
  const form = $("choose"),
    [count, h, w] = shapeOf(state.at);
  const field = (key, word, most) => {
    const onchange = (event) => choose({ [key]: Number(event.target.value) });
    return make("label", {}, `${word} `, make("input", { type: "number", min: 0, max: most, "data-key": key, onchange }));
  };
  if (form.dataset.at !== String(state.at)) {
    const place = isVector(state.at) ? [] : [field("y", "row", h - 1), field("x", "column", w - 1)];
    const button = make("button", { type: "button", onclick: chooseLargest }, "go to the largest");
    form.replaceChildren(field("c", place.length ? "channel" : "unit", count - 1), ...place, button);
    form.dataset.at = state.at;
  }
  for (const input of form.querySelectorAll("input")) input.value = state[input.dataset.key];
}

// The unit of this layer whose shown number is farthest from 0; most gradients of a layer are 0.
function chooseLargest() {
  const array = shown(state.at),
    [, h, w] = shapeOf(state.at);
  let best = 0;
  for (let i = 1; i < array.length; i++) if (Math.abs(array[i]) > Math.abs(array[best])) best = i;
  choose({ c: channelsOf(state.at)[Math.floor(best / (h * w))], y: Math.floor(best / w) % h, x: best % w });
}

function begin() {
  const source = content.note ? `${content.file}: ${content.note}` : content.file;
  $("about").textContent = `${source}. Every number in bold was computed by tinyalex in float32 and is shown to six digits.`;
  drawNet();
  $("pictures").replaceChildren(
    ...content.pictures.map((picture, k) =>
      make("button", { type: "button", onclick: () => choose({ picture: k }) }, pictureCanvas(k), picture.name),
    ),
  );
  for (const button of document.querySelectorAll("[data-mode]"))
    button.addEventListener("click", () => choose({ mode: button.dataset.mode }));
  $("choose").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    fromAddress();
    show();
  });
  dark.addEventListener("change", show);
  const first =
      Math.max(
        0,
        layers.findIndex((layer) => ["conv", "linear"].includes(layer.kind)),
      ) + 1,
    [, h, w] = shapeOf(first);
  Object.assign(state, { at: first, c: channelsOf(first)[0], y: Math.floor(h / 2), x: Math.floor(w / 2) });
  fromAddress();
  show();
  document.documentElement.dataset.ready = "yes";
}

unpackAll().then(begin, (error) => {
  $("about").textContent = `This browser cannot unpack the page (${error}); a browser of 2023 or later can.`;
});
