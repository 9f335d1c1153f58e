import { selectedRow } from "./rows";
import { toast } from "./toasts";

function boxes(form: HTMLFormElement): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>(`[data-rows] input[form="${CSS.escape(form.id)}"]`)];
}

function say(form: HTMLFormElement): void {
  const said = form.querySelector<HTMLElement>("[data-ticked-count]");
  const count = boxes(form).filter((box) => box.checked).length;
  if (said) said.textContent = count ? `${count} ticked` : "the selected card";
}

function tick(form: HTMLFormElement): HTMLInputElement | undefined {
  const row = selectedRow();
  return boxes(form).find((box) => row?.contains(box));
}

/** A form over a list's rows (data-ticked): it is sent with those ticked, else with the selected one. */
export function startTicks(): void {
  document.addEventListener("click", (event) => {
    const form = (event.target as Element).closest("[data-tick]")?.closest<HTMLFormElement>("form[data-ticked]");
    const box = form && tick(form);
    if (!form || !box) return;
    box.checked = !box.checked;
    say(form);
  });
  document.addEventListener("change", (event) => {
    const { form } = event.target as HTMLInputElement;
    if (form?.dataset.ticked !== undefined) say(form);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.dataset.ticked === undefined || boxes(form).some((box) => box.checked)) return;
    const box = tick(form);
    if (box) {
      box.checked = true;
      return;
    }
    event.preventDefault();
    toast("Select a row (j, k) or tick some (x) first.", "warning");
  });
}
