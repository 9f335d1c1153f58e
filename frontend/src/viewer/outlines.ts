/** Boxes and contours over a film, and the drawing of one. Points are pixels of the film as it is stored. */
import { filmPixels, type Pane } from "./pane";

export type Shape = "box" | "contour";
export type Point = [number, number];
export interface Outline { shape: Shape; points: Point[]; says: string }

const SVG = "http://www.w3.org/2000/svg";
const POINTS_MAX = 200; // as the server has it
const STEP = 3; // CSS pixels between two points of a contour
const LEAST = 4; // CSS pixels: less is a slip of the hand
const FIRST = 0.25; // of the pane's shorter side: a box that keys put in its middle

export class Outlines {
  private readonly svg = document.createElementNS(SVG, "svg");
  private readonly turned = document.createElementNS(SVG, "g");
  private readonly names = document.createElementNS(SVG, "g");
  private shown: Outline[] = [];
  /** What is being drawn. */
  shape: Shape | null = null;
  private points: Point[] = [];
  private done: (points: Point[]) => void = () => undefined;

  /** `pick` is told which of the outlines shown was pressed. */
  constructor(private readonly pane: Pane, private readonly pick: (at: number) => void) {
    this.svg.setAttribute("class", "outlines");
    this.svg.append(this.turned, this.names);
    pane.element.append(this.svg);
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", (event) => this.up(event));
    this.svg.addEventListener("pointercancel", () => { this.points = []; this.redraw(); });
  }

  show(outlines: Outline[], selected: number): void {
    this.shown = outlines;
    this.redraw(selected);
  }

  /** What is drawn next comes to `done`, once; `from` is a box that stands already and is changed by keys. */
  start(shape: Shape, done: (points: Point[]) => void, from: Point[] = []): void {
    this.shape = shape;
    this.done = done;
    this.points = [...from];
    this.svg.classList.add("drawing");
    this.redraw();
  }

  /** A box by keys, so many CSS pixels on the screen whichever way the film is turned: moved, or its lower right
   * corner pulled. The first key puts one in the middle. */
  nudge(dx: number, dy: number, isResizing: boolean): void {
    if (this.shape !== "box") return;
    if (this.points.length < 2) this.points = this.middle();
    else {
      const [low, high] = spanned(this.points.map((point) => this.seen(point)));
      const pulled: Point = [Math.max(low[0] + LEAST, high[0] + dx), Math.max(low[1] + LEAST, high[1] + dy)];
      const moved = isResizing ? [low, pulled] : [low, high].map(([x, y]): Point => [x + dx, y + dy]);
      this.points = this.held(spanned(moved.map((point) => this.under(point))), isResizing);
    }
    this.redraw();
  }

  /** What was placed by keys, if it is a box by now. */
  finish(): void {
    const { shape } = this;
    const points = shape === "box" ? spanned(this.points) : this.points;
    const [low, high] = spanned(points);
    const isDrawn = this.points.length > (shape === "box" ? 1 : 2) && this.cssBetween(low, high) >= LEAST && low[0] < high[0] && low[1] < high[1];
    this.points = [];
    if (!isDrawn) return this.redraw();
    this.stop();
    this.done(points);
  }

  stop(): void {
    this.shape = null;
    this.points = [];
    this.svg.classList.remove("drawing");
    this.redraw();
  }

  private selected = -1;

  private redraw(selected = this.selected): void {
    this.selected = selected;
    const all = this.shape && this.points.length > 1 ? [...this.shown, { shape: this.shape, points: this.points, says: "" }] : this.shown;
    this.turned.replaceChildren(...all.map((one, at) => this.polygon(one, at)));
    this.names.replaceChildren(...this.shown.map(({ says }, at) => {
      const name = document.createElementNS(SVG, "text");
      name.textContent = says;
      name.addEventListener("click", () => this.pick(at));
      return name;
    }));
    this.place();
  }

  private polygon({ shape, points }: Outline, at: number): SVGPolygonElement {
    const polygon = document.createElementNS(SVG, "polygon");
    polygon.setAttribute("points", corners(shape, points).map((point) => point.join()).join(" "));
    polygon.classList.toggle("selected", at === this.selected);
    if (at < this.shown.length) polygon.addEventListener("click", () => this.pick(at));
    return polygon;
  }

