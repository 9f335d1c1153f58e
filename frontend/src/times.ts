const DAY_S = 86_400;
const TICK_MS = 15_000;

export function relative(at: Date, now: Date): string | null {
  const seconds = Math.round((now.getTime() - at.getTime()) / 1000);
  if (seconds < 0 || seconds >= DAY_S) return null;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

function refresh(): void {
  const now = new Date();
  for (const element of document.querySelectorAll<HTMLTimeElement>("time[data-relative]")) {
    element.dataset.absolute ??= element.textContent ?? "";
    const text = relative(new Date(element.dateTime), now) ?? element.dataset.absolute;
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startTimes(): void {
  refresh();
  window.setInterval(refresh, TICK_MS);
  document.addEventListener("htmx:load", refresh);
}
