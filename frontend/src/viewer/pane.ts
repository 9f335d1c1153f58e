/** One film on the screen: its viewport, what stands round it, and its three states (loading, failed, shown). */
import { cache, Enums, getShouldUseCPURendering, type RenderingEngine, type Types } from "@cornerstonejs/core";
import { make } from "../dom";
import type { Attributes } from "./attributes";
import { attributesAt, type Film, filmAt } from "./film";
import { Frame } from "./frame";
import { announce, forget } from "./images";
import type { Look, Range } from "./looks";
import { spacingOf } from "./spacing";
import { frames } from "./words";

const DRAG_LEVELS = 1 / 800; // of the film's own range, for each pixel the pointer moves

const UPRIGHT: Pose = { rotation: 0, flipHorizontal: false, flipVertical: false };

export interface Pose { rotation: number; flipHorizontal: boolean; flipVertical: boolean }

export class Pane {
  readonly element: HTMLElement;
  readonly frame: Frame;
  film: Film | null = null;
  look: Look | null = null;
  inverted = false;
  attributes: Attributes | null = null;
  address = "";
  frameNumber = 1;
  private imageId = "";
  private fitted = true;
  private loads = 0;

  constructor(
    readonly id: string, private readonly engine: RenderingEngine, parent: HTMLElement,
    private readonly changed: (pane: Pane) => void,
  ) {
    const screen = make("div", { class: "screen" });
    this.element = make("div", { class: "film", tabindex: "0", role: "group" }, screen);
    parent.append(this.element);
    this.frame = new Frame(this.element);
    engine.enableElement({ viewportId: id, element: screen, type: Enums.ViewportType.STACK, defaultOptions: { background: [0, 0, 0] } });
    screen.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.drawn());
    this.element.addEventListener("pointermove", (event) => this.probe(event));
    this.element.addEventListener("pointerleave", () => this.frame.value(""));
    screen.addEventListener("dblclick", () => this.fit());
    // Cornerstone would swallow every key pressed inside its element: the page's keys must reach the page.
    screen.addEventListener("focusin", () => this.element.focus({ preventScroll: true }));
    this.element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get viewport(): Types.IStackViewport {
    return this.engine.getViewport(this.id) as Types.IStackViewport;
  }

  get screen(): HTMLDivElement {
    return this.viewport.element;
  }

  /** The instance at this address in DICOMweb; resolves once it is shown or has failed. */
  async load(address: string, frame = 1): Promise<void> {
    const load = (this.loads += 1);
    this.address = address;
    this.frameNumber = frame;
    delete this.element.dataset.ready;
    this.frame.loading(`${address}/thumbnail`);
    try {
      const attributes = await attributesAt(address);
      if (load !== this.loads) return;
      this.attributes = attributes;
      this.frame.describe(attributes, frame);
      this.changed(this);
      const film = await filmAt(address, frame);
      if (load === this.loads) await this.show(film);
    } catch (error) {
      if (load !== this.loads) return;
      const said = error instanceof Error ? error.message : "The film could not be read.";
      this.frame.failed(said, () => void this.load(address, frame));
    }
  }

  private async show(film: Film): Promise<void> {
    this.film = film;
    const spacing = spacingOf(film.attributes, filmPixels(film));
    this.frame.shows(film, spacing);
    this.release();
    const [look] = film.looks;
    if (!look) return;
    this.look = look;
    this.imageId = announce(film, look, spacing);
    this.inverted = false;
    await this.viewport.setStack([this.imageId]);
    this.turn(UPRIGHT);
    this.apply(look.range);
    this.fit();
    this.frame.done();
    this.element.dataset.ready = "";
    this.changed(this);
  }

  /** Another window or curve of this film; the view stays. */
  async choose(look: Look): Promise<void> {
    const { film } = this;
    if (!film) return;
    const isRedrawn = look.curve !== this.look?.curve;
    this.look = look;
    if (isRedrawn) {
      const { parallelScale, focalPoint, position } = this.viewport.getCamera();
      const pose = this.pose, inverted = this.inverted;
      cache.removeImageLoadObject(this.imageId, { force: true });
      announce(film, look, spacingOf(film.attributes, filmPixels(film)), this.imageId);
      await this.viewport.setStack([this.imageId]);
      this.inverted = inverted;
      this.turn(pose);
      this.viewport.setCamera({ parallelScale, focalPoint, position });
    }
    this.apply(look.range);
    this.changed(this);
  }

  /** The film's own of this name, where it has one. */
  chooseNamed(name: string): void {
    const look = this.film?.looks.find((one) => one.name === name);
    if (look) void this.choose(look);
  }

  private apply(range: Range): void {
    this.viewport.setProperties({ voiRange: range, invert: this.inverted });
    this.viewport.render();
  }

  get range(): Range {
    return this.viewport.getProperties().voiRange ?? { lower: 0, upper: 1 };
  }

  /** Right widens the window, up raises the brightness: as on any reading station. */
  adjust(dx: number, dy: number): void {
    const { film } = this;
    if (!film) return;
    const { lower, upper } = this.range;
    const step = DRAG_LEVELS * (this.look?.curve ? 65535 : film.span);
    const width = Math.max(2, upper - lower + dx * step);
    const middle = (lower + upper) / 2 + dy * step;
    this.apply({ lower: middle - width / 2, upper: middle + width / 2 });
  }

  invert(isOn = !this.inverted): void {
    this.inverted = isOn;
    this.viewport.setProperties({ invert: this.inverted });
    this.viewport.render();
    this.changed(this);
  }

  get pose(): Pose {
    const { rotation = 0, flipHorizontal = false, flipVertical = false } = this.viewport.getViewPresentation();
    return { rotation: Math.round(rotation) % 360, flipHorizontal, flipVertical };
  }

