import { isTyping } from "./dom";

const ROWS = "[data-rows] > [data-href], [data-rows] > tr[data-id]:not(.rule), [data-rows] > li[data-id]";
const OPENS = "[data-rows] > [data-href], [data-rows] > [data-opens]";

export function selectedRow(): HTMLElement | null {
  return document.querySelector<HTMLElement>("[data-rows] > .selected");
}

function select(row: HTMLElement): void {
  selectedRow()?.classList.remove("selected");
  row.classList.add("selected");
  row.tabIndex = -1;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

/** Opening what is locked with it is no link but a button's form. */
function open(row: HTMLElement, inNewTab: boolean): void {
  const button = row.querySelector<HTMLButtonElement>("button[formaction]");
  if (button) {
    button.formTarget = inNewTab ? "_blank" : "";
    button.click();
    return;
  }
  const href = row.dataset.href ?? row.querySelector("a")?.getAttribute("href");
  if (!href) return;
  if (inNewTab) window.open(href, "_blank", "noopener");
  else location.assign(href);
}

/** j and k walk the rows, Enter opens; a click anywhere in a row opens it, unless text is being selected. */
export function startRows(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const current = selectedRow();
    if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll<HTMLElement>(ROWS)];
      if (rows.length === 0) return;
      const at = current ? rows.indexOf(current) : -1;
      const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
      const row = rows[next];
      if (row) select(row);
      event.preventDefault();
    } else if (event.key === "Enter" && current && event.target === current) {
      open(current, false);
    }
  });
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const row = target.closest<HTMLElement>(OPENS);
    if (!row || target.closest("a, button, input, select, label, summary")) return;
    if (getSelection()?.toString()) return;
    open(row, event.ctrlKey || event.metaKey);
  });
}
