import { icon, isTyping, make } from "./dom";

const MIN_SCALE = 0.05;
const MAX_SCALE = 16;
const ZOOM_STEP = 1.2;

interface Point { x: number; y: number }

/** Grey levels of one film, painted through a window/level table onto a canvas of the film's own size. */
class Film {
  readonly canvas = document.createElement("canvas");
  private readonly levels: Uint8ClampedArray;
  private readonly image: ImageData;
  private readonly pixels: Uint32Array;

  constructor(source: ImageBitmap) {
    this.canvas.width = source.width;
    this.canvas.height = source.height;
    const context = this.context();
    context.drawImage(source, 0, 0);
    this.image = context.getImageData(0, 0, source.width, source.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.levels = new Uint8ClampedArray(this.pixels.length);
    for (let i = 0; i < this.levels.length; i += 1) this.levels[i] = this.image.data[i * 4] ?? 0;
  }

  paint(window: number, level: number, inverted: boolean): void {
    const table = new Uint32Array(256);
    for (let grey = 0; grey < 256; grey += 1) {
      const shown = Math.round(Math.min(1, Math.max(0, (grey - level) / window + 0.5)) * 255);
      const value = inverted ? 255 - shown : shown;
      table[grey] = (0xff000000 | (value << 16) | (value << 8) | value) >>> 0;
    }
    for (let i = 0; i < this.levels.length; i += 1) this.pixels[i] = table[this.levels[i] ?? 0] ?? 0;
    this.context().putImageData(this.image, 0, 0);
  }

  private context(): CanvasRenderingContext2D {
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This browser gives no canvas.");
    return context;
  }
}

async function load(url: string): Promise<ImageBitmap> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`The film could not be fetched (${answer.status}).`);
  return createImageBitmap(await answer.blob());
}

export class FilmViewer {
  private film: Film | null = null;
  private window = 255;
  private level = 127.5;
  private inverted = false;
  private scale = 1;
  private centre: Point = { x: 0, y: 0 };
  private fitted = true;
  private panning = false;
  private scheduled = 0;
  private repaint = true;
  private readonly pointers = new Map<number, Point>();
  private readonly canvas = make("canvas", { "aria-hidden": "true" });
  private readonly message = make("p", { class: "message", role: "status" }, "Loading the film");
  private readonly readout = make("div", { class: "corner bottom-left", "aria-live": "off" });
  private readonly zoomText = make("div", { class: "corner bottom-right" });
  private readonly gone = new AbortController();
  private readonly sizes = new ResizeObserver(() => this.resized());
  private readonly buttons = new Map<string, HTMLButtonElement>();

