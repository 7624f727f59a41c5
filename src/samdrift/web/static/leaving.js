// What is typed in a text that is not saved by itself, as a note, is not left behind without a question.

/** @param {Document} page */
export function askBeforeLeaving(page) {
  /** @type {Set<HTMLTextAreaElement>} */
  const typed = new Set();
  page.addEventListener("input", ({ target }) => {
    if (!(target instanceof HTMLTextAreaElement) || !target.form || target.form.dataset.save) return;
    if (target.value === target.defaultValue) typed.delete(target);
    else typed.add(target);
  });
  page.addEventListener("submit", ({ target }) => {
    for (const text of typed) if (text.form === target) typed.delete(text);
  });
  addEventListener("beforeunload", (event) => {
    if (!typed.size) return;
    event.preventDefault();
    setTimeout(() => page.dispatchEvent(new Event("stayed"))); // Runs once the question is answered with staying.
  });
}
