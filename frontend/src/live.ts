import type htmxType from "htmx.org";
import { csrfToken, make, POLL } from "./dom";
import { toast } from "./toasts";

type Htmx = typeof htmxType;
interface SwapDetail {
  target: HTMLElement;
  xhr: XMLHttpRequest;
  shouldSwap: boolean;
  requestConfig: { elt: HTMLElement };
}

const lastAnswer = new Map<string, string>();
const SCROLLED_PX = 80;

function polls(element: Element): boolean {
  return element.getAttribute("hx-trigger")?.includes("every") ?? false;
}

function isReading(list: HTMLElement): boolean {
  return (
    window.scrollY > SCROLLED_PX ||
    list.matches(":hover, :focus-within") ||
    list.querySelector(".selected, input:checked") !== null ||
    (getSelection()?.toString() ?? "") !== ""
  );
}

function keyed(list: Element): Map<string, HTMLElement> | null {
  const rows = [...list.children] as HTMLElement[];
  if (rows.some((row) => !row.dataset.id)) return null;
  return new Map(rows.map((row) => [row.dataset.id ?? "", row]));
}

function copyState(from: HTMLElement, to: HTMLElement): void {
  const ticked = from.querySelector("input:checked");
  const box = ticked && to.querySelector<HTMLInputElement>("input[type='checkbox']");
  if (box) box.checked = true;
  if (!from.classList.contains("selected")) return;
  to.classList.add("selected");
  to.tabIndex = -1;
}

/** The row as it came, marked as the old one is; null where it says what the old one says. */
function refreshed(old: HTMLElement, row: HTMLElement): HTMLElement | null {
  const plain = old.cloneNode(true) as HTMLElement;
  plain.classList.remove("selected", "fresh");
  plain.removeAttribute("tabindex");
  if (!plain.getAttribute("class")) plain.removeAttribute("class");
  if (plain.outerHTML === row.outerHTML) return null;
  const replacement = row.cloneNode(true) as HTMLElement;
  copyState(old, replacement);
  return replacement;
}

function added(row: HTMLElement): HTMLElement {
  const copy = row.cloneNode(true) as HTMLElement;
  copy.classList.add("fresh");
  return copy;
}

function bar(list: HTMLElement, count: number, show: () => void): void {
  const holder = list.closest(".table-wrap") ?? list;
  const existing = holder.previousElementSibling;
  const old = existing?.classList.contains("new-bar") ? existing : null;
  if (count === 0) {
    old?.remove();
    return;
  }
  const button = make("button", { type: "button" }, `${count} new`);
  button.addEventListener("click", show);
  const element = make("div", { class: "new-bar", role: "status" }, button);
  const focused = old?.contains(document.activeElement);
  if (old) old.replaceWith(element);
  else holder.before(element);
  if (focused) button.focus({ preventScroll: true });
}

/** Remembers which row, or link of a row, has the focus; the answer gives it back once rows moved or were replaced. */
function holdFocus(list: HTMLElement): () => void {
  const active = document.activeElement;
  const row = active?.closest<HTMLElement>("[data-id]");
  if (!active || !row || row.parentElement !== list) return () => undefined;
  const find = `:scope > [data-id="${CSS.escape(row.dataset.id ?? "")}"]`;
  const href = active === row ? null : active.getAttribute("href");
  return () => {
    if (document.activeElement === active) return;
    const now = list.querySelector<HTMLElement>(find);
    const link = href === null ? null : now?.querySelector<HTMLElement>(`a[href="${CSS.escape(href)}"]`);
    (link ?? now)?.focus({ preventScroll: true });
  };
}

/** Puts rows into this order and moves only those out of it: a row that moves loses its focus and hover. */
function arrange(list: HTMLElement, rows: HTMLElement[]): void {
  let place = list.firstElementChild;
  for (const row of rows) {
    if (row === place) place = row.nextElementSibling;
    else list.insertBefore(row, place);
  }
}

/** Puts the incoming rows in place of the list's own. While the list is read, new rows wait under a bar. */
export function reconcile(list: HTMLElement, incoming: HTMLElement, reading: boolean, onRow: (row: Element) => void): boolean {
  const now = keyed(list);
  const next = keyed(incoming);
  if (!now || !next || now.size === 0 || next.size === 0) return false;
  const giveFocusBack = holdFocus(list);
  for (const [id, row] of next) {
    const old = now.get(id);
    const replacement = old && refreshed(old, row);
    if (!old || !replacement) continue;
    old.replaceWith(replacement);
    now.set(id, replacement);
    onRow(replacement);
  }
  for (const [id, row] of now) if (!next.has(id)) row.remove();
  const fresh = [...next.keys()].filter((id) => !now.has(id));
  // A line across the list is no news: it waits for the next time the rows are put in order.
  const news = fresh.filter((id) => !next.get(id)?.classList.contains("rule")).length;
  if (!reading) {
    for (const id of fresh) now.set(id, added(next.get(id) as HTMLElement));
    arrange(list, [...next.keys()].map((id) => now.get(id) as HTMLElement));
    for (const id of fresh) onRow(now.get(id) as HTMLElement);
  }
  giveFocusBack();
  bar(list, reading ? news : 0, () => {
    window.scrollTo({ top: 0 });
    reconcile(list, incoming, false, onRow);
    list.querySelector<HTMLElement>(":scope > .selected")?.focus({ preventScroll: true });
  });
  return true;
}

