/** The viewer's toolbar: every tool a button, every button a key, all of them in the key sheet. */
import { icon, make } from "../dom";

export class Bar {
  readonly element = make("div", { class: "tools", role: "toolbar", "aria-label": "Film tools" });
  private readonly buttons = new Map<string, HTMLButtonElement>();

  /** `sign` is the name of an icon or a few letters. */
  add(key: string, label: string, sign: string, run: () => void): void {
    const button = make("button", {
      type: "button", title: `${label} (${key})`, "aria-label": label, "data-key": key, "data-key-label": label,
    });
    button.append(/^[a-z]{3,}$/.test(sign) ? icon(sign) : sign);
    button.addEventListener("click", run);
    this.buttons.set(key, button);
    this.element.append(button);
  }

  /** Of keys that are no button's, for the key sheet. */
  note(keys: string, label: string): void {
    this.element.append(make("span", { hidden: "", "data-sheet": keys, "data-key-label": label }));
  }

  gap(): void {
    this.element.append(make("span", { class: "gap" }));
  }

  press(key: string, isOn: boolean): void {
    this.buttons.get(key)?.setAttribute("aria-pressed", String(isOn));
  }

  show(key: string, isThere: boolean): void {
    const button = this.buttons.get(key);
    if (button) button.hidden = !isThere;
  }
}
