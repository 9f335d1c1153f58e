/** The film viewer: one pane, or two with a prior beside it, over Cornerstone3D. */
import { init as initCore, RenderingEngine } from "@cornerstonejs/core";
import { annotation, init as initTools } from "@cornerstonejs/tools";
import { make } from "../dom";
import { arrowStep } from "./arrows";
import { Attention } from "./attention";
import { Bar } from "./bar";
import { filmAt } from "./film";
import { registerFilms } from "./images";
import { OWN_LOOK } from "./looks";
import { Pane } from "./pane";
import { Regions } from "./regions";
import { Together } from "./together";
import { choosePointer, deleteMeasurements, makeTools, type Pointer } from "./tools";
import { priorText } from "./words";

const ZOOM_STEP = 1.25;
const POINTERS: [string, string, string, Pointer][] = [
  ["w", "Window and level by drag", "window", "window"], ["p", "Pan by drag", "hand", "pan"], ["z", "Zoom by drag", "zoom", "zoom"],
  ["m", "Magnifier", "magnifier", "magnify"], ["l", "Measure a length", "ruler", "length"], ["a", "Measure an angle", "angle", "angle"],
];
let started = false;

export class Viewer {
  private readonly engine: RenderingEngine;
  private readonly panes = make("div", { class: "panes" });
  private readonly bar = new Bar();
  private readonly looks = make("select", { "aria-label": "Window of the film" });
  private readonly current: Pane;
  private readonly attention: Attention;
  private readonly regions: Regions;
  private readonly together = new Together((pane) => (pane === this.current ? this.prior : this.current));
  private readonly group;
  private prior: Pane | null = null;
  private active: Pane;
  private readonly priors: HTMLSelectElement | null;
  private readonly sizes = new ResizeObserver(() => this.resized());
  private readonly gone = new AbortController();

  constructor(private readonly root: HTMLElement) {
    if (!started) {
      started = true;
      initCore();
      initTools();
      registerFilms();
    }
    this.priors = root.querySelector("[data-prior]");
    root.querySelector("[data-loading]")?.replaceWith(this.panes);
    this.panes.after(this.bar.element);
    this.engine = new RenderingEngine(root.id);
    this.group = makeTools((id, dx, dy) => this.adjust(this.pane(id), dx, dy));
    this.current = this.active = this.addPane("current");
    this.attention = new Attention(this.current);
    this.regions = new Regions(this.current, root.dataset.instance ?? "", this.gone.signal);
    this.fillBar();
    this.listen();
    this.point("window");
    void this.current.load(root.dataset.film ?? "").then(() => this.ready());
  }

  private addPane(name: string): Pane {
    const pane = new Pane(`${this.root.id}-${name}`, this.engine, this.panes, (one) => this.changed(one));
    this.group.addViewport(pane.id, this.engine.id);
    this.sizes.observe(pane.element);
    pane.element.addEventListener("pointerdown", () => this.activate(pane), { capture: true });
    pane.element.addEventListener("focus", () => this.activate(pane));
    pane.element.addEventListener("wheel", () => { pane.moved(); }, { passive: true });
    pane.element.addEventListener("pointermove", (event) => { if (event.buttons & 6 || (event.buttons && !this.isWindowing)) pane.moved(); });
    return pane;
  }

  private pane(id: string): Pane | undefined {
    return [this.current, this.prior].find((pane) => pane?.id === id) ?? undefined;
  }

  private pointer: Pointer = "window";

  private get isWindowing(): boolean {
    return this.pointer === "window";
  }

  private point(pointer: Pointer): void {
    this.pointer = pointer;
    choosePointer(this.group, pointer);
    for (const [key, , , one] of POINTERS) this.bar.press(key, one === pointer);
    this.root.dataset.pointer = pointer;
  }

