// A form is sent once, however often its button is pressed while the answer is on its way, unless that is a file.

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

/**
 * Send a form that a person would only press the button of: the second half of a sign-in, on its way back.
 * @param {Document} page
 */
export function goOn(page) {
  const form = page.querySelector("form[data-go-on]");
  if (form instanceof HTMLFormElement) form.requestSubmit();
}
