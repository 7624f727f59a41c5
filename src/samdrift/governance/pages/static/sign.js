// Signing with a passkey, making one, and making a code on paper. What is signed is the digest of the text that stands on the page: it is made
// here, of what the person sees, and the server's own digest must be the same.

/** @param {ArrayBuffer | Uint8Array} data */
function encoded(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  let text = "";
  for (const each of bytes) text += String.fromCharCode(each);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text */
function decoded(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (each) => each.charCodeAt(0));
}

/** @param {HTMLFormElement} form @param {string} name @param {string} value */
function put(form, name, value) {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement) field.value = value;
}

/** @param {HTMLFormElement} form @param {string} text */
function say(form, text) {
  const line = form.querySelector("[data-trouble]");
  if (!(line instanceof HTMLElement)) return;
  line.textContent = text;
  line.hidden = text === "";
}

/** @param {HTMLFormElement} form */
async function sign(form) {
  const shown = document.querySelector("#statement-text")?.textContent ?? "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(shown)));
  const written = Array.from(digest, (each) => each.toString(16).padStart(2, "0")).join("");
  if (/*[signed-stands-on-page*/written !== form.dataset.digest/*]*/) {
    say(form, form.dataset.differs ?? "");
    return false;
  }
  const keys = Array.from(form.querySelectorAll("[data-passkey]")).filter((each) => each instanceof HTMLElement);
  const found = await navigator.credentials.get({
    publicKey: {
      challenge: digest,
      rpId: form.dataset.host,
      userVerification: "required",
      allowCredentials: keys.map((each) => ({ type: "public-key", id: decoded(each.dataset.credential ?? "") })),
    },
  });
  if (!(found instanceof PublicKeyCredential)) throw new Error();
  const answer = found.response;
  if (!(answer instanceof AuthenticatorAssertionResponse)) throw new Error();
  const key = keys.find((each) => each.dataset.credential === found.id);
  put(form, "statement", shown);
  put(form, "key", key?.dataset.passkey ?? "");
  put(form, "authenticator-data", encoded(answer.authenticatorData));
  put(form, "client-data", encoded(answer.clientDataJSON));
  put(form, "signature", encoded(answer.signature));
  return true;
}

/** @param {HTMLFormElement} form */
async function make(form) {
  const name = form.dataset.personName ?? "";
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      rp: { id: form.dataset.host, name: form.dataset.site ?? "" },
      // A new id each time: a device keeps one key for each id, and the key in use signs for the next one.
      user: { id: /*[device-keeps-passkey-had*/crypto.getRandomValues(new Uint8Array(32)/*]*/), name, displayName: name },
      // ES256 and EdDSA; RS256 for Windows Hello on a TPM that has neither.
      pubKeyCredParams: [
        { type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }, { type: "public-key", alg: -257 },
      ],
      authenticatorSelection: { userVerification: "required", residentKey: "discouraged" },
      attestation: "none",
    },
  });
  if (!(made instanceof PublicKeyCredential)) throw new Error();
  const answer = made.response;
  if (!(answer instanceof AuthenticatorAttestationResponse)) throw new Error();
  const key = answer.getPublicKey();
  if (key === null) throw new Error();
  put(form, "public", encoded(key));
  put(form, "credential", made.id);
  return true;
}

// The private half of an Ed25519 key as PKCS#8 has it, before its 32 octets.
const PRIVATE = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The key of a code, as samdrift.governance.papercode makes it; its public half as OpenSSH writes it.
 * @param {Uint8Array<ArrayBuffer>} secret */
async function publicOf(secret) {
  const from = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode("samdrift paper code 1");
  const seed = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, from, 256);
  const whole = new Uint8Array([...PRIVATE, ...new Uint8Array(seed)]);
  const key = await crypto.subtle.importKey("pkcs8", whole, "Ed25519", true, ["sign"]);
  const point = decoded((await crypto.subtle.exportKey("jwk", key)).x ?? "");
  const kind = new TextEncoder().encode("ssh-ed25519");
  const blob = [0, 0, 0, kind.length, ...kind, 0, 0, 0, point.length, ...point];
  return `ssh-ed25519 ${btoa(String.fromCharCode(...blob))}`;
}

/** @param {Uint8Array} secret in groups of four letters and digits */
function inGroups(secret) {
  const bits = Array.from(secret, (each) => each.toString(2).padStart(8, "0")).join("");
  const letters = (bits.match(/.{5}/g) ?? []).map((each) => LETTERS[parseInt(each, 2)]).join("");
  return (letters.match(/.{4}/g) ?? []).join("-");
}

/** @param {HTMLFormElement} form */
function offersCode(form) {
  const [press, made, code] = ["press", "made", "code"].map((each) => form.querySelector(`[data-${each}]`));
  if (!(press instanceof HTMLButtonElement && made instanceof HTMLElement && code)) return;
  press.hidden = false;
  press.addEventListener("click", async () => {
    try {
      const secret = crypto.getRandomValues(new Uint8Array(20));
      put(form, "public", await publicOf(secret));
      code.textContent = inGroups(secret);
      (press.parentElement ?? press).hidden = true;
      made.hidden = false;
      made.focus();
    } catch {
      say(form, form.dataset.unable ?? "");
    }
  });
}

/** @param {string} marked @param {(form: HTMLFormElement) => Promise<boolean>} act */
function pressed(marked, act) {
  const form = document.querySelector(marked);
  if (!(form instanceof HTMLFormElement)) return;
  if (!window.PublicKeyCredential) {
    say(form, form.dataset.unable ?? "");
    return;
  }
  const button = form.querySelector("[data-press]");
  if (!(button instanceof HTMLButtonElement)) return;
  button.hidden = false;
  let done = false;
  form.addEventListener("submit", async (event) => {
    if (done) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    say(form, "");
    button.disabled = true;
    try {
      done = await act(form);
      if (done) form.submit();
    } catch {
      say(form, form.dataset.refused ?? "");
    } finally {
      button.disabled = false;
    }
  }, { capture: true });
}

pressed("form[data-sign]", sign);
pressed("form[data-enrol]", make);
const paper = document.querySelector("form[data-paper]");
if (paper instanceof HTMLFormElement) offersCode(paper);
