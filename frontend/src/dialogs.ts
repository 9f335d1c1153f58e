import { make } from "./dom";

/** Asks before a form with data-confirm on its button is sent; the button then sends it as usual. */
function ask(button: HTMLButtonElement): void {
  const question = button.dataset.confirm ?? "";
  const yes = make("button", { type: "button" }, button.textContent?.trim() || "Continue");
  const no = make("button", { type: "button", class: "quiet" }, "Keep as it is");
  const dialog = make(
    "dialog",
    { class: "dialog", "aria-label": question },
    make("h2", {}, question),
    make("div", { class: "form-actions" }, no, yes),
  );
  yes.addEventListener("click", () => {
    dialog.close();
    button.dataset.confirmed = "";
    button.click();
    delete button.dataset.confirmed;
  });
  no.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  no.focus();
}

function closeMenus(except: Node | null): void {
  for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
    if (!except || !menu.contains(except)) menu.open = false;
  }
}

export function startDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    closeMenus(target);
    const asking = target.closest<HTMLButtonElement>("button[data-confirm]");
    if (asking && asking.dataset.confirmed === undefined) {
      event.preventDefault();
      event.stopPropagation();
      ask(asking);
    }
    if (target instanceof HTMLDialogElement && target.open) target.close();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus(null);
  });
  document.addEventListener("change", (event) => {
    const form = (event.target as Element).closest<HTMLFormElement>("form[data-autosubmit]");
    if (form && event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
}
