/**
 * Where a reader sees what: outlines on the film, each of a finding on the read panel.
 *
 * The panel's hidden field holds all of this read, so that they are kept, committed and opened again with its marks.
 */
import { icon, make } from "../dom";
import { arrowStep } from "./arrows";
import { Outlines, type Point, type Shape } from "./outlines";
import type { Pane } from "./pane";

const BY_KEYS = "Arrow keys move the box, with Shift they resize it. Enter keeps it, Esc gives it up.";

interface Region { label: string; instance: string; frame: number; shape: Shape; points: Point[] }

export class Regions {
  private readonly field = document.querySelector<HTMLElement>("[data-regions]");
  private readonly rows = [...document.querySelectorAll<HTMLElement>("[data-finding]")];
  private readonly note = make("p", { class: "draw-note", role: "status" });
  private readonly outlines: Outlines;
  private all: Region[] = [];
  private selected: Region | null = null;
  private changing: Region | null = null;
  private before: Element | null = null;
  private chosen: HTMLElement | null = null;
  private frame = 0;

  constructor(private readonly pane: Pane, private readonly instance: string, signal: AbortSignal) {
    this.outlines = new Outlines(pane, (at) => this.select(this.here()[at] ?? null));
    pane.element.append(this.note);
    this.say("");
    const { field } = this;
    const text = field instanceof HTMLInputElement ? field.value : field?.dataset.regions;
    this.all = JSON.parse(text || "[]") as Region[];
    for (const row of this.rows) {
      const place = make("div", { class: "drawn" });
      (row.querySelector("th, .grow") ?? row).append(place);
      if (!this.isOpen) continue;
      row.addEventListener("focusin", () => this.choose(row), { signal });
      row.addEventListener("click", () => this.choose(row), { signal });
    }
    pane.element.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => this.escape(event), { signal, capture: true });
    this.list();
  }

  /** Whether the read may still be drawn to. */
  get isOpen(): boolean {
    return this.field instanceof HTMLInputElement;
  }

  /** For the finding chosen on the panel. */
  draw(shape: Shape): void {
    const label = this.chosen?.dataset.finding;
    if (!label) return this.say("Choose a finding on the read panel first.");
    this.say(`${this.says(label)}: ${shape === "box" ? "drag a box, or place one with the arrow keys" : "draw round it"}. Esc stops.`);
    this.begin(null, shape, (points) => this.add({ label, instance: this.instance, frame: this.pane.frameNumber, shape, points }));
  }

  /** The selected box once more under the arrow keys. */
  adjust(): void {
    const { selected } = this;
    if (!this.isOpen) return;
    if (selected?.shape !== "box" || !this.here().includes(selected)) return this.say("Select a box of this film on the read panel first.");
    this.say(BY_KEYS);
    this.begin(selected, "box", (points) => { selected.points = points; this.changed(); });
  }

  /** The film has the keys until what is drawn is done or given up. */
  private begin(changing: Region | null, shape: Shape, done: (points: Point[]) => void): void {
    this.changing = changing;
    this.before = document.activeElement;
    this.show();
    this.pane.element.scrollIntoView({ block: "nearest" });
    this.pane.element.focus({ preventScroll: true });
    this.outlines.start(shape, (points) => {
      this.changing = null;
      this.say("");
      done(points);
    }, changing?.points);
  }

  private key(event: KeyboardEvent): void {
    const step = arrowStep(event);
    if (this.outlines.shape !== "box" || !(step || event.key === "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) {
      this.outlines.nudge(...step, event.shiftKey);
      this.say(BY_KEYS);
    } else {
      this.outlines.finish();
      if (this.outlines.shape) return;
      const { label } = this.selected ?? {};
      this.row(label ?? "")?.querySelector<HTMLElement>(".drawn [aria-pressed='true']")?.focus();
    }
  }

  /** False where none is selected. */
  removeSelected(): boolean {
    const { selected } = this;
    if (!selected || !this.isOpen) return false;
    this.remove(selected);
    return true;
  }

  place(): void {
    if (this.pane.frameNumber === this.frame) return this.outlines.place();
    if (this.changing) this.stop();
    this.show();
  }

  private here(): Region[] {
    return this.all.filter((one) => one.instance === this.instance && one.frame === this.pane.frameNumber && one !== this.changing);
  }

  private show(): void {
    this.frame = this.pane.frameNumber;
    const here = this.here();
    this.outlines.show(here.map((one) => ({ ...one, says: this.says(one.label) })), this.selected ? here.indexOf(this.selected) : -1);
  }

  private add(region: Region): void {
    this.all.push(region);
    this.selected = region;
    const answers = this.row(region.label)?.querySelectorAll<HTMLInputElement>("input[type=radio]") ?? [];
    const [present] = answers;
    if (present && ![...answers].some((one) => one.checked)) present.checked = true;
    this.changed();
  }

  private remove(region: Region): void {
    this.all = this.all.filter((one) => one !== region);
    this.selected = null;
    this.changed();
  }

  private select(region: Region | null): void {
    this.selected = region;
    this.list();
    this.show();
  }

  private choose(row: HTMLElement): void {
    this.chosen?.classList.remove("chosen");
    this.chosen = row;
    row.classList.add("chosen");
  }

  /** The form is kept as after any other change of it. */
  private changed(): void {
    this.list();
    this.show();
    if (!(this.field instanceof HTMLInputElement)) return;
    this.field.value = JSON.stringify(this.all);
    this.field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  private escape(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    const isBack = this.outlines.shape && document.activeElement === this.pane.element;
    this.stop();
    if (isBack && this.before instanceof HTMLElement) this.before.focus();
  }

  private stop(): void {
    this.changing = null;
    this.outlines.stop();
    this.show();
    this.say("");
  }

  private say(words: string): void {
    this.note.hidden = !words;
    this.note.textContent = words;
  }

  private row(label: string): HTMLElement | undefined {
    return this.rows.find((row) => row.dataset.finding === label);
  }

  private says(label: string): string {
    return this.row(label)?.dataset.says ?? label;
  }

  /** What is drawn of each finding stands beside its name, and is taken away there without a pointer. */
  private list(): void {
    for (const row of this.rows) {
      const { finding = "", says = "" } = row.dataset;
      const drawn = this.all.filter(({ label }) => label === finding);
      const draw = make("button", { type: "button", class: "ghost small", "aria-label": `Draw a box for ${says} on the film`, title: "Draw on the film (e, E)" });
      draw.append(icon("box"));
      draw.addEventListener("click", () => { this.choose(row); this.draw("box"); });
      replace(row.querySelector(".drawn"), [...(this.isOpen ? [draw] : []), ...drawn.flatMap((one, at) => this.entry(one, at + 1, says))]);
    }
  }

  private entry(region: Region, number: number, says: string): HTMLElement[] {
    const where = region.instance === this.instance ? "" : ", another film";
    const name = make("button", { type: "button", class: "ghost small", "aria-pressed": String(region === this.selected) }, `${region.shape} ${number}${where}`);
    name.addEventListener("click", () => this.select(region === this.selected ? null : region));
    if (!this.isOpen) return [name];
    const off = make("button", { type: "button", class: "ghost small", "aria-label": `Take away ${region.shape} ${number} of ${says}` }, "✕");
    off.addEventListener("click", () => this.remove(region));
    return [name, off];
  }
}

/** The focus stays at its place in the row. */
function replace(place: Element | null, buttons: HTMLElement[]): void {
  const focused = [...(place?.children ?? [])].indexOf(document.activeElement as Element);
  place?.replaceChildren(...buttons);
  if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus();
}
