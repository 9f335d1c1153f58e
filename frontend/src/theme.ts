const YEAR_S = 31_536_000;

function current(): "light" | "dark" {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

/** A cookie, not localStorage: the server writes the choice into <html>, so no page flashes the other theme. */
export function toggleTheme(): void {
  const next = current() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${next}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  document.dispatchEvent(new CustomEvent("lynceus:theme"));
}

export function startTheme(): void {
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("[data-theme-toggle]")) toggleTheme();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("lynceus:theme"));
  });
}
