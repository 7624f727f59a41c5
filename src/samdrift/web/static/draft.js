// What is typed in a form with data-save goes to the server three seconds later, without a press.
// The answer says in words what became of it, and where the next change goes; files are not part of it.

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
    if (!this.changed || this.saving) return;
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
      const { said, next } = await answer.json();
      this.address = next ?? this.address;
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
