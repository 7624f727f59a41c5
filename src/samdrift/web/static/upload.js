// Files of a form with data-save go ahead of it, one by one, to where it is saved, and a line says how far they are.
// Then the form is posted as without script, so that its answer is a page like any other: refused, accepted, or signed
// out. What breaks off says so, and leaves everything that was typed and chosen.

import { fill, goOnSaving, holdSaving } from "./draft.js";
import { choose, sizeAsSent } from "./files.js";
import { lives } from "./session.js";

const SHOWN_AFTER = 400;
const SAID_EVERY = 0.25;

class Upload {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLInputElement} input
   * @param {HTMLElement} place
   */
  constructor(form, input, place) {
    this.form = form;
    this.input = input;
    this.place = place;
    this.busy = false;
    this.plain = false;
    this.stopped = false;
    /** @type {string[]} */
    this.kept = [];
    /** @type {string[]} */
    this.refused = [];
    /** @type {XMLHttpRequest | undefined} */
    this.request = undefined;
    const first = { capture: true }; // Whoever else hears that the form is sent, hears it after this.
    form.addEventListener("submit", (event) => this.submitted(event), first);
    this.part("button")?.addEventListener("click", () => {
      this.stopped = true;
      this.request?.abort();
    });
    addEventListener("pageshow", () => (this.plain = false));
  }

  /** @param {SubmitEvent} event */
  submitted(event) {
    if (this.plain || (!this.busy && !this.input.files?.length)) return;
    event.preventDefault();
    if (!this.busy) this.send(event.submitter);
  }

  /** @param {HTMLElement | null} submitter */
  async send(submitter) {
    if (sizeAsSent(this.input) > Number(this.input.dataset.limit)) return this.end(this.place.dataset.tooLarge);
    this.busy = true;
    this.stopped = false;
    this.rest(true);
    this.hide("[data-ended]", true);
    const shown = setTimeout(() => {
      this.hide("[data-sending]", false);
      this.part("[data-sending]")?.focus();
    }, SHOWN_AFTER);
    await holdSaving(this.form);
    const ended = await this.all().catch(() => this.place.dataset.broken);
    clearTimeout(shown);
    this.hide("[data-sending]", true);
    this.rest(false);
    this.busy = false;
    goOnSaving(this.form);
    if (ended !== undefined) return this.end(ended);
    this.plain = true;
    this.form.requestSubmit(submitter);
  }

  /** @returns {Promise<string | undefined>} why it ended; nothing where the form is to be posted */
  async all() {
    const total = [...(this.input.files ?? [])].reduce((sum, file) => sum + file.size, 0);
    let sent = 0;
    for (const file of [...(this.input.files ?? [])]) {
      if (this.stopped) break;
      const request = await this.post(file, (bytes) => this.show(sent + Math.min(bytes, file.size), total));
      if (this.stopped && request.status !== 200) break;
      if (request.status === 0 || request.status >= 500) return this.place.dataset.broken;
      if ([401, 403].includes(request.status) && !(await lives(this.form.ownerDocument))) return this.place.dataset.broken;
      if (request.status !== 200) return;
      const { fields, refused, done, over } = JSON.parse(request.responseText);
      if (refused) this.refused.push(refused);
      fill(this.form, { ...fields, refused: this.refused.join("\n") });
      if (done) choose(this.input, [...(this.input.files ?? [])].filter((each) => each !== file));
      if (over) return;
      this.form.ownerDocument.dispatchEvent(new Event("session-used"));
      if (!refused) this.kept.push(file.name);
      sent += file.size;
    }
    return this.stopped ? this.place.dataset.stopped : undefined;
  }

  /**
   * @param {File} file
   * @param {(bytes: number) => void} progress
   * @returns {Promise<XMLHttpRequest>} a request that has ended
   */
  post(file, progress) {
    const fields = new FormData();
    for (const [name, value] of new FormData(this.form)) {
      if (typeof value === "string") fields.append(name, value);
    }
    fields.append(this.input.name, file);
    const request = new XMLHttpRequest();
    this.request = request;
    progress(0);
    return new Promise((resolve) => {
      request.upload.addEventListener("progress", (event) => progress(event.loaded));
      request.addEventListener("loadend", () => resolve(request));
      request.open("POST", this.form.dataset.save ?? "");
      request.send(fields);
    });
  }

  /**
   * @param {number} sent
   * @param {number} total
   */
  show(sent, total) {
    const language = this.form.ownerDocument.documentElement.lang;
    const megabytes = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
    const bar = this.part("progress");
    if (bar instanceof HTMLProgressElement) bar.value = total ? sent / total : 1;
    put(this.part("[data-sent]"), `${megabytes.format(sent / 1e6)} / ${megabytes.format(total / 1e6)} MB`);
    const part = total ? Math.floor(sent / total / SAID_EVERY) * SAID_EVERY : 1;
    const percent = new Intl.NumberFormat(language, { style: "percent" }).format(part);
    put(this.part("[data-said]"), `${percent} ${this.place.dataset.part}`);
  }

  /** @param {string | undefined} why */
  end(why) {
    put(this.part("[data-why]"), why ?? "");
    put(this.part("[data-kept]"), this.kept.length ? `${this.place.dataset.kept} ${this.kept.join(", ")}` : "");
    this.hide("[data-ended]", false);
    this.part("[data-ended]")?.focus();
  }

  /**
   * Let everything of the form but this line rest, or work again.
   * @param {boolean} resting
   */
  rest(resting) {
    for (let each = this.place; each !== this.form && each.parentElement; each = each.parentElement) {
      for (const other of each.parentElement.children) {
        if (other !== each && other instanceof HTMLElement) other.inert = resting;
      }
    }
  }

  /**
   * @param {string} selector
   * @returns {HTMLElement | null}
   */
  part(selector) {
    const found = this.place.querySelector(selector);
    return found instanceof HTMLElement ? found : null;
  }

  /**
   * @param {string} selector
   * @param {boolean} hidden
   */
  hide(selector, hidden) {
    const part = this.part(selector);
    if (part) part.hidden = hidden;
  }
}

/**
 * @param {HTMLElement | null} place
 * @param {string} text
 */
function put(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

for (const place of document.querySelectorAll("form[data-save] [data-upload]")) {
  const form = place.closest("form");
  const input = form?.querySelector("input[type=file]");
  if (place instanceof HTMLElement && form && input instanceof HTMLInputElement) new Upload(form, input, place);
}
