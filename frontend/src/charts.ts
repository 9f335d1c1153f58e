import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { isTyping, make, poll } from "./dom";
import { DragLine, type Line } from "./dragline";

use([LineChart, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent, CanvasRenderer]);

type Place = number | string;
interface Axis { name: string; unit?: string; min?: number; max?: number; log?: boolean }
interface Series {
  name: string;
  points: [Place, number | null][];
  band?: [Place, number, number][];
  dashed?: boolean;
  light?: boolean;
  dots?: boolean;
  /** Where each point leads, in their order. */
  links?: string[];
}
interface Data {
  x: Axis;
  y: Axis;
  series: Series[];
  lines?: Line[];
  shade?: { from: string; to: string; name: string } | null;
  /** Names above instead of at the lines' ends, where those lie together. */
  legend?: boolean;
  /** In place of the points themselves, where they do not say enough by themselves. */
  table?: { head: string[]; rows: string[][] };
  done?: boolean;
}

const REACH_PX = 22;

/** Okabe-Ito, readable with every common colour vision; black and yellow are left out for the two themes. */
const HUES = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2"];
const FIXED: Record<string, string> = {
  train: "#56b4e9", training: "#56b4e9", validation: "#e69f00", val: "#e69f00", champion: "#56b4e9", candidate: "#e69f00",
  approved: "#009e73", review: "#e69f00", declined: "#d55e00", "this payment": "#cc79a7", "impossible speed": "#d55e00", places: "#56b4e9",
  precision: "#56b4e9", recall: "#e69f00", alerts: "#56b4e9", saved: "#009e73", lost: "#d55e00",
};
/** Colour never stands alone: dots of different series have different shapes. */
const SHAPES: Record<string, string> = { approved: "circle", review: "triangle", declined: "diamond", "this payment": "pin" };

/** What stands before a comma: "recall, held out" has recall's colour, and its short label. */
function kind(name: string): string {
  return name.split(",")[0] ?? name;
}

