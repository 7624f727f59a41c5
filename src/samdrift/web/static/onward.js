// A form that a person would only press the button of: the second half of a sign-in, on its way back.

/** @param {Document} page */
export function goOn(page) {
  const form = page.querySelector("form[data-go-on]");
  if (form instanceof HTMLFormElement) form.requestSubmit();
}
