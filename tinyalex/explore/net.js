// The net from the top to the bottom: one box for a layer, two where it is divided into towers, and who reads whom.
function drawNet() {
  const middles = (count) => (count === 2 ? [16, 48] : [32]);
  const entry = (at) => {
    const layer = layers[at - 1],
      towers = layer?.towers ?? 1,
      before = at > 1 ? layers[at - 2].towers : 1,
      svg = drawing("svg", { viewBox: "0 0 64 44", "aria-hidden": "true" });
    const to = middles(towers),
      from = middles(before),
      apart = towers === 2 && before === 2 && layer.reads !== "both";
    if (at)
      for (const [k, a] of from.entries())
        for (const [j, b] of to.entries()) if (!apart || k === j) svg.append(drawing("line", { x1: a, y1: 0, x2: b, y2: 12 }));
    for (const middle of to) {
      const half = towers === 2 ? 12 : 28;
      svg.append(drawing("rect", { x: middle - half, y: 12, width: 2 * half, height: 26, rx: 3 }));
      if (at < layers.length) svg.append(drawing("line", { x1: middle, y1: 38, x2: middle, y2: 44 }));
    }
    const shape = (at ? layer.shape : content.input).join("\u00d7"),
      parts = towers === 2 ? ", two towers" : "";
    const reads = layer?.reads === "both" ? ", reads both towers" : "";
    const look = {
      type: "button",
      "data-layer": nameOf(at),
      "aria-label": `${nameOf(at)}, ${shape}${parts}${reads}`,
      onclick: () => choose({ at }),
    };
    return make(
      "li",
      { class: ["conv", "linear"].includes(layer?.kind) ? "weighted" : "" },
      svg,
      make("button", look, nameOf(at), make("small", {}, shape)),
    );
  };
  $("net").replaceChildren(...Array.from({ length: layers.length + 1 }, (_, at) => entry(at)));
}
