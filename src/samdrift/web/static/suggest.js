// Addresses that fit what is typed in a field with data-suggest, below it, as buttons of the same form.
// They are asked for by a posted form, a moment after the last letter; without script there is a button for it.

const AFTER = 250;

/** @typedef {{key: string, name: string, beneath: string}} Found */

/** @param {Document} page */
export function suggest(page) {
  for (const input of page.querySelectorAll("input[data-suggest]")) {
    if (input instanceof HTMLInputElement && input.form) new Suggestions(input, input.form);
  }
}

class Suggestions {
  /**
   * @param {HTMLInputElement} input
   * @param {HTMLFormElement} form
   */
  constructor(input, form) {
    this.input = input;
    this.form = form;
    this.asked = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {Found[] | undefined} */
    this.kept = undefined;
    input.addEventListener("input", () => this.soon());
    input.addEventListener("focus", () => {
      if (this.kept) this.show(this.kept);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      const first = this.place()?.querySelector("button");
      if (!(first instanceof HTMLElement)) return;
      event.preventDefault();
      first.focus();
    });
    // Who is fast has typed before this ran.
    if (input.value !== input.defaultValue) this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), AFTER);
  }

  place() {
    return this.input.closest(".field")?.querySelector("[data-found]");
  }

  async ask() {
    const words = this.input.value.trim();
    if (words === this.asked) return;
    this.asked = words;
    const token = this.form.elements.namedItem("form-token");
    const fields = new URLSearchParams({ find: words });
    if (token instanceof HTMLInputElement) fields.append("form-token", token.value);
    try {
      const answer = await fetch(this.input.dataset.suggest ?? "", { method: "POST", body: fields });
      if (!answer.ok || this.asked !== words) return;
      this.show((await answer.json()).found);
    } catch {
      this.asked = "";
    }
  }

  /**
   * Nothing moves under whoever has gone down among them: what was found meanwhile is kept for the way back.
   * @param {Found[]} found
   */
  show(found) {
    const page = this.form.ownerDocument;
    let place = this.place();
    const within = place?.contains(page.activeElement);
    this.kept = within ? found : undefined;
    if (within) return;
    if (!place) {
      place = page.createElement("ul");
      place.className = "found";
      place.setAttribute("data-found", "");
      this.input.closest(".field")?.append(place);
    }
    place.replaceChildren(
      ...found.map(({ key, name, beneath }) => {
        const button = page.createElement("button");
        button.name = "add";
        button.value = key;
        const shown = page.createElement("bdi");
        shown.textContent = name;
        const small = page.createElement("span");
        small.className = "beneath";
        small.textContent = beneath;
        button.append(shown, small);
        const item = page.createElement("li");
        item.append(button);
        return item;
      }),
    );
    if (place instanceof HTMLElement) place.hidden = found.length === 0;
  }
}
