/** Where the model looked, laid over the film: off until somebody asks, and said to be what it is. */
import { make } from "../dom";
import type { Pane } from "./pane";

const START_OPACITY = 1;

export class Attention {
  private readonly picture = make("img", { class: "attention", alt: "" });
  private readonly note = make("div", { class: "attention-note" });
  private label = "";

  constructor(private readonly pane: Pane) {
    const opacity = make("input", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": "Opacity of the model's attention" });
    opacity.valueAsNumber = START_OPACITY;
    opacity.addEventListener("input", () => { this.picture.style.opacity = opacity.value; });
    this.picture.style.opacity = String(START_OPACITY);
    this.note.append(make("span", {}), opacity);
    this.picture.addEventListener("error", () => this.say(`Model attention: ${this.label} could not be fetched`));
    pane.element.append(this.picture, this.note);
    this.off();
  }

  /** `src` is a transparent PNG of the whole film. The same again takes it off. Says whether it is on. */
  toggle(label: string, src: string): boolean {
    if (this.label === label) {
      this.off();
      return false;
    }
    this.label = label;
    this.picture.src = src;
    this.say(`Model attention: ${label}. Where the model looked (Grad-CAM), not where the finding is.`);
    this.picture.hidden = this.note.hidden = false;
    this.place();
    return true;
  }

  off(): void {
    this.label = "";
    this.picture.hidden = this.note.hidden = true;
    this.picture.removeAttribute("src");
  }

  private say(words: string): void {
    this.note.firstElementChild?.replaceChildren(words);
  }

  /** Over the film as it is turned, flipped and zoomed now. */
  place(): void {
    const { film } = this.pane;
    if (!film || this.picture.hidden) return;
    this.picture.style.width = `${film.width}px`;
    this.picture.style.height = `${film.height}px`;
    this.picture.style.transform = `matrix(${this.pane.onScreen().join()})`;
  }
}
