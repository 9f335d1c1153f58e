/** What stands round a film: identity, sides, window, calibration, and its states. */
import { make } from "../dom";
import { type Attributes, text } from "./attributes";
import type { Film } from "./film";
import type { Pane } from "./pane";
import { atEdges, type Edge, type Sides, sidesOf, turnedText } from "./sides";
import type { Spacing } from "./spacing";
import { frames, lossText, patientLines, studyLines } from "./words";

const EDGES: Edge[] = ["top", "right", "bottom", "left"];

export class Frame {
  private readonly patient = make("div", { class: "corner top-left" });
  private readonly study = make("div", { class: "corner top-right" });
  private readonly window = make("div", { class: "corner bottom-left", "aria-live": "off" });
  private readonly facts = make("div", { class: "corner bottom-right" });
  private readonly probed = make("div", { class: "probed" });
  private readonly readout = make("div", { class: "readout" });
  private readonly banner = make("div", { class: "banner" });
  private readonly marks = make("div", { class: "marks" });
  private readonly message = make("p", { class: "message", role: "status" });
  private readonly thumbnail = make("img", { class: "thumbnail", alt: "" });
  private readonly letters = Object.fromEntries(EDGES.map((edge) => [edge, make("div", { class: `edge at-${edge}`, "aria-hidden": "true" })]));
  private sides: Sides | null = null;
  private isSynthetic = false;
  private hasBurnedIn = false;
  private spacing: Spacing | null = null;

  constructor(private readonly root: HTMLElement) {
    this.window.append(this.probed, this.readout);
    root.append(
      this.thumbnail, this.banner, this.patient, this.study, this.window, this.facts, ...Object.values(this.letters), this.marks, this.message,
    );
    this.thumbnail.addEventListener("error", () => { this.thumbnail.hidden = true; });
  }

  loading(thumbnail: string): void {
    this.thumbnail.hidden = false;
    this.thumbnail.src = thumbnail;
    for (const part of [this.readout, this.probed, this.facts, this.marks, ...Object.values(this.letters)]) part.replaceChildren();
    this.say("Loading, not for reading");
    this.root.ariaLabel = "Film, loading";
  }

  describe(of: Attributes, frame: number): void {
    this.patient.textContent = patientLines(of).join("\n");
    const several = frames(of) > 1 ? [`Image ${frame} of ${frames(of)}`] : [];
    this.study.textContent = [...studyLines(of), ...several].join("\n");
    this.sides = sidesOf(of);
    this.root.ariaLabel = `Film, ${studyLines(of).join(", ")}`;
    this.isSynthetic = isSynthetic(of);
    this.hasBurnedIn = text(of, "00280301") === "YES";
  }

  /** Of a prior: that it is one, its date and how long before. Stands over the film, never in a corner. */
  headline(words: string): void {
    this.banner.textContent = words;
  }

  shows(film: Film, spacing: Spacing): void {
    this.spacing = spacing;
    this.facts.dataset.lossy = lossText(film.attributes);
    this.facts.dataset.depth = film.stored ? "" : "8-bit grey picture";
  }

  done(): void {
    this.thumbnail.hidden = true;
    this.thumbnail.removeAttribute("src");
    this.message.hidden = true;
  }

  failed(words: string, again: () => void): void {
    this.thumbnail.hidden = true;
    const button = make("button", { type: "button", class: "quiet small" }, "Try again");
    button.addEventListener("click", again);
    this.say(words, " ", button);
  }

  private say(...what: (Node | string)[]): void {
    this.message.hidden = false;
    this.message.replaceChildren(...what);
  }

  value(words: string): void {
    this.probed.textContent = words;
  }

  drawn(pane: Pane): void {
    const { film } = pane;
    if (!film) return;
    this.readout.textContent = windowText(pane, film);
    const { dataset } = this.facts;
    const size = `${film.width} x ${film.height}, ${pane.scale.toFixed(2)} x`;
    const lengths = this.spacing?.unit === "px" ? "Lengths uncalibrated (px)" : `Lengths in mm${this.spacing?.note ? `, ${this.spacing.note}` : ""}`;
    this.facts.textContent = [dataset.lossy, dataset.depth, lengths, size].filter(Boolean).join("\n");
    this.mark(pane);
  }

  private mark(pane: Pane): void {
    const [x, y] = pane.axes();
    const turned = turnedText(x, y);
    const marks = [
      this.isSynthetic && ["synthetic", "SYNTHETIC"],
      turned && ["changed", `${turned} on this screen only`],
      this.hasBurnedIn && ["burned", turned.startsWith("FLIPPED") ? "Letters in the image are mirrored" : "Letters burned into the image"],
      !this.sides && ["missing", "Orientation not stated in the file"],
    ].filter((mark): mark is [string, string] => Array.isArray(mark));
    this.marks.replaceChildren(...marks.map(([kind, words]) => make("span", { class: `mark ${kind}` }, words)));
    const letters = this.sides ? atEdges(this.sides, x, y) : null;
    for (const edge of EDGES) this.letters[edge]?.replaceChildren(letters?.[edge] ?? "");
  }
}

/** By its Manufacturer, as the server has it. */
function isSynthetic(of: Attributes): boolean {
  return text(of, "00080070") === "Lynceus synthetic";
}

function windowText(pane: Pane, film: Film): string {
  const { lower, upper } = pane.range;
  const name = pane.look?.name ?? "";
  const inverted = pane.inverted ? " inverted" : "";
  if (!film.stored || pane.look?.curve) {
    const base = pane.look?.range;
    const isAsGiven = base && Math.abs(base.lower - lower) < 1 && Math.abs(base.upper - upper) < 1;
    return `${name}${isAsGiven ? "" : ", adjusted"}${inverted}`;
  }
  const [one, other] = [film.levels.value(lower), film.levels.value(upper)];
  return `${name}\nW ${rounded(Math.abs(other - one) + 1)} L ${rounded((one + other + 1) / 2)}${inverted}`;
}

function rounded(value: number): string {
  return Math.abs(value) >= 10 ? String(Math.round(value)) : value.toPrecision(2);
}