  private fillBar(): void {
    const { bar } = this;
    for (const [key, label, sign, pointer] of POINTERS) bar.add(key, label, sign, () => this.point(pointer));
    bar.add("e", "Box round the chosen finding", "box", () => this.regions.draw("box"));
    bar.add("E", "Contour round the chosen finding", "contour", () => this.regions.draw("contour"));
    bar.add("B", "Move or resize the selected box by keys", "adjust", () => this.regions.adjust());
    bar.add("d", "Delete what is selected, or all measurements", "erase", () => this.delete());
    bar.gap();
    bar.element.append(this.looks);
    bar.add("u", "VOI LUT or window of the file, on or off", "LUT", () => this.toggleGiven());
    bar.add("i", "Invert", "invert", () => this.invert());
    bar.gap();
    bar.add("-", "Zoom out", "minus", () => this.active.zoomTo(this.active.scale / ZOOM_STEP));
    bar.add("+", "Zoom in", "plus", () => this.active.zoomTo(this.active.scale * ZOOM_STEP));
    bar.add("1", "Pixel for pixel", "1:1", () => this.active.zoomTo(1 / devicePixelRatio));
    bar.add("f", "Fit to the pane", "fit", () => this.active.fit());
    bar.add("[", "Turn left", "left", () => this.active.turn({ rotation: this.active.pose.rotation - 90 }));
    bar.add("]", "Turn right", "right", () => this.active.turn({ rotation: this.active.pose.rotation + 90 }));
    bar.add("h", "Flip left to right", "mirror", () => this.active.turn({ flipHorizontal: !this.active.pose.flipHorizontal }));
    bar.add("v", "Flip top to bottom", "upend", () => this.active.turn({ flipVertical: !this.active.pose.flipVertical }));
    bar.add("0", "Reset", "refresh", () => this.together.windowed(this.active, (pane) => void pane.reset()));
    bar.gap();
    bar.add(",", "Image before", "<", () => this.step(-1));
    bar.add(".", "Next image", ">", () => this.step(1));
    bar.add("b", "Compare with the prior", "compare", () => this.togglePrior());
    bar.add("y", "Prior follows zoom and pan", "link", () => this.link({ place: !this.together.place }));
    bar.add("q", "Prior follows the window", "follow", () => this.link({ window: !this.together.window }));
    bar.add("x", "Full screen", "expand", () => void this.fullScreen());
    bar.note("← → ↑ ↓", "Window and level; a box being drawn: move it");
    if (this.regions.isOpen) {
      bar.note("Shift-→ Shift-↓", "A box being drawn: larger, and smaller the other way");
      bar.note("Enter", "Keep the box being drawn");
    }
    bar.show("b", (this.priors?.options.length ?? 0) > 1);
    for (const key of ["e", "E", "B"]) bar.show(key, this.regions.isOpen);
    for (const key of ["y", "q"]) bar.show(key, false);
    if (this.priors) bar.element.append(this.priors);
  }

  private listen(): void {
    const { signal } = this.gone;
    this.looks.addEventListener("change", () => {
      const look = this.active.film?.looks[this.looks.selectedIndex];
      if (look) this.together.windowed(this.active, (pane) => pane.chooseNamed(look.name));
    });
    this.priors?.addEventListener("change", () => this.showPrior(this.priors?.value ?? ""));
    this.panes.addEventListener("keydown", (event) => this.arrow(event));
    document.addEventListener("click", (event) => this.attend(event), { signal });
  }

  private arrow(event: KeyboardEvent): void {
    const step = arrowStep(event);
    if (!step) return;
    event.preventDefault();
    this.adjust(this.active, ...step);
  }

  private adjust(pane: Pane | undefined, dx: number, dy: number): void {
    if (pane) this.together.windowed(pane, (one) => one.adjust(dx, dy));
  }

  private invert(): void {
    const isOn = !this.active.inverted;
    this.together.windowed(this.active, (pane) => pane.invert(isOn));
  }

  private activate(pane: Pane): void {
    this.active = pane;
    this.current.element.classList.toggle("active", this.prior !== null && pane === this.current);
    this.prior?.element.classList.toggle("active", pane === this.prior);
    this.changed(pane);
  }