  turn(to: Partial<Pose>): void {
    const wanted = { ...this.pose, ...to };
    const { viewport } = this;
    viewport.setCamera({ flipHorizontal: wanted.flipHorizontal, flipVertical: wanted.flipVertical });
    (viewport as Types.IStackViewport & { setRotation: (degrees: number) => void }).setRotation((wanted.rotation + 360) % 360);
    viewport.render();
    this.changed(this);
  }

  /** CSS pixels to one of the film's. */
  get scale(): number {
    const [x] = this.axes();
    return Math.hypot(...x);
  }

  zoomTo(scale: number): void {
    if (!this.film) return;
    const { parallelScale = 1 } = this.viewport.getCamera();
    this.viewport.setCamera({ parallelScale: (parallelScale * this.scale) / Math.min(32, Math.max(0.02, scale)) });
    this.fitted = false;
    this.viewport.render();
  }

  /** The whole film, in the pose it has: Cornerstone's reset would turn and flip it back unasked. */
  fit(): void {
    const { pose } = this;
    this.viewport.resetCamera();
    this.fitted = true;
    this.turn(pose);
  }

  /** Shows the same part of its own film as another pane does of its, in the same pose. */
  placeLike(other: Pane): void {
    const { film } = this;
    if (!film || !other.film) return;
    if (other.fitted) return this.fit();
    const mine = this.size(), theirs = other.size();
    const { parallelScale = 1, focalPoint = [0, 0, 0] } = other.viewport.getCamera();
    const ratio = mine[1] / theirs[1];
    const { focalPoint: own = [0, 0, 0], position = [0, 0, 0] } = this.viewport.getCamera();
    const wanted: Types.Point3 = [(focalPoint[0] / theirs[0]) * mine[0], (focalPoint[1] / theirs[1]) * mine[1], own[2]];
    this.viewport.setCamera({
      parallelScale: parallelScale * ratio, focalPoint: wanted, position: [wanted[0], wanted[1], position[2]],
    });
    this.fitted = false;
    this.viewport.render();
  }

  /** Width and height of the film in the viewport's world. */
  private size(): [number, number] {
    const { row, column } = spacingOf(this.film?.attributes ?? {}, this.film ? filmPixels(this.film) : 1);
    return [(this.film?.width ?? 1) * column, (this.film?.height ?? 1) * row];
  }

  moved(): void {
    this.fitted = false;
  }

  async reset(): Promise<void> {
    const [look] = this.film?.looks ?? [];
    if (!look) return;
    this.inverted = false;
    this.turn(UPRIGHT);
    await this.choose(look);
    this.fit();
  }

  resized(): void {
    if (this.fitted && this.film) this.fit();
  }

  /** Steps on the screen, in CSS pixels, of one film pixel along a row and down a column. */
  axes(): [[number, number], [number, number], [number, number]] {
    const { row, column } = spacingOf(this.film?.attributes ?? {}, this.film ? filmPixels(this.film) : 1);
    const at = (x: number, y: number): [number, number] => {
      const [left = 0, top = 0] = this.viewport.worldToCanvas([x * column, y * row, 0]);
      return [left, top];
    };
    const origin = at(0, 0), x = at(1, 0), y = at(0, 1);
    return [[x[0] - origin[0], x[1] - origin[1]], [y[0] - origin[0], y[1] - origin[1]], origin];
  }

  /** A matrix from the film's pixels as shown, from its upper left corner, to CSS pixels of the pane. */
  onScreen(): [number, number, number, number, number, number] {
    const [x, y, start] = this.axes();
    return [...x, ...y, start[0] - (x[0] + y[0]) * origin(), start[1] - (x[1] + y[1]) * origin()];
  }

  /** Where on the film as shown the pointer is; beyond its edge too. */
  pixelAt(event: MouseEvent): [number, number] {
    const box = this.screen.getBoundingClientRect();
    const [x = 0, y = 0] = this.viewport.canvasToWorld([event.clientX - box.left, event.clientY - box.top]);
    const { row, column } = spacingOf(this.film?.attributes ?? {}, this.film ? filmPixels(this.film) : 1);
    return [x / column + origin(), y / row + origin()];
  }

  private drawn(): void {
    if (!this.film || !this.look) return;
    this.frame.drawn(this);
    this.changed(this);
  }

  private probe(event: PointerEvent): void {
    const { film } = this;
    if (!film) return;
    const [x, y] = this.pixelAt(event);
    this.frame.value(valueText(film, Math.floor(x), Math.floor(y)));
  }

  get frameCount(): number {
    return this.attributes ? frames(this.attributes) : 1;
  }

  private release(): void {
    if (!this.imageId) return;
    cache.removeImageLoadObject(this.imageId, { force: true });
    forget(this.imageId);
  }

  remove(): void {
    this.loads += 1;
    this.release();
    this.engine.disableElement(this.id);
    this.element.remove();
  }
}

/** Where a pixel's own point lies in it: on a plain canvas Cornerstone has it at the corner, else in the middle. */
function origin(): number {
  return getShouldUseCPURendering() ? 0 : 0.5;
}

/** Of a picture made smaller than the film, one pixel stands for several. */
export function filmPixels(film: Film): number {
  const columns = Number(film.attributes["00280011"]?.Value?.[0] ?? film.width);
  return columns / film.width;
}

function valueText(film: Film, x: number, y: number): string {
  if (x < 0 || y < 0 || x >= film.width || y >= film.height) return "";
  if (!film.stored) return `x ${x} y ${y}`;
  const value = film.stored.value(film.stored.index[y * film.width + x] ?? 0);
  return `x ${x} y ${y} value ${Number.isInteger(value) ? value : value.toPrecision(5)}`;
}