  /** Over the film as it is turned, flipped and zoomed now. */
  place(): void {
    const { film } = this.pane;
    if (!film) return;
    const [a, b, c, d, e, f] = this.pane.onScreen();
    const shrunk = 1 / filmPixels(film);
    this.turned.setAttribute("transform", `matrix(${a * shrunk} ${b * shrunk} ${c * shrunk} ${d * shrunk} ${e} ${f})`);
    this.shown.forEach(({ shape, points }, at) => {
      const seen = corners(shape, points).map((point) => this.seen(point));
      const name = this.names.children[at];
      name?.setAttribute("x", String(Math.min(...seen.map(([x]) => x))));
      name?.setAttribute("y", String(Math.min(...seen.map(([, y]) => y)) - 4));
    });
  }

  private down(event: PointerEvent): void {
    if (!this.shape || !event.isPrimary || event.button !== 0) return;
    event.stopPropagation();
    this.svg.setPointerCapture(event.pointerId);
    this.points = [this.at(event)];
  }

  private move(event: PointerEvent): void {
    const [first] = this.points, last = this.points.at(-1);
    if (!this.shape || !first || !last || !event.isPrimary) return;
    event.stopPropagation();
    const here = this.at(event);
    if (this.shape === "box") this.points = [first, here];
    else if (this.cssBetween(last, here) >= STEP) this.points.push(here);
    if (this.points.length > POINTS_MAX) this.points = thinned(this.points);
    this.redraw();
  }

  private up(event: PointerEvent): void {
    if (!this.shape || !this.points.length || !event.isPrimary) return;
    event.stopPropagation();
    this.finish();
  }

  private middle(): Point[] {
    const { clientWidth, clientHeight } = this.pane.screen;
    const half = (Math.min(clientWidth, clientHeight) * FIRST) / 2;
    const corner = (by: number): Point => this.under([clientWidth / 2 + by, clientHeight / 2 + by]);
    return this.held(spanned([corner(-half), corner(half)]), false);
  }

  /** On the film: pushed back onto it as it is, or cut at its edge where it was pulled beyond. */
  private held([low, high]: [Point, Point], isCut: boolean): Point[] {
    const { film } = this.pane;
    const pixels = film ? filmPixels(film) : 1;
    const most: Point = [(film?.width ?? 0) * pixels, (film?.height ?? 0) * pixels];
    const back = most.map((size, axis) => (isCut ? 0 : Math.max(0, -(low[axis] ?? 0)) + Math.min(0, size - (high[axis] ?? 0))));
    return [low, high].map((point) => point.map((value, axis) => {
      const wanted = value + (back[axis] ?? 0);
      return Math.round(Math.min(most[axis] ?? 0, Math.max(0, wanted)) * 10) / 10;
    }) as Point);
  }

  /** From the stored film's pixels to CSS pixels of the pane. */
  private seen([x, y]: Point): Point {
    const { film } = this.pane;
    const [a, b, c, d, e, f] = this.pane.onScreen(), shrunk = 1 / (film ? filmPixels(film) : 1);
    return [(a * x + c * y) * shrunk + e, (b * x + d * y) * shrunk + f];
  }

  /** And back. */
  private under([x, y]: Point): Point {
    const { film } = this.pane;
    const [a, b, c, d, e, f] = this.pane.onScreen(), pixels = film ? filmPixels(film) : 1;
    const size = (a * d - b * c) / pixels;
    return [(d * (x - e) - c * (y - f)) / size, (a * (y - f) - b * (x - e)) / size];
  }

  private cssBetween(one: Point, other: Point): number {
    const { film, scale } = this.pane;
    return (Math.hypot(other[0] - one[0], other[1] - one[1]) * scale) / (film ? filmPixels(film) : 1);
  }

  /** Where on the stored film the pointer is, to a tenth of a pixel, never beyond its edge. */
  private at(event: PointerEvent): Point {
    const { film } = this.pane;
    const pixels = film ? filmPixels(film) : 1;
    const [x, y] = this.pane.pixelAt(event);
    const within = (value: number, most: number): number => Math.round(Math.min(most, Math.max(0, value)) * pixels * 10) / 10;
    return [within(x, film?.width ?? 0), within(y, film?.height ?? 0)];
  }
}

function corners(shape: Shape, points: Point[]): Point[] {
  const [one, other] = points;
  if (shape === "contour" || !one || !other) return points;
  return [one, [other[0], one[1]], other, [one[0], other[1]]];
}

/** The upper left and lower right corners of what holds these points. */
function spanned(points: Point[]): [Point, Point] {
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  return [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]];
}

function thinned(points: Point[]): Point[] {
  return points.filter((_, at) => at % 2 === 0);
}