function parse(markup: string, selector: string): HTMLElement | null {
  const template = document.createElement("template");
  template.innerHTML = markup;
  return template.content.querySelector<HTMLElement>(selector);
}

function beforeSwap(htmx: Htmx, detail: SwapDetail): void {
  const { target, xhr } = detail;
  // A poll that was redirected to the sign-in page must not put that page into a list.
  if (xhr.responseURL && new URL(xhr.responseURL).pathname.startsWith("/accounts/")) {
    detail.shouldSwap = false;
    location.reload();
    return;
  }
  if (!polls(detail.requestConfig.elt) || !target.id || !detail.shouldSwap) return;
  if (lastAnswer.get(target.id) === xhr.responseText) {
    detail.shouldSwap = false;
    return;
  }
  lastAnswer.set(target.id, xhr.responseText);
  if (target.dataset.live === undefined) return;
  const incoming = parse(xhr.responseText, `#${CSS.escape(target.id)}`);
  // A list that no longer polls is final: htmx swaps it as it is, and the polling ends with it.
  if (!incoming || !polls(incoming)) return;
  const done = reconcile(target, incoming, isReading(target), (row) => {
    htmx.process(row);
    row.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
  });
  if (!done) return;
  detail.shouldSwap = false;
  // The address says what the list shows, so that the next answer may be that nothing changed.
  target.setAttribute("hx-get", incoming.getAttribute("hx-get") ?? "");
}

/** One toast when the first poller goes without an answer, one when the last of them has one again. */
class Contact {
  private readonly without = new Set<Element>();

  lost(poller: Element, says: string): void {
    if (this.lacking() === 0) toast(`${says} What you see may be out of date; trying again.`, "warning");
    this.without.add(poller);
  }

  heard(poller: Element): void {
    const any = this.without.size > 0;
    this.without.delete(poller);
    if (any && this.lacking() === 0) toast("Connected again.", "success");
  }

  /** A poller that its own answer replaced has been heard, too. */
  private lacking(): number {
    for (const poller of this.without) if (!poller.isConnected) this.without.delete(poller);
    return this.without.size;
  }
}

export function startLive(htmx: Htmx): void {
  const contact = new Contact();
  document.addEventListener("htmx:configRequest", (event) => {
    const { detail } = event as CustomEvent<{ elt: HTMLElement; path: string; headers: Record<string, string> }>;
    detail.headers["X-CSRFToken"] = csrfToken();
    if (!polls(detail.elt)) return;
    Object.assign(detail.headers, POLL);
    detail.path = detail.elt.getAttribute("hx-get") ?? detail.path;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt } = (event as CustomEvent<{ elt: HTMLElement }>).detail;
    if (document.hidden && polls(elt)) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => beforeSwap(htmx, (event as CustomEvent<SwapDetail>).detail));
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { detail } = event as CustomEvent<{ target: HTMLElement; fragment: DocumentFragment; shouldSwap: boolean }>;
    // Said once: a screen reader would read the same sentence out at every poll.
    const said = detail.target.matches("[role='status']") && detail.target.textContent === detail.fragment.textContent;
    if (said) detail.shouldSwap = false;
  });
  document.addEventListener("htmx:sendError", (event) => {
    const { elt } = (event as CustomEvent<{ elt: HTMLElement }>).detail;
    if (polls(elt)) contact.lost(elt, "The server cannot be reached.");
    else toast("The server cannot be reached. Nothing was changed.", "error");
  });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    const { elt, xhr } = (event as CustomEvent<{ elt: HTMLElement; xhr: XMLHttpRequest }>).detail;
    if (xhr.status < 400) contact.heard(elt);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { elt, xhr } = (event as CustomEvent<{ elt: HTMLElement; xhr: XMLHttpRequest }>).detail;
    if (polls(elt)) contact.lost(elt, `The server answers with an error (${xhr.status}).`);
    else toast(`That did not work (${xhr.status}). Nothing was changed.`, "error");
  });
}
