// A page that is open learns that it has changed, by a stream or by asking now and then. Nothing on it moves:
// a line offers to show what is new, and names say who else is there. A page that is not in sight asks for nothing.

const EVERY = 25_000;
const TOGETHER = 300;

/** @param {Document} page */
export function followChanges(page) {
  const place = page.querySelector("[data-live]");
  if (place instanceof HTMLElement) new Live(page, place);
}

class Live {
  /**
   * @param {Document} page
   * @param {HTMLElement} place
   */
  constructor(page, place) {
    this.page = page;
    this.question = place.dataset.live ?? "";
    this.over = place.dataset.over ?? "";
    /** @type {EventSource | undefined} */
    this.stream = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.asking = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.soon = undefined;
    page.addEventListener("visibilitychange", () => this.turn());
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", () => this.turn());
    this.turn();
  }

  turn() {
    this.stop();
    if (this.page.visibilityState === "hidden" || !this.question) return;
    this.stream = new EventSource(`/live/events?${this.question}`);
    for (const kind of ["news", "present"]) this.stream.addEventListener(kind, () => this.later());
    this.stream.addEventListener("open", () => this.later());
    this.stream.addEventListener("over", () => this.end());
    this.stream.addEventListener("error", () => {
      if (this.stream?.readyState === EventSource.CLOSED) this.poll();
    });
  }

  stop() {
    this.stream?.close();
    this.stream = undefined;
    clearInterval(this.asking);
    this.asking = undefined;
    clearTimeout(this.soon);
    this.soon = undefined;
  }

  later() {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      this.ask("");
    }, TOGETHER);
  }

  poll() {
    if (this.asking) return;
    this.ask("&polled=1");
    this.asking = setInterval(() => this.ask("&polled=1"), EVERY);
  }

  /** @param {string} more */
  async ask(more) {
    try {
      const answer = await fetch(`/live/news?${this.question}${more}`);
      if (answer.ok) this.show(await answer.json());
      else if (answer.status === 404 || answer.status === 403) this.end();
      else if (answer.status === 401) this.stop();
    } catch {
      // The next question may be answered.
    }
  }

  end() {
    this.stop();
    this.question = "";
    for (const line of this.page.querySelectorAll("[data-news]")) say(line, this.over);
  }

  /** @param {{list: string, conversation: string, present: string, rows: Record<string, string>}} news */
  show(news) {
    for (const line of this.page.querySelectorAll("[data-news]")) {
      if (line instanceof HTMLElement) say(line, line.dataset.news === "list" ? news.list : news.conversation);
    }
    for (const place of this.page.querySelectorAll("[data-present]")) put(place, news.present);
    for (const place of this.page.querySelectorAll("[data-here]")) {
      if (place instanceof HTMLElement) put(place, news.rows[place.dataset.here ?? ""] ?? "");
    }
  }
}

/**
 * Offer to show the page anew; what is said already is not said again.
 * @param {Element} line
 * @param {string} text
 */
function say(line, text) {
  if (line.textContent === text) return;
  const link = document.createElement("a");
  link.href = (line instanceof HTMLElement && line.dataset.href) || location.pathname + location.search;
  link.textContent = text;
  line.replaceChildren(...(text ? [link] : []));
}

/**
 * @param {Element} place
 * @param {string} text
 */
function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
