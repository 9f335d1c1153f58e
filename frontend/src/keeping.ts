/**
 * A draft that is on its way goes first. Sent beside it, a commit could be overtaken: what stood on the panel a
 * moment before would be written over what was committed, as if it had been changed after the model's answer opened.
 */
export function startKeeping(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (!form.matches("[hx-post].htmx-request")) return;
    event.preventDefault();
    form.addEventListener("htmx:afterRequest", () => form.requestSubmit(event.submitter), { once: true });
  });
}
