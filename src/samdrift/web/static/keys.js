// Ctrl and Enter press the button of a page that leads on, the one that is filled; in a text, too.

/** @param {Document} page */
export function pressByKeys(page) {
  page.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
    const button = page.querySelector("main .button.filled");
    if (!(button instanceof HTMLElement) || page.querySelector("dialog[open]")) return;
    event.preventDefault();
    button.click();
  });
}
