// Menus close on Escape, on a press elsewhere, and when the focus leaves them.

/** @param {Document} page */
export function closeMenus(page) {
  /** @param {(menu: HTMLDetailsElement) => boolean} which */
  const close = (which) => {
    for (const menu of page.querySelectorAll("details.menu[open]")) {
      if (menu instanceof HTMLDetailsElement && which(menu)) menu.open = false;
    }
  };
  page.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    close((menu) => {
      if (menu.contains(page.activeElement)) menu.querySelector("summary")?.focus();
      return true;
    });
  });
  for (const kind of ["pointerdown", "focusin"]) {
    page.addEventListener(kind, ({ target }) => {
      close((menu) => target instanceof Node && !menu.contains(target));
    });
  }
}
