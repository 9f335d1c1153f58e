/** Which side of the patient lies at which edge (PS3.3 C.7.6.1.1.1, C.7.6.2.1.1). */
import { type Attributes, numbers, texts } from "./attributes";

const OPPOSITE: Record<string, string> = { R: "L", L: "R", A: "P", P: "A", H: "F", F: "H" };

/** Directions of the patient along the rows and down the columns; null where the file does not say. */
export interface Sides { right: string; down: string }

export function sidesOf(of: Attributes): Sides | null {
  const [right, down] = texts(of, "00200020");
  if (right && down) return { right, down };
  const cosines = numbers(of, "00200037");
  if (cosines.length !== 6 || cosines.some(Number.isNaN)) return null;
  return { right: direction(cosines.slice(0, 3)), down: direction(cosines.slice(3)) };
}

/** Of a vector in the patient's system (x to the left, y to the back, z to the head), the largest parts first. */
function direction(vector: number[]): string {
  const letters = [["R", "L"], ["A", "P"], ["F", "H"]];
  return vector
    .map((part, axis) => ({ size: Math.abs(part), letter: letters[axis]?.[part > 0 ? 1 : 0] ?? "" }))
    .filter(({ size }) => size > 0.3)
    .sort((one, other) => other.size - one.size)
    .map(({ letter }) => letter)
    .join("");
}

export function opposite(letters: string): string {
  return [...letters].map((letter) => OPPOSITE[letter] ?? letter).join("");
}

/** Told from where rows and columns run, not from what was asked for: the mark is true whatever led there. */
export function turnedText(x: [number, number], y: [number, number]): string {
  const isFlipped = x[0] * y[1] - x[1] * y[0] < 0;
  const angle = (Math.round(Math.atan2(x[1], x[0]) / (Math.PI / 2)) * 90 + 360) % 360;
  if (!isFlipped) return angle ? `TURNED ${angle}°` : "";
  if (angle === 180) return "FLIPPED left to right";
  return angle === 0 ? "FLIPPED top to bottom" : "FLIPPED and TURNED";
}

export type Edge = "top" | "right" | "bottom" | "left";

/**
 * Letters for the edges of the pane. `x` and `y` are where the film's rows and columns run on the screen, as
 * turned and flipped now: steps right and down.
 */
export function atEdges(sides: Sides, x: [number, number], y: [number, number]): Record<Edge, string> {
  const edges: Record<Edge, string> = { top: "", right: "", bottom: "", left: "" };
  for (const [[dx, dy], letters] of [[x, sides.right], [y, sides.down]] as [[number, number], string][]) {
    const isAcross = Math.abs(dx) > Math.abs(dy);
    const towards: Edge = isAcross ? (dx > 0 ? "right" : "left") : dy > 0 ? "bottom" : "top";
    const away: Edge = isAcross ? (dx > 0 ? "left" : "right") : dy > 0 ? "top" : "bottom";
    edges[towards] = letters;
    edges[away] = opposite(letters);
  }
  return edges;
}
