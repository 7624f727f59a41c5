// Ctrl and Enter press the button of a page that leads on, the one that is filled; in a field, the one of its form.

/** @param {Document} page */
export function pressByKeys(page) {
  page.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat) return;
    const form = page.activeElement?.closest("form");
    const within = form && page.activeElement?.matches("input, textarea, select") ? form : page.querySelector("main");
    const button = within?.querySelector(".button.filled") ?? form?.querySelector("button:not([type=button], [hidden])");
    if (!(button instanceof HTMLElement) || page.querySelector("dialog[open]")) return;
    event.preventDefault();
    button.click();
  });
}
