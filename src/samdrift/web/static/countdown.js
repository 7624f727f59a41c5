// Seconds that are left, in an element with data-seconds; the page it leads to says what became of it.

/** @param {Document} page */
export function countDown(page) {
  const element = page.querySelector("[data-seconds]");
  if (!(element instanceof HTMLElement)) return;
  const ends = performance.now() + Number(element.dataset.seconds) * 1000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
    element.textContent = String(left);
    if (left > 0) return;
    clearInterval(timer);
    if (element.dataset.next) location.replace(element.dataset.next);
  }, 250);
}
