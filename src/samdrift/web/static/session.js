// Two minutes before a session ends there is a question; staying costs one press and leaves the page alone.
// Once it has ended, who signs in again in another window and comes back goes on here, with text and files.

const ASK_BEFORE = 120;
const LOOK_EVERY = 5;

/** @param {Document} page */
export function watchSession(page) {
  const body = page.body;
  const dialog = page.querySelector("dialog[data-session]");
  if (!(dialog instanceof HTMLDialogElement) || !body.dataset.sessionEnds) return;
  let ends = from(body.dataset.sessionEnds);
  let last = from(body.dataset.sessionLasts);
  const idle = Number(body.dataset.sessionEnds);
  let asked = false;

  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "stay") return;
    const seconds = await stay(page);
    if (seconds === null) return;
    ends = Math.min(from(String(seconds)), last);
    asked = false;
  });

  page.addEventListener("session-used", () => {
    ends = Math.min(from(String(idle)), last);
    asked = false;
  });

  page.addEventListener("session-over", () => {
    ends = Date.now();
    over(page, dialog);
  });

  const back = async () => {
    if (ends > Date.now() || page.visibilityState === "hidden") return;
    const session = await now(page, body.dataset.sessionWhose ?? "");
    if (session === null) return;
    ends = from(String(session.seconds));
    last = from(String(session.lasts));
    asked = false;
  };
  page.defaultView?.addEventListener("focus", back);
  page.addEventListener("visibilitychange", back);

  setInterval(() => {
    const left = Math.round((ends - Date.now()) / 1000);
    if (left <= 0) over(page, dialog);
    else if (left <= ASK_BEFORE && !asked) {
      asked = true;
      dialog.showModal();
    }
  }, LOOK_EVERY * 1000);
}

/**
 * @param {string | undefined} seconds
 * @returns {number} the moment that many seconds from now
 */
function from(seconds) {
  return Date.now() + Number(seconds ?? 0) * 1000;
}

/**
 * @param {Document} page
 * @returns {Promise<number | null>} seconds that the session now lasts without another request
 */
async function stay(page) {
  const token = page.querySelector("meta[name=form-token]")?.getAttribute("content") ?? "";
  try {
    const answer = await fetch("/session/stay", { method: "POST", headers: { "x-form-token": token } });
    return answer.ok ? (await answer.json()).seconds : null;
  } catch {
    return null;
  }
}

/**
 * @param {Document} page
 * @param {string} whose the person for whom the page was made: nobody else goes on with it
 * @returns {Promise<{ seconds: number, lasts: number } | null>} the session of now, which the forms are then of
 */
async function now(page, whose) {
  try {
    const answer = await fetch("/session/now");
    if (!answer.ok) return null;
    const session = await answer.json();
    /*[nobody-goes-on-for-person*/if (session.whose !== whose) return null;/*]*/
    page.querySelector("meta[name=form-token]")?.setAttribute("content", session.token);
    for (const field of page.querySelectorAll("input[name=form-token]")) {
      if (field instanceof HTMLInputElement) field.value = session.token;
    }
    const band = page.querySelector("[data-session-over]");
    if (band instanceof HTMLElement) band.hidden = true;
    return session;
  } catch {
    return null;
  }
}

/**
 * Ask whether the session of a page goes on, and say so on it where it does not.
 * @param {Document} page
 * @returns {Promise<boolean>}
 */
export async function lives(page) {
  if ((await now(page, page.body.dataset.sessionWhose ?? "")) !== null) return true;
  page.dispatchEvent(new Event("session-over"));
  return false;
}

/**
 * @param {Document} page
 * @param {HTMLDialogElement} dialog
 */
function over(page, dialog) {
  if (dialog.open) dialog.close("over");
  const band = page.querySelector("[data-session-over]");
  if (band instanceof HTMLElement) band.hidden = false;
}
