// What is typed in a form with data-save goes to the server three seconds later, without a press.
// The answer says in words what became of it, which fields of the form have another value now, and whether
// saving is over because the draft is in other hands; files are not part of it.

const AFTER = 3000;

/** @param {Document} page */
export function saveDrafts(page) {
  for (const form of page.querySelectorAll("form[data-save]")) {
    if (form instanceof HTMLFormElement) new Draft(form);
  }
}

class Draft {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.address = form.dataset.save ?? "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.saving = false;
    this.changed = false;
    this.over = false;
    form.addEventListener("input", () => this.later());
    form.addEventListener("submit", () => this.stop());
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

  async save() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.changed || this.saving || this.over) return;
    this.saving = true;
    this.changed = false;
    const said = await this.send();
    this.saving = false;
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
      for (const [name, value] of Object.entries(changed ?? {})) {
        const field = this.form.elements.namedItem(name);
        if (field instanceof HTMLInputElement) field.value = String(value);
      }
      this.over = over === true;
      return said;
    } catch {
      return null;
    }
  }

  /** @param {string} text */
  say(text) {
    const place = this.form.querySelector("[data-saved]");
    if (place) place.textContent = text;
  }
}
