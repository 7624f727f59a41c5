// Files may be dropped on a form or pasted into it; a meter shows how much room is left as they will be sent.

/** @param {Document} page */
export function gatherFiles(page) {
  for (const input of page.querySelectorAll("input[type=file][data-limit]")) {
    if (input instanceof HTMLInputElement && input.form) gather(input, input.form);
  }
}

/**
 * @param {HTMLInputElement} input
 * @param {HTMLFormElement} form
 */
function gather(input, form) {
  input.addEventListener("change", () => show(input));
  form.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  form.addEventListener("drop", (event) => {
    if (add(input, event.dataTransfer)) event.preventDefault();
  });
  form.addEventListener("paste", (event) => {
    if (add(input, event.clipboardData)) event.preventDefault();
  });
}

/**
 * @param {HTMLInputElement} input
 * @param {DataTransfer | null} brought
 * @returns {boolean} whether there were files, and no other text
 */
function add(input, brought) {
  const files = [...(brought?.files ?? [])];
  const text = brought?.getData("text").trim(); // Cells of a spreadsheet, or the name of a file.
  if (text ? !files.some(({ name }) => text.endsWith(name)) : !files.length) return false;
  choose(input, [...(input.files ?? []), ...files]);
  return true;
}

/**
 * Choose files as a person does.
 * @param {HTMLInputElement} input
 * @param {File[]} files
 */
export function choose(input, files) {
  const all = new DataTransfer();
  for (const file of files) all.items.add(file);
  input.files = all.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

/**
 * @param {HTMLInputElement} input
 * @returns {number} bytes of its files in Base64, as a message has them
 */
export function sizeAsSent(input) {
  return [...(input.files ?? [])].reduce((sum, file) => sum + Math.ceil(file.size / 3) * 4, 0);
}

/** @param {HTMLInputElement} input */
function show(input) {
  const room = input.parentElement?.querySelector("[data-room]");
  if (!(room instanceof HTMLElement)) return;
  const files = [...(input.files ?? [])];
  const limit = Number(input.dataset.limit);
  const used = sizeAsSent(input);
  const meter = room.querySelector("meter");
  if (meter) {
    meter.max = limit;
    meter.high = limit * 0.9;
    meter.value = used;
  }
  const numbers = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
  const text = room.querySelector("[data-room-text]");
  if (text) text.textContent = `${numbers.format(used / 1e6)} / ${numbers.format(limit / 1e6)} MB`;
  const names = room.querySelector("ul");
  names?.replaceChildren(
    ...files.map((file) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = input.dataset.remove ?? "";
      button.setAttribute("aria-label", `${input.dataset.remove} ${file.name}`);
      button.addEventListener("click", () => {
        choose(input, [...(input.files ?? [])].filter((each) => each !== file));
        input.focus();
      });
      item.append(`${file.name}, ${numbers.format(Math.max(file.size / 1e3, 0.1))} kB `, button);
      return item;
    }),
  );
  room.hidden = files.length === 0;
}