  private toggleGiven(): void {
    const { film, look } = this.active;
    const isGiven = film?.looks[0] === look;
    this.together.windowed(this.active, (pane) => pane.chooseNamed(isGiven ? OWN_LOOK : pane.film?.looks[0]?.name ?? ""));
  }

  private step(by: number): void {
    const { address, frameNumber, frameCount } = this.active;
    const wanted = frameNumber + by;
    if (wanted >= 1 && wanted <= frameCount) void this.active.load(address, wanted);
  }

  private togglePrior(): void {
    const { priors } = this;
    if (!priors) return;
    priors.selectedIndex = this.prior ? 0 : 1;
    this.showPrior(priors.value);
  }

  private showPrior(address: string): void {
    if (!address) {
      this.prior?.remove();
      this.prior = null;
      this.activate(this.current);
    } else {
      this.prior ??= this.addPane("prior");
      this.prior.element.classList.add("prior");
      this.prior.frame.headline("PRIOR");
      void this.prior.load(address);
    }
    this.panes.classList.toggle("two", this.prior !== null);
    this.bar.press("b", this.prior !== null);
    for (const key of ["y", "q"]) this.bar.show(key, this.prior !== null);
    this.link({});
  }

  private link(change: Partial<Pick<Together, "place" | "window">>): void {
    Object.assign(this.together, change);
    this.bar.press("y", this.together.place);
    this.bar.press("q", this.together.window);
  }

  private changed(pane: Pane): void {
    if (pane === this.prior && pane.attributes && this.current.attributes) {
      pane.frame.headline(priorText(pane.attributes, this.current.attributes));
    }
    if (pane === this.current) {
      this.attention.place();
      this.regions.place();
    }
    if (pane !== this.active) return;
    this.together.follow(pane);
    this.reflect();
  }

  private reflect(): void {
    const { film, look, inverted, frameCount, pose } = this.active;
    const names = film?.looks.map((one) => one.name) ?? [];
    if (names.join("|") !== this.looks.dataset.names) {
      this.looks.dataset.names = names.join("|");
      this.looks.replaceChildren(...names.map((name) => make("option", {}, name)));
    }
    if (film && look) this.looks.selectedIndex = film.looks.indexOf(look);
    this.bar.press("i", inverted);
    this.bar.press("u", film?.looks[0] === look && look?.name !== OWN_LOOK);
    this.bar.press("h", pose.flipHorizontal);
    this.bar.press("v", pose.flipVertical);
    for (const key of [",", "."]) this.bar.show(key, frameCount > 1);
  }

  private attend(event: MouseEvent): void {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-attention]");
    if (!button || button.dataset.of !== this.root.dataset.instance) return;
    const isOn = this.attention.toggle(button.dataset.attention ?? "", button.dataset.src ?? "");
    if (isOn) this.root.scrollIntoView({ block: "nearest" });
    for (const one of document.querySelectorAll("button[data-attention]")) one.setAttribute("aria-pressed", String(isOn && one === button));
  }

  private delete(): void {
    if (this.regions.removeSelected()) return;
    deleteMeasurements();
    this.engine.render();
  }

  private async fullScreen(): Promise<void> {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.root.requestFullscreen();
  }

  /** The film is up: what will probably be asked for next comes in meanwhile. */
  private ready(): void {
    this.root.dataset.ready = "";
    const { next } = this.root.dataset;
    if (next) void filmAt(next, 1, true).catch(() => undefined);
  }

  /** Also called once the viewer left the page: then nothing of it may stay behind. */
  private resized(): void {
    if (!this.root.isConnected) {
      this.gone.abort();
      this.sizes.disconnect();
      annotation.state.removeAllAnnotations();
      this.group.removeViewports(this.engine.id);
      this.engine.destroy();
      return;
    }
    this.engine.resize(true, true);
    this.current.resized();
    this.prior?.resized();
  }
}
