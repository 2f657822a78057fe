// Arrow keys, Page keys, Home and End turn the slides; of a slide that is higher than the window, down and up first show the rest. Without this script the page is scrolled like any other.
const slides = [...document.querySelectorAll(".slide")];
const here = () => {
  const middle = innerHeight / 2;
  return Math.max(0, slides.findIndex((slide) => slide.getBoundingClientRect().bottom > middle));
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("pre, .wide")) return;
  const { top, bottom } = slides[here()].getBoundingClientRect();
  if (/(ArrowDown|PageDown)/.test(event.key) && bottom > innerHeight + 2) return;
  if (/(ArrowUp|PageUp)/.test(event.key) && top < -2) return;
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
