// A form is sent once, however often its button is pressed while the answer is on its way. A button with
// data-download saves a file: no new page comes, so that it and the rest of its form stay in use.

/** @param {Document} page */
export function sendOnce(page) {
  /** @type {Set<HTMLFormElement>} */
  const sent = new Set();
  page.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || event.defaultPrevented) return; // Another part sends it later.
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    if (event.submitter?.hasAttribute("data-download")) return;
    sent.add(form);
    event.submitter?.setAttribute("aria-disabled", "true");
  });
  const again = () => {
    for (const button of page.querySelectorAll("button[aria-disabled]")) button.removeAttribute("aria-disabled");
    sent.clear();
  };
  addEventListener("pageshow", again); // Back from the next page: what was typed is there and can be sent again.
  page.addEventListener("stayed", again);
}
