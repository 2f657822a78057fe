// Arrow keys, Page keys, Home and End turn the slides, and so do the space bar and a remote control, which sends Page keys. Without this script the page is scrolled like any other.
const slides = [...document.querySelectorAll(".slide")];
const here = () => {
  const middle = innerHeight / 2;
  return Math.max(0, slides.findIndex((slide) => slide.getBoundingClientRect().bottom > middle));
};
const turn = (to) => slides[Math.min(slides.length - 1, Math.max(0, to))].scrollIntoView({ behavior: "instant" });
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("summary, a, [tabindex='0']")) return;
  const { top, bottom } = slides[here()].getBoundingClientRect();
  if (/(ArrowDown|PageDown)/.test(event.key) && bottom > innerHeight + 2) return;
  if (/(ArrowUp|PageUp)/.test(event.key) && top < -2) return;
  const to = {
    ArrowRight: here() + 1, ArrowDown: here() + 1, PageDown: here() + 1, " ": here() + (event.shiftKey ? -1 : 1),
    ArrowLeft: here() - 1, ArrowUp: here() - 1, PageUp: here() - 1,
    Home: 0, End: slides.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  turn(to);
});
// A formula or a table that is wider than the slide gets smaller letters by itself; a slide that is higher than the window gets them as a whole. What is below 72 % cannot be read from the last row, so there it ends.
const smaller = (element, overflows) => {
  const size = parseFloat(getComputedStyle(element).fontSize);
  for (let part = 0.96; part > 0.71 && overflows(); part -= 0.04) element.style.fontSize = `${part * size}px`;
};
const fit = () => {
  for (const slide of slides) {
    const wide = [...slide.querySelectorAll(".wide")].filter((one) => !one.closest("pre, .note"));
    for (const one of [slide, ...wide]) one.style.removeProperty("font-size");
    if (innerHeight > innerWidth) continue;
    for (const one of wide) smaller(one, () => one.scrollWidth > one.clientWidth + 1);
    const figure = slide.querySelector("figure");
    smaller(slide, () => slide.scrollHeight > slide.clientHeight + 1 || (figure && figure.clientHeight < 0.4 * innerHeight));
  }
};
const at = here();
fit();
if (!location.hash) turn(at);
addEventListener("resize", () => { const at = here(); fit(); turn(at); });
