// The maps of the chosen layer, and how a unit is chosen on them by a click or by arrow keys.

function showMaps() {
  const { at } = state,
    layer = layers[at - 1],
    [count, h, w] = shapeOf(at),
    array = shown(at),
    most = largest(array),
    channels = channelsOf(at);
  const what = backward() ? "the gradient of its output" : at ? "its output" : "the image as the net reads it";
  $("layer").textContent = `${nameOf(at)}: ${what}`;
  const size = isVector(at) ? `${count} units` : `${count} channels of ${h} \u00d7 ${w}`;
  const held = channels.length < count ? `; this page holds ${channels.length} of them` : "";
  $("layer-words").textContent = `${size}${held}${layer?.settings ? `; ${layer.settings.replace("->", " \u2192 ")}` : ""}`;
  $("scale").textContent = `Orange is positive, blue negative; the full color is \u00b1${full(most)} in all maps of this layer.`;
  const scrolled = $("maps").querySelector(".maps")?.scrollTop ?? 0,
    again = document.activeElement?.closest(".map");
  const side = isVector(at) ? Math.min(288, Math.max(96, 24 * Math.ceil(Math.sqrt(channels.length)))) : count <= 4 ? 160 : 72;
  const towers =
    !isVector(at) && layer?.towers === 2
      ? [
          ["Tower a", (c) => c < count / 2],
          ["Tower b", (c) => c >= count / 2],
        ]
      : [[null, () => true]];
  const groups = towers.map(([name, inside]) => {
    const held = channels.filter(inside),
      box = make("div", { class: "maps" });
    if (isVector(at)) box.append(vectorMap(array, channels, most, side));
    else for (const c of held) box.append(map(array, c, h, w, most, side));
    return name && held.length ? [make("h3", {}, name), box] : held.length ? [box] : [];
  });
  $("maps").replaceChildren(...groups.flat());
  const box = $("maps").querySelector(".maps");
  if (box) box.scrollTop = scrolled;
  if (again) $("maps").querySelector("[tabindex='0']")?.focus({ preventScroll: true });
}

function map(array, c, h, w, most, side) {
  const { at } = state,
    start = placeOf(at, c) * h * w,
    canvas = mapCanvas(array, start, h, w, most),
    here = c === state.c;
  const frame = here ? boxed(canvas, side, state.y, state.x, 1, 1) : boxed(canvas, side, -9, -9, 0, 0);
  if (!here) frame.lastChild.remove();
  return grid(frame, h, w, `channel ${c}`, here, String(c), (y, x) => ({ c, y, x }));
}

// All features as one square of cells.
function vectorMap(array, channels, most, side) {
  const columns = Math.ceil(Math.sqrt(channels.length)),
    rows = Math.ceil(channels.length / columns),
    place = channels.indexOf(state.c);
  const frame = boxed(mapCanvas(array, 0, rows, columns, most), side, Math.floor(place / columns), place % columns, 1, 1);
  const pick = (y, x) => ({ c: channels[Math.min(channels.length - 1, y * columns + x)], y: 0, x: 0 });
  const node = grid(frame, rows, columns, `${channels.length} units`, true, "", pick);
  const last = state.at === layers.length;
  if (!last || channels.length > 20) return node;
  const classes = channels.map((c, k) => ({ name: content.classes[c] ?? `unit ${c}`, c, value: array[k] }));
  const list = make(
    "ul",
    { class: "parts" },
    ...classes.map(({ name, c, value }) => {
      const look = { type: "button", "aria-pressed": String(c === state.c), onclick: () => choose({ c }) };
      return make("li", {}, make("button", look, name, make("span"), make("b", {}, full(value))));
    }),
  );
  return make("div", { class: "side" }, node, list);
}

// A map that answers to clicks and arrow keys.
function grid(frame, h, w, name, here, caption, pick) {
  const [y0, x0] = isVector(state.at)
    ? [Math.floor(channelsOf(state.at).indexOf(state.c) / w), channelsOf(state.at).indexOf(state.c) % w]
    : [state.y, state.x];
  const node = make(
    "div",
    {
      class: "map",
      role: "application",
      tabindex: here ? "0" : "-1",
      "aria-describedby": "keys",
      "aria-roledescription": "map of units",
      "aria-label": `${nameOf(state.at)}, ${name}, ${h} rows, ${w} columns${here ? ", chosen" : ""}`,
      "data-channel": caption,
    },
    frame,
    make("span", { "aria-hidden": "true" }, caption),
  );
  node.addEventListener("click", (event) => {
    const box = frame.getBoundingClientRect();
    choose(
      pick(
        clamp(((event.clientY - box.top) / box.height) * h - 0.5, h - 1),
        clamp(((event.clientX - box.left) / box.width) * w - 0.5, w - 1),
      ),
    );
  });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key],
      turn = { PageUp: -1, PageDown: 1 }[event.key];
    if (!step && !turn) return;
    event.preventDefault();
    const channels = channelsOf(state.at),
      place = clamp(channels.indexOf(state.c) + (turn ?? 0), channels.length - 1);
    choose(turn ? { c: channels[place] } : pick(clamp(y0 + step[0], h - 1), clamp(x0 + step[1], w - 1)));
  });
  return node;
}
