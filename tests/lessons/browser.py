"""Pages of the book in headless Chromium: what they measure there, and which requests they make."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  const seen = (element) => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
  const root = document.documentElement;
  const sizes = (slide) => {
    const frame = slide.getBoundingClientRect();
    const size = { name: slide.id, height: frame.height, low: 0, right: 0, letters: 999, pictures: [] };
    for (const one of slide.querySelectorAll("*:not(.note, .at)")) {
      const box = one.getBoundingClientRect();
      if (!box.width || one.closest(".note, math")) continue;
      size.low = Math.max(size.low, box.bottom - frame.top);
      size.right = Math.max(size.right, box.right, box.left + one.scrollWidth);
      const words = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (words) size.letters = Math.min(size.letters, parseFloat(getComputedStyle(one).fontSize));
      if (one.tagName === "IMG") size.pictures.push(box.height);
    }
    for (const formula of slide.querySelectorAll("math")) size.right = Math.max(size.right, formula.getBoundingClientRect().right);
    return size;
  };
  const found = { width: innerWidth, scroll: root.scrollWidth, wide: [], notes: [] };
  for (const element of document.querySelectorAll("main *")) {
    const outside = element.getBoundingClientRect().right > innerWidth + 1;
    if (outside && !element.closest(".wide, pre")) found.wide.push(element.outerHTML.slice(0, 90));
  }
  const tables = [...document.querySelectorAll(".glossary, .mistakes")].map((table) => table.parentElement);
  found.cut = tables.filter((frame) => frame.scrollWidth > frame.clientWidth + 1).length;
  found.code = [...document.querySelectorAll("pre")].filter((one) => one.scrollWidth > one.clientWidth + 1).length;
  found.math = document.querySelectorAll("math").length;
  const formulas = [...document.querySelectorAll("math, math mi:not(:empty), math mn")];
  found.flat = formulas.filter((one) => !seen(one)).map((one) => one.outerHTML.slice(0, 90));
  found.blank = [...document.images].filter((image) => !image.naturalWidth || !seen(image)).length;
  found.images = document.images.length;
  found.background = getComputedStyle(document.body).backgroundColor;
  for (const term of document.querySelectorAll(".term")) {
    term.focus();
    const box = term.querySelector(".note").getBoundingClientRect();
    const free = term.getClientRects()[0].bottom <= box.top;
    found.notes.push(free && box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight + 1);
  }
  document.activeElement.blur();
  scrollTo(0, 0);
  const slides = document.querySelectorAll(".slide");
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const top = () => Math.round(Math.min(...[...slides].map((slide) => Math.abs(slide.getBoundingClientRect().top))));
  found.slides = [...slides].map(sizes);
  if (slides.length) {
    press("ArrowRight"); found.turned = scrollY > 0 && top() < 2;
    press("Home"); found.home = scrollY === 0;
    slides[0].style.height = "2000px";
    found.rest = press("ArrowDown");
  }
  parent.postMessage({ page: NAME, found }, "*");
}, 50));
</script>
"""
DRIVER = """<!DOCTYPE html><title>driver</title><pre id="results"></pre>
<script>
const results = {};
addEventListener("message", (event) => {
  results[event.data.page] = event.data.found;
  document.getElementById("results").textContent = JSON.stringify(results);
});
</script>
"""


def measured(
    book: Path, scratch: Path, width: int, *flags: str, height: int = 800, pages: str = "*.html"
) -> tuple[dict[str, Any], list[str]]:
    """What each page of a book measures in a window of `width`, and the addresses that were asked for outside of the file system.

    pages: a pattern of the pages to measure.
    """
    copy = scratch / f"book-{width}"
    shutil.copytree(book, copy)
    names = sorted(path.relative_to(copy).as_posix() for path in copy.rglob(pages))
    for name in names:
        text = (copy / name).read_text("utf-8")
        (copy / name).write_text(text.replace("</body>", PROBE.replace("NAME", json.dumps(name)) + "</body>"), "utf-8")
    frames = "".join(f'<iframe src="{name}" width="{width}" height="{height}" style="border: 0"></iframe>' for name in names)
    (copy / "driver.html").write_text(DRIVER + frames, "utf-8")
    log = scratch / f"net-{width}.json"
    page = run(scratch, copy / "driver.html", "--dump-dom", "--virtual-time-budget=20000", f"--log-net-log={log}", *flags)
    found = re.search(r'<pre id="results">(.*?)</pre>', page, re.DOTALL)
    assert found is not None and found[1], "no page answered"
    results = json.loads(html.unescape(found[1]))
    assert sorted(results) == names
    return results, requests(log)


def run(scratch: Path, page: Path, *flags: str) -> str:
    """Open a page with a profile of its own, and return what Chromium prints."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={scratch / 'profile'}", *flags, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def requests(log: Path) -> list[str]:
    """The addresses that pages asked for, as a net log has them, without files and data inside of pages.

    Chromium asks for things of its own at each start; their initiator is "not an origin".
    """
    asked = [event["params"] for event in json.loads(log.read_text("utf-8"))["events"] if "initiator" in event.get("params", {})]
    urls = {params["url"] for params in asked if params["initiator"] != "not an origin"}
    return sorted(url for url in urls if not url.startswith(("file:", "data:", "about:")))