function hue(name: string, index: number): string {
  return FIXED[kind(name).toLowerCase()] ?? HUES[index % HUES.length] ?? "#56b4e9";
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axisName(axis: Axis): string {
  return axis.unit ? `${axis.name} (${axis.unit})` : axis.name;
}

function tidy(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

function axisOption(axis: Axis, isTime: boolean, vertical: boolean): object {
  const ink = { color: token("--muted"), fontFamily: "Inter Variable", fontSize: 11 };
  return {
    type: isTime ? "time" : axis.log ? "log" : "value",
    name: axisName(axis), nameLocation: vertical ? "end" : "middle", nameGap: vertical ? 10 : 26,
    nameTextStyle: { ...ink, align: vertical ? "left" : "center" },
    min: axis.min ?? (vertical ? undefined : "dataMin"), max: axis.max, scale: axis.min === undefined,
    axisLabel: axis.log ? { ...ink, formatter: (value: number) => Number(value.toPrecision(2)).toLocaleString("en", { maximumSignificantDigits: 2 }), hideOverlap: true } : { ...ink, hideOverlap: true }, axisLine: { lineStyle: { color: token("--line") } },
    splitLine: { show: vertical, lineStyle: { color: token("--line") } }, minInterval: axis.name === "epoch" ? 1 : undefined,
  };
}

/** An interval is two stacked lines: an unseen one at its low end, and the filled difference above it. */
function bandOption(series: Series, index: number): object[] {
  const shared = { type: "line", stack: `band-${index}`, stackStrategy: "all", symbol: "none", silent: true, tooltip: { show: false }, lineStyle: { opacity: 0 } };
  const band = series.band ?? [];
  return [
    { ...shared, data: band.map(([x, low]) => [x, low]) },
    { ...shared, data: band.map(([x, low, high]) => [x, high - low]), areaStyle: { color: hue(series.name, index), opacity: 0.18 } },
  ];
}

function symbols(series: Series): object {
  if (!series.dots) return { symbol: series.points.length > 40 ? "none" : "circle", symbolSize: 5 };
  return { symbol: SHAPES[series.name] ?? "circle", symbolSize: series.name === "this payment" ? 22 : 9, z: series.name === "this payment" ? 3 : 2 };
}

/** Stripes, for what is not final. */
function hatched(): object {
  const tile = make("canvas", { width: "8", height: "8" });
  const pen = tile.getContext("2d");
  if (pen) {
    pen.strokeStyle = token("--muted");
    pen.globalAlpha = 0.35;
    pen.beginPath();
    for (const [x, y] of [[0, 8], [-4, 4], [4, 12]] as const) {
      pen.moveTo(x, y);
      pen.lineTo(x + 8, y - 8);
    }
    pen.stroke();
  }
  return { image: tile, repeat: "repeat" };
}

function areaOption(data: Data): object | undefined {
  if (!data.shade) return undefined;
  const { from, to, name } = data.shade;
  return { silent: true, itemStyle: { color: hatched() }, label: { color: token("--muted"), fontSize: 11, position: "insideTop" }, data: [[{ name, xAxis: from }, { xAxis: to }]] };
}

function option(data: Data, drawnLines: Line[]): Record<string, unknown> {
  const isTime = typeof data.series[0]?.points[0]?.[0] === "string";
  const text = token("--text");
  const dotted = data.legend || data.series.some((series) => series.dots);
  const drawn = data.series.flatMap((series, index) => [
    ...(series.band?.length ? bandOption(series, index) : []),
    {
      type: "line", name: series.name, data: series.points, color: hue(series.name, index), ...symbols(series),
      lineStyle: { width: series.dots ? 0 : 2, type: series.dashed || series.light ? "dashed" : "solid", opacity: series.light ? 0.5 : 1 }, itemStyle: { opacity: series.light ? 0.5 : 1 },
      endLabel: { show: !dotted, formatter: kind(series.name), color: hue(series.name, index), fontFamily: "Inter Variable", fontSize: 12, distance: 6, backgroundColor: token("--surface"), padding: 1 },
      labelLayout: { moveOverlap: "shiftY" },
      markArea: index > 0 ? undefined : areaOption(data),
      markLine: index > 0 || !drawnLines.length ? undefined : {
        symbol: "none", silent: true, lineStyle: { color: token("--muted"), type: "dashed" },
        label: { formatter: "{b}", color: token("--muted"), position: "insideEndTop", fontSize: 11 },
        data: drawnLines.map((line) => ({ name: line.name, [line.axis === "x" ? "xAxis" : "yAxis"]: line.value })),
      },
    },
  ]);
  return {
    animation: false,
    grid: { left: 8, right: dotted ? 20 : 84, top: dotted ? 52 : 30, bottom: 30, containLabel: true },
    legend: { show: dotted, top: 0, left: 0, itemWidth: 14, itemHeight: 10, textStyle: { color: text, fontFamily: "Inter Variable", fontSize: 12 } },
    xAxis: axisOption(data.x, isTime, false),
    yAxis: axisOption(data.y, false, true),
    // Drawn on the canvas: an HTML tooltip carries inline styles, which the Content-Security-Policy refuses.
    tooltip: {
      trigger: "axis", renderMode: "richText", backgroundColor: token("--raised"), borderColor: token("--line"),
      textStyle: { color: text, fontFamily: "Inter Variable", fontSize: 12 }, valueFormatter: (value: number) => (typeof value === "number" ? tidy(value) : "–"),
    },
    series: drawn,
  };
}

function toldTable(told: { head: string[]; rows: string[][] }): HTMLElement {
  const head = make("tr", {}, ...told.head.map((name) => make("th", { scope: "col" }, name)));
  const rows = told.rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  return make("div", { class: "table-wrap", tabindex: "0" }, make("table", { class: "table" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function table(data: Data): HTMLElement {
  if (data.table) return toldTable(data.table);
  const head = make("tr", {}, make("th", { scope: "col" }, axisName(data.x)));
  for (const series of data.series) head.append(make("th", { scope: "col", class: "number" }, series.name));
  const rows = new Map<Place, (string | HTMLElement)[]>();
  data.series.forEach((series, column) => {
    series.points.forEach(([x, y], number) => {
      const row = rows.get(x) ?? data.series.map(() => "–");
      const interval = series.band?.find(([place]) => place === x);
      if (y !== null) {
        const text = tidy(y) + (interval ? ` (${tidy(interval[1])} to ${tidy(interval[2])})` : "");
        const href = series.links?.[number];
        row[column] = href ? make("a", { href }, text) : text;
      }
      rows.set(x, row);
    });
  });
  const body = make("tbody");
  for (const [x, cells] of rows) {
    body.append(make("tr", {}, make("td", {}, typeof x === "number" ? tidy(x) : x), ...cells.map((cell) => make("td", { class: "number" }, cell))));
  }
  return make("div", { class: "table-wrap", tabindex: "0" }, make("table", { class: "table" }, make("thead", {}, head), body));
}

class Chart {
  private readonly plot = make("div", { class: "plot", role: "img" });
  /** Before the plot and without height: what is an image to a screen reader holds nothing to be reached. */
  private readonly over = make("div", { class: "draglines" });
  private readonly nothing = make("p", { class: "nothing", role: "status" }, "Nothing to draw yet");
  private readonly flip = make("button", { type: "button", class: "ghost small switch", title: "Chart or table (t)" }, "table");
  private drawing: EChartsType | null = null;
  private tableElement: HTMLElement | null = null;
  private data: Data | null = null;
  private last = "";
  private readonly handles = new Map<string, DragLine>();

  constructor(private readonly root: HTMLElement) {
    this.plot.hidden = true;
    root.append(this.flip, this.nothing, this.over, this.plot);
    this.flip.addEventListener("click", () => this.toggle());
    document.addEventListener("keydown", (event) => {
      if (event.key === "t" && root.isConnected && !event.ctrlKey && !event.metaKey && !isTyping(event.target)) this.toggle();
    });
    document.addEventListener("lynceus:theme", () => this.draw());
    new ResizeObserver(() => {
      this.drawing?.resize();
      this.place();
    }).observe(root);
    void this.follow(Number(root.dataset.poll ?? "0") * 1000);
  }

  private async follow(everyMs: number): Promise<void> {
    while (this.root.isConnected) {
      if (!document.hidden) await this.fetch();
      if (!everyMs || this.data?.done) return;
      await new Promise((resolve) => window.setTimeout(resolve, everyMs));
    }
  }

  private async fetch(): Promise<void> {
    try {
      const answer = await poll(this.root.dataset.src ?? "");
      if (answer.status === 204) return;
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (text === this.last) return;
      this.last = text;
      this.data = JSON.parse(text) as Data;
      this.draw();
    } catch {
      this.nothing.hidden = this.data !== null;
      this.nothing.textContent = "The numbers could not be fetched.";
    }
  }

  private draw(): void {
    const data = this.data;
    const empty = !data || data.series.every((series) => series.points.length === 0);
    this.nothing.hidden = !empty;
    this.plot.hidden = this.over.hidden = empty || this.tableElement !== null;
    this.flip.hidden = empty;
    if (!data || empty) return;
    this.plot.setAttribute("aria-label", `${this.root.querySelector("figcaption")?.textContent ?? "Chart"}: ${data.series.map((s) => s.name).join(", ")} by ${data.x.name}. Press t for the numbers.`);
    if (this.tableElement) {
      const next = table(data);
      this.tableElement.replaceWith(next);
      this.tableElement = next;
    } else {
      this.drawing ??= this.begin();
      const drawn = (data.lines ?? []).filter((line) => !this.draggable(line));
      this.drawing.setOption(option(data, drawn), { notMerge: true });
      this.place();
    }
  }

  private draggable(line: Line): boolean {
    const made = this.handles.get(line.name) ?? (this.drawing ? DragLine.on(this.over, this.drawing, line) : null);
    if (made) this.handles.set(line.name, made);
    return made !== null;
  }

  /** Dragged lines go as far as the axis does. */
  private place(): void {
    if (!this.data || this.plot.hidden || !this.handles.size) return;
    const xs = this.data.series.flatMap((series) => series.points.map(([x]) => Number(x)));
    const range: [number, number] = [this.data.x.min ?? Math.min(...xs), this.data.x.max ?? Math.max(...xs)];
    for (const handle of this.handles.values()) handle.place(range);
  }

  private begin(): EChartsType {
    const drawing = init(this.plot), surface = drawing.getZr();
    surface.on("click", ({ offsetX, offsetY }) => {
      const href = this.linkNear(drawing, offsetX, offsetY);
      if (href) window.location.assign(href);
    });
    surface.on("mousemove", ({ offsetX, offsetY }) => {
      if (this.linkNear(drawing, offsetX, offsetY)) surface.setCursorStyle("pointer");
    });
    return drawing;
  }

  /** Of the points within reach the nearest one's link: the line itself has none, and its marks may be too small. */
  private linkNear(drawing: EChartsType, x: number, y: number): string | undefined {
    let nearest = REACH_PX, found: string | undefined;
    for (const series of this.data?.series ?? []) {
      series.points.forEach(([at, value], number) => {
        const href = series.links?.[number];
        if (!href || value === null) return;
        const pixel = drawing.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [typeof at === "string" ? Date.parse(at) : at, value]) as number[];
        const away = Math.hypot((pixel[0] ?? Infinity) - x, (pixel[1] ?? Infinity) - y);
        if (away < nearest) [nearest, found] = [away, href];
      });
    }
    return found;
  }

  private toggle(): void {
    if (!this.data) return;
    if (this.tableElement) {
      this.tableElement.remove();
      this.tableElement = null;
    } else {
      this.tableElement = table(this.data);
      this.root.append(this.tableElement);
    }
    this.flip.textContent = this.tableElement ? "chart" : "table";
    this.draw();
    this.drawing?.resize();
    this.place();
  }
}

export function mountChart(root: HTMLElement): void {
  new Chart(root);
}
