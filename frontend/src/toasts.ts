import { make } from "./dom";

const SHOWN_MS = 8000;

function arm(toast: HTMLElement): void {
  toast.querySelector("button")?.addEventListener("click", () => toast.remove());
  // An error stays until it is dismissed: it may be read later.
  if (!toast.classList.contains("error")) window.setTimeout(() => toast.remove(), SHOWN_MS);
}

export function toast(text: string, tone: "success" | "warning" | "error" = "success"): void {
  const close = make("button", { type: "button", "aria-label": "Dismiss" }, "✕");
  const element = make("div", { class: `toast ${tone}`, role: "status" }, make("p", {}, text), close);
  document.querySelector(".toasts")?.append(element);
  arm(element);
}

export function startToasts(): void {
  for (const element of document.querySelectorAll<HTMLElement>(".toast")) arm(element);
}