  constructor(private readonly root: HTMLElement) {
    root.tabIndex = 0;
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `${root.dataset.alt ?? "Film"}. Film viewer.`);
    root.append(this.canvas, this.message, this.readout, this.zoomText);
    if (root.dataset.captions) {
      root.append(make("div", { class: "corner top-left" }, root.dataset.captions.split("|").join("\n")));
    }
    if (root.dataset.synthetic !== undefined) root.append(make("div", { class: "corner top-right synthetic" }, "SYNTHETIC"));
    this.addTools();
    this.listen();
    this.sizes.observe(root);
    void this.fetch();
  }

  private async fetch(): Promise<void> {
    try {
      this.film = new Film(await load(this.root.dataset.src ?? ""));
    } catch (error) {
      const again = make("button", { type: "button", class: "quiet small" }, "Try again");
      again.addEventListener("click", () => { this.message.textContent = "Loading the film"; void this.fetch(); });
      this.message.replaceChildren(error instanceof Error ? error.message : "The film could not be read.", " ", again);
      return;
    }
    this.message.hidden = true;
    this.root.dataset.ready = "";
    this.reset();
  }

  private addTools(): void {
    const tools = make("div", { class: "tools", role: "toolbar", "aria-label": "Film tools" });
    const add = (key: string, text: string, sign: string, run: () => void): HTMLButtonElement => {
      const button = make("button", { type: "button", title: `${text} (${key})`, "aria-label": text });
      button.append(sign.length <= 3 ? sign : icon(sign));
      button.addEventListener("click", run);
      this.buttons.set(key, button);
      tools.append(button);
      return button;
    };
    add("p", "Drag pans instead of windowing", "pan", () => this.togglePan()).replaceChildren(icon("hand"));
    add("i", "Invert", "invert", () => this.invert());
    add("f", "Fit to the pane", "fitt", () => this.fit()).replaceChildren(icon("fit"));
    add("1", "Pixel for pixel", "1:1", () => this.zoomTo(1));
    add("-", "Zoom out", "minus", () => this.zoomTo(this.scale / ZOOM_STEP));
    add("+", "Zoom in", "plus", () => this.zoomTo(this.scale * ZOOM_STEP));
    add("r", "Reset", "refresh", () => this.reset());
    this.root.append(tools);
  }

  private listen(): void {
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.root.focus({ preventScroll: true });
      event.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (event) => this.dragged(event));
    for (const name of ["pointerup", "pointercancel"] as const) {
      this.canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    this.canvas.addEventListener("dblclick", () => this.fit());
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.root.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomTo(this.scale * Math.exp(-event.deltaY * 0.0015), this.at(event));
    }, { passive: false });
    document.addEventListener("keydown", (event) => this.key(event), { signal: this.gone.signal });
  }

  private key(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const inside = this.root.contains(document.activeElement);
    const arrows: Record<string, [number, number]> = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, 8], ArrowDown: [0, -8] };
    const step = arrows[event.key];
    if (inside && step) {
      this.adjust(step[0], step[1]);
      event.preventDefault();
      return;
    }
    const button = this.buttons.get(event.key === "=" ? "+" : event.key);
    if (button && !document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)) {
      button.click();
      event.preventDefault();
    }
  }

  private dragged(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const ratio = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
        this.zoomTo(this.scale * ratio, this.at({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
        this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      }
    } else if (this.panning || event.pointerType === "touch" || event.shiftKey || event.buttons === 4) {
      this.pan(now.x - before.x, now.y - before.y);
    } else {
      this.adjust(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  /** Right widens the window, up raises the brightness: as on any reading station. */
  private adjust(dx: number, dy: number): void {
    this.window = Math.min(1024, Math.max(4, this.window + dx));
    this.level = Math.min(383, Math.max(-128, this.level + dy * 0.5));
    this.repaint = true;
    this.draw();
  }

  private pan(dx: number, dy: number): void {
    this.centre = { x: this.centre.x - dx / this.scale, y: this.centre.y - dy / this.scale };
    this.fitted = false;
    this.draw();
  }

  /** Zooms about a point of the pane (default its middle), which stays over the same spot of the film. */
  private zoomTo(wanted: number, about?: Point): void {
    const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, wanted));
    const fixed = about ?? { x: this.root.clientWidth / 2, y: this.root.clientHeight / 2 };
    const dx = fixed.x - this.root.clientWidth / 2;
    const dy = fixed.y - this.root.clientHeight / 2;
    this.centre = { x: this.centre.x + dx / this.scale - dx / scale, y: this.centre.y + dy / this.scale - dy / scale };
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  private fit(): void {
    if (!this.film) return;
    const { width, height } = this.film.canvas;
    this.scale = Math.min(this.root.clientWidth / width, this.root.clientHeight / height);
    this.centre = { x: width / 2, y: height / 2 };
    this.fitted = true;
    this.draw();
  }

  private reset(): void {
    this.window = 255;
    this.level = 127.5;
    this.inverted = false;
    this.press("i", false);
    this.repaint = true;
    this.fit();
  }

  private invert(): void {
    this.inverted = !this.inverted;
    this.press("i", this.inverted);
    this.repaint = true;
    this.draw();
  }

  private togglePan(): void {
    this.panning = !this.panning;
    this.root.classList.toggle("panning", this.panning);
    this.press("p", this.panning);
  }

  private press(key: string, on: boolean): void {
    this.buttons.get(key)?.setAttribute("aria-pressed", String(on));
  }

  private at(event: { clientX: number; clientY: number }): Point {
    const box = this.root.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** Also called once the film left the page: then nothing of the viewer may stay behind in the document. */
  private resized(): void {
    if (!this.root.isConnected) {
      this.gone.abort();
      this.sizes.disconnect();
      return;
    }
    if (this.fitted) this.fit();
    else this.draw();
  }

  private draw(): void {
    if (!this.scheduled) this.scheduled = requestAnimationFrame(() => { this.scheduled = 0; this.render(); });
  }

  private render(): void {
    const context = this.canvas.getContext("2d");
    if (!this.film || !context) return;
    if (this.repaint) this.film.paint(this.window, this.level, this.inverted);
    this.repaint = false;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.root.clientWidth * ratio);
    const height = Math.round(this.root.clientHeight * ratio);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const scale = this.scale * ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(scale, 0, 0, scale, width / 2 - this.centre.x * scale, height / 2 - this.centre.y * scale);
    context.imageSmoothingEnabled = this.scale < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.film.canvas, 0, 0);
    this.readout.textContent = `W ${Math.round(this.window)} L ${Math.round(this.level)}${this.inverted ? " inverted" : ""}`;
    this.zoomText.textContent = `${this.film.canvas.width} x ${this.film.canvas.height}\n${this.scale.toFixed(2)} x`;
  }
}
