// What is typed in a form with data-save goes to the server three seconds later, without a press.
// The answer says in words what became of it, which fields of the form have another value now, and whether
// saving is over because the draft is in other hands; files are not part of it. A form that is posted waits for a
// saving that is on its way, since that makes another version of the draft.

const AFTER = 3000;
/** @type {WeakMap<HTMLFormElement, Draft>} */
const drafts = new WeakMap();

/** @param {Document} page */
export function saveDrafts(page) {
  for (const form of page.querySelectorAll("form[data-save]")) {
    if (form instanceof HTMLFormElement) drafts.set(form, new Draft(form));
  }
}

/**
 * Save what is typed, then nothing until :func:`goOnSaving`.
 * @param {HTMLFormElement} form
 */
export async function holdSaving(form) {
  await drafts.get(form)?.hold();
}

/** @param {HTMLFormElement} form */
export function goOnSaving(form) {
  drafts.get(form)?.goOn();
}

/**
 * Put values that the server answered with into the fields of a form.
 * @param {HTMLFormElement} form
 * @param {Record<string, string> | undefined} fields
 */
export function fill(form, fields) {
  for (const [name, value] of Object.entries(fields ?? {})) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = String(value);
  }
}

class Draft {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.address = form.dataset.save ?? "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {Promise<void> | undefined} */
    this.saving = undefined;
    this.changed = false;
    this.held = false;
    this.over = false;
    form.addEventListener("input", () => this.later());
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      this.stop();
      if (!this.saving) return;
      event.preventDefault();
      this.saving.then(() => form.requestSubmit(event.submitter));
    });
    form.ownerDocument.addEventListener("visibilitychange", () => {
      if (form.ownerDocument.visibilityState === "hidden") this.save();
    });
  }

  later() {
    this.changed = true;
    this.timer ??= setTimeout(() => this.save(), AFTER);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.changed = false;
  }

  async hold() {
    await this.saving;
    await this.save();
    this.held = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  goOn() {
    this.held = false;
    if (this.changed) this.later();
  }

  save() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.changed && !this.saving && !this.held && !this.over) {
      this.saving = this.attempt().finally(() => (this.saving = undefined));
    }
    return this.saving;
  }

  async attempt() {
    this.changed = false;
    const said = await this.send();
    if (said === null) this.later();
    this.say(said ?? this.form.dataset.unsaved ?? "");
    if (this.changed) this.later();
  }

  /** @returns {Promise<string | null>} what the server says; null when it could not be asked */
  async send() {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) {
      if (typeof value === "string") fields.append(name, value);
    }
    try {
      const answer = await fetch(this.address, { method: "POST", body: fields, keepalive: fields.toString().length < 60000 });
      if (!answer.ok) return null;
      this.form.ownerDocument.dispatchEvent(new Event("session-used"));
      const { said, fields: changed, over } = await answer.json();
      fill(this.form, changed);
      this.over = over === true;
      return said;
    } catch {
      return null;
    }
  }

  /** @param {string} text */
  say(text) {
    const place = this.form.querySelector("[data-saved]");
    if (place && place.textContent !== text) place.textContent = text; // What stands there is not read aloud again.
  }
}
