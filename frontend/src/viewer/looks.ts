/**
 * Windows and VOI LUTs (PS3.3 C.11.2), by the rules of ml/radiology/pixels.py: which of them a film opens with,
 * and that one meant for other values than these is passed over. A test holds the screen to the picture made there.
 */
import { type Attributes, first, items, numbers, text, texts } from "./attributes";
import { LEVELS, type Levels } from "./levels";
import { lookedUp, table } from "./luts";

const SATURATED = 0.98; // a window that leaves less than the rest in shades shows nothing
const EPSILON = 1e-9;

/** Of the film's values alone, whatever the file says. */
export const OWN_LOOK = "Whole film";

export interface Range { lower: number; upper: number }
/** One way to show a film. A `curve` (grey of each level, 0 to 1) is drawn over all of its own range. */
export interface Look { name: string; range: Range; curve?: Float32Array }

/** The film's looks, that it opens with first: VOI LUT, windows of the file, then some of its own values. */
export async function looksOf(levels: Levels, of: Attributes): Promise<Look[]> {
  const own = ownLooks(levels);
  const given = [await voiLut(levels, of), ...windows(levels, of)];
  const usable = given.filter((look) => look !== null).filter((look) => showsSomething(look, levels));
  return usable.length ? [...usable, ...own] : own;
}

async function voiLut(levels: Levels, of: Attributes): Promise<Look | null> {
  if (!items(of, "00283010").length) return null;
  const lut = await table(of, "00283010", first(of, "00280103") === 1);
  if (!lut || lut.bits === 9) return null;
  const grey = (value: number): number => lookedUp(lut, Math.round(value));
  let largest = 2 ** lut.bits - 1;
  levels.count.forEach((count, level) => { if (count) largest = Math.max(largest, grey(levels.value(level))); });
  return curved(lut.name || "VOI LUT", levels, of, (value) => grey(value) / largest);
}

function windows(levels: Levels, of: Attributes): (Look | null)[] {
  const centers = numbers(of, "00281050"), widths = numbers(of, "00281051"), names = texts(of, "00281055");
  const rule = text(of, "00281056") || "LINEAR";
  return centers.map((center, at) => {
    const width = widths[at] ?? NaN;
    if (!Number.isFinite(center) || !Number.isFinite(width) || width <= 0) return null;
    const name = names[at] || (centers.length > 1 ? `Window ${at + 1} of the file` : "Window of the file");
    if (rule === "SIGMOID") {
      return curved(name, levels, of, (value) => 1 / (1 + Math.exp((-4 * (value - center)) / width)));
    }
    const isExact = rule === "LINEAR_EXACT" || width <= 1;
    const [middle, spread] = isExact ? [center, width] : [center - 0.5, width - 1];
    return { name, range: inLevels(levels, middle - spread / 2, middle + spread / 2) };
  });
}

/** `grey` is of modality values; MONOCHROME1 turns it round afterwards (PS3.3 C.7.6.3.1.2). */
function curved(name: string, levels: Levels, of: Attributes, grey: (value: number) => number): Look {
  const isInverse = text(of, "00280004") === "MONOCHROME1";
  const curve = Float32Array.from({ length: LEVELS }, (_, level) => {
    const shown = grey(levels.value(level));
    return isInverse ? 1 - shown : shown;
  });
  return { name, range: { lower: 0, upper: LEVELS - 1 }, curve };
}

function inLevels(levels: Levels, low: number, high: number): Range {
  const [one, other] = [levels.level(low), levels.level(high)];
  return { lower: Math.min(one, other), upper: Math.max(one, other) };
}

export function greyOf(look: Look, level: number): number {
  if (look.curve) return look.curve[level] ?? 0;
  return Math.min(1, Math.max(0, (level - look.range.lower) / (look.range.upper - look.range.lower)));
}

function showsSomething(look: Look, levels: Levels): boolean {
  let flat = levels.padded, least = Infinity, most = -Infinity;
  levels.count.forEach((count, level) => {
    if (!count) return;
    const grey = greyOf(look, level);
    if (grey <= EPSILON || grey >= 1 - EPSILON) flat += count;
    least = Math.min(least, grey);
    most = Math.max(most, grey);
  });
  return most - least > EPSILON && flat / (levels.total + levels.padded) <= SATURATED;
}

/** Windows for radiographs by the share of pixels on either side: detectors have no common scale. */
function ownLooks(levels: Levels): Look[] {
  const span = (name: string, low: number, high: number): Look => ({ name, range: percentiles(levels, low, high) });
  return [span(OWN_LOOK, 0.5, 99.5), span("Lungs", 0.5, 70), span("Mediastinum and bone", 35, 99.9)];
}

function percentiles(levels: Levels, low: number, high: number): Range {
  const range = { lower: percentile(levels, low), upper: percentile(levels, high) };
  if (range.upper > range.lower) return range;
  const used = [...levels.count.keys()].filter((level) => levels.count[level]);
  const [lower = 0, upper = 0] = [used[0], used.at(-1)];
  return upper > lower ? { lower, upper } : { lower, upper: lower + 1 };
}

/** Between two pixels the level is in proportion, as numpy has it. */
function percentile(levels: Levels, percent: number): number {
  const rank = (percent / 100) * (levels.total - 1);
  const below = levelAt(levels, Math.floor(rank)), above = levelAt(levels, Math.ceil(rank));
  return below + (above - below) * (rank - Math.floor(rank));
}

function levelAt(levels: Levels, rank: number): number {
  let seen = 0;
  for (let level = 0; level < LEVELS; level += 1) {
    seen += levels.count[level] ?? 0;
    if (seen > rank) return level;
  }
  return LEVELS - 1;
}
