/** What a distance on a film is worth (PS3.3 10.7.1, C.8.11.1). */
import { type Attributes, numbers, text } from "./attributes";

/** Distance between rows and between columns, and what may be said of a length made of them. */
export interface Spacing { row: number; column: number; unit: "mm" | "px"; note: string }

const SLICES = ["CT", "MR", "PT"]; // their pixel spacing is the patient's by definition

/** `pixels` of the film go into one that is shown, where a smaller picture stands for it. */
export function spacingOf(of: Attributes, pixels = 1): Spacing {
  const given = pair(of, "00280030"), detector = pair(of, "00181164");
  const inMm = ([row, column]: [number, number], note: string): Spacing =>
    ({ row: row * pixels, column: column * pixels, unit: "mm", note });
  const calibration = text(of, "00280A02");
  if (given && SLICES.includes(text(of, "00080060"))) return inMm(given, "");
  if (given && calibration) return inMm(given, `calibrated (${calibration.toLowerCase()})`);
  if (detector && (!given || isSame(given, detector))) return inMm(detector, "at detector");
  if (given) return inMm(given, "calibration not stated");
  const [row = 1, column = 1] = numbers(of, "00280034"); // PixelAspectRatio
  return { row: row > 0 && column > 0 ? row / column : 1, column: 1, unit: "px", note: "uncalibrated" };
}

function pair(of: Attributes, tag: string): [number, number] | null {
  const [row = NaN, column = NaN] = numbers(of, tag);
  return row > 0 && column > 0 ? [row, column] : null;
}

function isSame(one: [number, number], other: [number, number]): boolean {
  return Math.abs(one[0] - other[0]) < 1e-6 && Math.abs(one[1] - other[1]) < 1e-6;
}

export function lengthText(length: number, { unit, note }: Spacing): string {
  if (unit === "px") return `${Math.round(length)} px ${note}`;
  return `${length.toFixed(1)} mm${note ? ` ${note}` : ""}`;
}
