"""A page of `tinyalex explore` in headless Chromium: what it says of units that are clicked there."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from tests.lessons.browser import requests, run

PROBE = """
<script>
(async () => {
  const root = document.documentElement, wait = () => new Promise((go) => setTimeout(go, 20));
  while (root.dataset.ready !== "yes") await wait();
  const number = (text) => Number(text.replaceAll("\\u2212", "-"));
  const at = (frame, y, x, h, w) => {
    const box = frame.getBoundingClientRect();
    return { bubbles: true, clientX: box.left + ((x + 0.5) / w) * box.width, clientY: box.top + ((y + 0.5) / h) * box.height };
  };
  const found = [];
  for (const { picture, mode, layer, channel, y, x, h, w } of CLICKS) {
    document.querySelectorAll("#pictures button")[picture].click();
    document.querySelector(`[data-mode="${mode}"]`).click();
    document.querySelector(`[data-layer="${layer}"]`).click();
    const map = document.querySelector(`.map[data-channel="${channel}"]`);
    map.dispatchEvent(new MouseEvent("click", at(map.querySelector(".frame"), y, x, h, w)));
    const said = { name: document.getElementById("unit-name").textContent };
    for (const cell of document.querySelectorAll("[data-engine]")) said[cell.dataset.engine] = number(cell.textContent);
    const rows = [...document.querySelectorAll(".steps tr")].map((row) => [row.cells[0].textContent, number(row.cells[1].textContent)]);
    const table = document.querySelector("[data-part]");
    if (table) said.dweight = [table.dataset.part, [...table.querySelectorAll("td")].map((cell) => number(cell.title))];
    const unnamed = [...document.querySelectorAll("button, input, [role='application']")].filter(
      (node) => !(node.getAttribute("aria-label") ?? node.closest("label")?.textContent ?? node.textContent).trim(),
    ).length;
    found.push({ said, rows, unnamed, scroll: root.scrollWidth, width: innerWidth });
  }
  const chosen = document.querySelector(".map[tabindex='0']"), keys = [];
  chosen.focus();
  for (const key of ["ArrowRight", "ArrowDown", "PageUp"]) {
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    keys.push(document.getElementById("unit-name").textContent);
  }
  const [input] = document.querySelectorAll("#choose input");
  input.value = "999";
  input.dispatchEvent(new Event("change"));
  const clamped = [input.value, document.getElementById("unit-name").textContent];
  document.querySelector("#choose button").click();
  const most = document.getElementById("status").textContent;
  const other = [...document.querySelectorAll(".parts button")].at(-1), part = other?.firstChild.textContent;
  other?.click();
  const opened = document.querySelector(".parts [aria-pressed='true']")?.firstChild.textContent;
  const background = getComputedStyle(document.body).backgroundColor;
  const bold = document.querySelectorAll("#about b, h1 small").length;
  parent.postMessage({ found, keys, clamped, most, part, opened, background, bold }, "*");
})();
</script>
"""
DRIVER = """<!DOCTYPE html><pre id="results"></pre>
<script>
addEventListener("message", (event) => { document.getElementById("results").textContent = JSON.stringify(event.data); });
</script>
<iframe src="page.html" width="WIDTH" height="900" style="border: 0"></iframe>
"""


def clicked(page: bytes, clicks: list[dict[str, Any]], scratch: Path, width: int, *flags: str) -> tuple[dict[str, Any], list[str]]:
    """What the page says after each click in a window of `width`, and the addresses that it asked for."""
    folder = scratch / f"page-{width}"
    folder.mkdir()
    text = page.decode().replace("</body>", PROBE.replace("CLICKS", json.dumps(clicks)) + "</body>")
    (folder / "page.html").write_text(text, "utf-8")
    (folder / "driver.html").write_text(DRIVER.replace("WIDTH", str(width)), "utf-8")
    log = scratch / f"net-{width}.json"
    dumped = run(scratch, folder / "driver.html", "--dump-dom", "--virtual-time-budget=60000", f"--log-net-log={log}", *flags)
    found = re.search(r'<pre id="results">(.*?)</pre>', dumped, re.DOTALL)
    assert found is not None and found[1], "the page did not answer"
    return json.loads(html.unescape(found[1])), requests(log)
