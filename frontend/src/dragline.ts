import type { EChartsType } from "echarts/core";
import { make } from "./dom";

export interface Line {
  name: string;
  axis: "x" | "y";
  value: number;
  /** The id of the number input this line sets, and of a select with what it then says. */
  input?: string;
  choose?: [string, string];
}

const STEP = 1.05;
const LARGE_STEP = 1.25;

/** A threshold to drag, or to move by arrow keys. Its place is the input's value: all lines of one input move together. */
export class DragLine {
  private readonly handle: HTMLElement;
  private low = 0;
  private high = 1;

  private constructor(
    private readonly over: HTMLElement, private readonly chart: EChartsType, private readonly line: Line, private readonly input: HTMLInputElement,
  ) {
    this.handle = make("div", { class: "dragline", role: "slider", tabindex: "0", "aria-label": `${line.name} threshold`, "aria-orientation": "horizontal" }, make("span", {}, line.name));
    over.append(this.handle);
    this.handle.addEventListener("pointerdown", (event) => this.drag(event));
    this.handle.addEventListener("keydown", (event) => this.press(event));
  }

  /** Null where the page has no such input: then the line is only drawn. */
  static on(over: HTMLElement, chart: EChartsType, line: Line): DragLine | null {
    const input = line.input ? document.getElementById(line.input) : null;
    if (!(input instanceof HTMLInputElement) || line.axis !== "x") return null;
    const made = new DragLine(over, chart, line, input);
    input.addEventListener("input", () => made.place());
    return made;
  }

  /** Where the axis begins and ends, in its values and on the plot. */
  place(range?: [number, number]): void {
    if (range) [this.low, this.high] = range;
    const value = this.within(Number(this.input.value) || this.line.value);
    const at = this.chart.convertToPixel({ xAxisIndex: 0 }, value);
    if (!Number.isFinite(at)) return;
    this.handle.style.left = `${at}px`;
    this.handle.setAttribute("aria-valuemin", String(this.low));
    this.handle.setAttribute("aria-valuemax", String(this.high));
    this.handle.setAttribute("aria-valuenow", String(Number(value.toPrecision(4))));
  }

  private within(value: number): number {
    return Math.min(this.high, Math.max(this.low, value));
  }

  private drag(event: PointerEvent): void {
    event.preventDefault();
    this.handle.focus();
    this.handle.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent): void => {
      const value = this.chart.convertFromPixel({ xAxisIndex: 0 }, moved.clientX - this.over.getBoundingClientRect().left);
      if (Number.isFinite(value)) this.set(Number(value));
    };
    const end = (): void => {
      this.handle.removeEventListener("pointermove", move);
      this.handle.removeEventListener("pointerup", end);
      this.handle.removeEventListener("pointercancel", end);
    };
    this.handle.addEventListener("pointermove", move);
    this.handle.addEventListener("pointerup", end);
    this.handle.addEventListener("pointercancel", end);
  }

  private press(event: KeyboardEvent): void {
    const step = event.shiftKey ? LARGE_STEP : STEP;
    const value = this.within(Number(this.input.value) || this.line.value);
    const next: Record<string, number> = {
      ArrowRight: value * step, ArrowUp: value * step, ArrowLeft: value / step, ArrowDown: value / step, Home: this.low, End: this.high,
    };
    const wanted = next[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    this.set(wanted);
  }

  private set(value: number): void {
    this.input.value = String(Number(this.within(value).toPrecision(4)));
    const [id, choice] = this.line.choose ?? [undefined, undefined];
    const select = id ? document.getElementById(id) : null;
    if (select instanceof HTMLSelectElement && choice) select.value = choice;
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
