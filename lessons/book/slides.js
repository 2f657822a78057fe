// Arrow keys, Page keys, Home and End turn the slides. Without this script the page is scrolled like any other.
const slides = [...document.querySelectorAll(".slide")];
const here = () => {
  const middle = innerHeight / 2;
  return Math.max(0, slides.findIndex((slide) => slide.getBoundingClientRect().bottom > middle));
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("pre, .wide")) return;
  const last = slides.length - 1;
  const to = {
    ArrowRight: here() + 1, ArrowDown: here() + 1, PageDown: here() + 1,
    ArrowLeft: here() - 1, ArrowUp: here() - 1, PageUp: here() - 1,
    Home: 0, End: last,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  slides[Math.min(last, Math.max(0, to))].scrollIntoView();
});
