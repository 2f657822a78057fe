// Elements of the page: numbers, colors, maps, small tables of cells.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function drawing(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Six significant digits, and three where there is little room. The sign is a minus, not a hyphen.
const digits = (value, count) => (value === null ? "" : String(Number(value.toPrecision(count))).replaceAll("-", "\u2212"));
const full = (value) => digits(value, 6);
const short = (value) => {
  const text = digits(value, 3);
  return text.length > 7 ? Number(value).toExponential(1).replaceAll("-", "\u2212") : text;
};

const dark = matchMedia("(prefers-color-scheme: dark)");

// From blue over the background to orange; `most` is the value of the full colors.
function colorOf(value, most) {
  const t = most ? Math.max(-1, Math.min(1, value / most)) : 0,
    zero = dark.matches ? [34, 39, 46] : [255, 255, 255];
  const end = t > 0 ? (dark.matches ? [255, 170, 80] : [190, 75, 0]) : dark.matches ? [110, 175, 255] : [0, 70, 160];
  return zero.map((low, k) => Math.round(low + (end[k] - low) * Math.abs(t)));
}

const tint = (value, most) => {
  const t = most ? Math.min(1, Math.abs(value) / most) : 0;
  return `rgba(var(--${value > 0 ? "plus" : "minus"}), ${(0.45 * t).toFixed(3)})`;
};

function largest(array) {
  let most = 0;
  for (const value of array) most = Math.max(most, Math.abs(value));
  return most;
}

function paint(height, width, colors) {
  const canvas = make("canvas", { width, height, "aria-hidden": "true" }),
    context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) image.data.set([...colors(i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  return canvas;
}

const mapCanvas = (array, start, height, width, most) =>
  paint(height, width, (i) => (start + i < array.length ? colorOf(array[start + i], most) : colorOf(0, 1)));

// The net's input as a picture: its three channels, scaled together to the range of colors.
function pictureCanvas(picture) {
  const [c, h, w] = content.input,
    array = arrays[`p${picture}:v0`];
  let low = Infinity,
    high = -Infinity;
  for (const value of array) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return paint(h, w, (i) => [0, 1, 2].map((k) => Math.round((255 * (array[(c === 3 ? k : 0) * h * w + i] - low)) / (high - low || 1))));
}

// A frame around part of a picture; all in pixels of the picture.
function boxed(canvas, side, top, left, height, width) {
  const [h, w] = [canvas.height, canvas.width],
    y = Math.max(0, top),
    x = Math.max(0, left);
  const box = make("span", { class: "box" }),
    percent = (part, whole) => `${(100 * part) / whole}%`;
  box.style.top = percent(y, h);
  box.style.left = percent(x, w);
  box.style.height = percent(Math.min(h, top + height) - y, h);
  box.style.width = percent(Math.min(w, left + width) - x, w);
  const frame = make("div", { class: "frame" }, canvas, box);
  frame.style.width = `${side}px`;
  frame.style.height = `${(side * h) / w}px`;
  canvas.style.width = canvas.style.height = "100%";
  return frame;
}

// A small table with the numbers of a window. A cell outside of the image is drawn as an empty frame.
function cellTable(title, window, number, wins = () => false) {
  const numbers = window.cells.map(number),
    most = largest(numbers.filter((value) => value !== null)),
    body = make("tbody");
  for (let i = 0; i < window.rows; i++) {
    const row = make("tr");
    for (let j = 0; j < window.columns && i * window.columns + j < numbers.length; j++) {
      const value = numbers[i * window.columns + j],
        cell = window.cells[i * window.columns + j];
      const shown = value === null ? "\u00b7" : short(value);
      const td = make(
        "td",
        { class: value === null ? "out" : wins(cell) ? "win" : "", title: value === null ? "padding" : full(value) },
        shown,
      );
      if (value !== null) td.style.background = tint(value, most);
      row.append(td);
    }
    body.append(row);
  }
  const scrolls = window.columns > 7 ? { tabindex: "0", role: "group", "aria-label": title } : {}; // so that the keyboard can scroll it
  return make("div", { class: "wide", ...scrolls }, make("table", { class: "grid" }, make("caption", {}, title), body));
}

// Lines of a calculation: [words, number], or [words, number, "engine"] for a number that the engine computed.
function steps(...lines) {
  const body = make("tbody");
  for (const [words, value, key] of lines.filter((line) => line !== null)) {
    const cell = make("td", key ? { "data-engine": key } : {}, typeof value === "number" ? full(value) : value);
    body.append(make("tr", key ? { class: "engine" } : {}, make("th", { scope: "row" }, words), cell));
  }
  return make("table", { class: "steps" }, body);
}

// A list of parts with bars, the largest first; a click on one shows its cells.
function partList(parts, size, chosen, most = 10) {
  const order = [...parts].sort((a, b) => Math.abs(size(b)) - Math.abs(size(a))),
    top = Math.max(1e-30, ...parts.map((part) => Math.abs(size(part))));
  const entry = (part) => {
    const value = size(part),
      bar = make("i");
    const [color, side] = value > 0 ? ["plus", "left"] : ["minus", "right"];
    bar.style.cssText = `background: rgb(var(--${color})); width: ${(50 * Math.abs(value)) / top}%; ${side}: 50%`;
    const pick = () => {
      state.part = part.name;
      show();
      document.querySelector(".parts [aria-pressed='true']")?.focus();
    };
    const look = { type: "button", "aria-pressed": String(part === chosen), onclick: pick };
    return make(
      "li",
      {},
      make("button", look, part.name, make("span", { class: "bar", "aria-hidden": "true" }, bar), make("b", {}, full(value))),
    );
  };
  const list = (some) => make("ul", { class: "parts" }, ...some.map(entry));
  const rest = order.slice(most);
  const more = rest.length ? make("details", {}, make("summary", {}, `the other ${rest.length}`), list(rest)) : null;
  if (more && rest.includes(chosen)) more.open = true;
  return make("div", {}, list(order.slice(0, most)), more);
}
