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
    list.querySelector(".selected") !== null ||
    (getSelection()?.toString() ?? "") !== ""
  );
}

function keyed(list: Element): Map<string, HTMLElement> | null {
  const rows = [...list.children] as HTMLElement[];
  if (rows.some((row) => !row.dataset.id)) return null;
  return new Map(rows.map((row) => [row.dataset.id ?? "", row]));
}

function copyState(from: HTMLElement, to: HTMLElement): void {
  if (!from.classList.contains("selected")) return;
  to.classList.add("selected");
  to.tabIndex = -1;
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
  if (old) old.replaceWith(element);
  else holder.before(element);
}

/** Puts the incoming rows in place of the list's own. While the list is read, new rows wait under a bar. */
export function reconcile(list: HTMLElement, incoming: HTMLElement, reading: boolean, onRow: (row: Element) => void): boolean {
  const now = keyed(list);
  const next = keyed(incoming);
  if (!now || !next || now.size === 0 || next.size === 0) return false;
  const fresh: HTMLElement[] = [];
  for (const [id, row] of next) {
    const old = now.get(id);
    if (!old) {
      fresh.push(row);
      continue;
    }
    const plain = old.cloneNode(true) as HTMLElement;
    plain.classList.remove("selected", "fresh");
    plain.removeAttribute("tabindex");
    if (!plain.getAttribute("class")) plain.removeAttribute("class");
    if (plain.outerHTML === row.outerHTML) continue;
    const replacement = row.cloneNode(true) as HTMLElement;
    const focused = old === document.activeElement;
    copyState(old, replacement);
    old.replaceWith(replacement);
    now.set(id, replacement);
    if (focused) replacement.focus({ preventScroll: true });
    onRow(replacement);
  }
  for (const [id, row] of now) if (!next.has(id)) row.remove();
  if (reading && fresh.length > 0) {
    bar(list, fresh.length, () => {
      window.scrollTo({ top: 0 });
      reconcile(list, incoming, false, onRow);
    });
    return true;
  }
  for (const id of next.keys()) {
    const known = now.get(id);
    const row = known ?? (next.get(id)?.cloneNode(true) as HTMLElement);
    if (!known) row.classList.add("fresh");
    if (!reading || !known) list.append(row);
    if (!known) onRow(row);
  }
  bar(list, 0, () => undefined);
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
  if (done) detail.shouldSwap = false;
}

export function startLive(htmx: Htmx): void {
  let unreachable = false;
  document.addEventListener("htmx:configRequest", (event) => {
    const { detail } = event as CustomEvent<{ elt: HTMLElement; headers: Record<string, string> }>;
    detail.headers["X-CSRFToken"] = csrfToken();
    if (polls(detail.elt)) Object.assign(detail.headers, POLL);
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt } = (event as CustomEvent<{ elt: HTMLElement }>).detail;
    if (document.hidden && polls(elt)) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => beforeSwap(htmx, (event as CustomEvent<SwapDetail>).detail));
  document.addEventListener("htmx:sendError", () => {
    if (!unreachable) toast("The server cannot be reached. What you see may be out of date; trying again.", "warning");
    unreachable = true;
  });
  document.addEventListener("htmx:afterOnLoad", () => {
    if (unreachable) toast("Connected again.", "success");
    unreachable = false;
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { elt, xhr } = (event as CustomEvent<{ elt: HTMLElement; xhr: XMLHttpRequest }>).detail;
    if (!polls(elt)) toast(`That did not work (${xhr.status}). Nothing was changed.`, "error");
  });
}
