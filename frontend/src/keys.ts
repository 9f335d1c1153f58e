import { isTyping } from "./dom";

const PREFIX_MS = 1500;

/** Page keys (data-key), places behind "g", and "/" for the page's search. Never while typing. */
export function startKeys(): void {
  let prefixAt = -Infinity; // not 0: a page counts its time from there
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") (event.target as HTMLElement).blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    const now = performance.now();
    if (now - prefixAt < PREFIX_MS) {
      prefixAt = -Infinity;
      const place = document.querySelector<HTMLElement>(`[data-shortcut="g ${CSS.escape(event.key)}"]`);
      if (place) {
        event.preventDefault();
        place.click();
        return;
      }
    }
    const action = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(event.key)}"]`);
    if (action) {
      event.preventDefault();
      if (action.matches("input, select, textarea")) action.focus();
      else action.click();
    } else if (event.key === "g") {
      prefixAt = now;
    } else if (event.key === "/") {
      const search = document.querySelector<HTMLInputElement>("[data-search], input[type='search']");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
  });
}
