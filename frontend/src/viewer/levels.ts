/**
 * The values of a film, on the way to grey.
 *
 * A film is held as 16-bit levels, of which the larger is always the brighter: the modality transformation
 * (PS3.3 C.11.1), polarity and padding are settled here, once, and nothing that draws has to think of them.
 */
import { type Attributes, first, items, number, text } from "./attributes";
import { lookedUp, table } from "./luts";

export const LEVELS = 65536;

/** Stored values by an index of 16 bits: for films of up to 16 bits it is the value's own bit pattern. */
export interface Stored { index: Uint16Array<ArrayBuffer>; value: (index: number) => number; isExact: boolean }
/** `data` and `count` in levels; `value` gives a level's modality value, `level` the reverse, not rounded. */
export interface Levels {
  data: Uint16Array<ArrayBuffer>;
  count: Uint32Array;
  total: number;
  padded: number;
  value: (level: number) => number;
  level: (value: number) => number;
}

/** One frame in Explicit VR Little Endian. Throws where it does not hold what the header says. */
export function storedValues(bytes: ArrayBuffer, of: Attributes): Stored {
  const pixels = number(of, "00280010") * number(of, "00280011");
  const bits = number(of, "00280100");
  if (!(pixels > 0) || bytes.byteLength < (pixels * bits) / 8) throw new Error("The film came in incomplete.");
  const isSigned = first(of, "00280103") === 1;
  if (bits > 16) return quantised(bits === 64 ? new Float64Array(bytes, 0, pixels) : wide(bytes, pixels, of));
  const index = bits === 8 ? Uint16Array.from(new Uint8Array(bytes, 0, pixels)) : new Uint16Array(bytes, 0, pixels);
  const spare = 32 - (hasOverlayBits(of) ? number(of, "00280101") : bits);
  const value = isSigned ? (at: number) => (at << spare) >> spare : (at: number) => (at << spare) >>> spare;
  return { index, value, isExact: true };
}

function wide(bytes: ArrayBuffer, pixels: number, of: Attributes): ArrayLike<number> {
  const representation = first(of, "00280103");
  if (representation === undefined) return new Float32Array(bytes, 0, pixels);
  return representation === 1 ? new Int32Array(bytes, 0, pixels) : new Uint32Array(bytes, 0, pixels);
}

/** More than 16 bits are shown in 65536 steps between the smallest and the largest. */
function quantised(values: ArrayLike<number>): Stored {
  let low = Infinity, high = -Infinity;
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!Number.isFinite(high - low)) [low, high] = [0, 0];
  const step = (high - low) / (LEVELS - 1) || 1;
  const index = new Uint16Array(values.length);
  for (let at = 0; at < index.length; at += 1) index[at] = Math.round(((values[at] ?? 0) - low) / step);
  return { index, value: (at) => low + at * step, isExact: false };
}

/** Retired overlays keep their bits above BitsStored; other files whose values exceed it misstate it. */
function hasOverlayBits(of: Attributes): boolean {
  return Object.keys(of).some((tag) => /^60[0-9A-F][02468ACE]0102$/.test(tag) && number(of, tag) > 0);
}

export async function levelled(stored: Stored, of: Attributes): Promise<Levels> {
  const { modality, step } = await modalityOf(of, stored.isExact);
  const found = new Uint32Array(LEVELS);
  for (const at of stored.index) found[at] = (found[at] ?? 0) + 1;
  const isPadding = paddingOf(of, stored, found);
  let low = Infinity, high = -Infinity;
  for (let at = 0; at < LEVELS; at += 1) {
    if (!found[at] || isPadding(at)) continue;
    const value = modality(stored.value(at));
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const axis = axisOf(low, high, Math.max(step, (high - low) / (LEVELS - 1)), text(of, "00280004") === "MONOCHROME1");
  return counted(stored, found, { ...axis, of: (at) => (isPadding(at) ? 0 : Math.round(axis.level(modality(stored.value(at))))), isPadding });
}

interface Axis { level: (value: number) => number; value: (level: number) => number }

/** The brightest value has the last level, so that padding, level 0, lies as far below the rest as can be. */
function axisOf(low: number, high: number, step: number, isInverse: boolean): Axis {
  const top = LEVELS - 1;
  if (isInverse) return { level: (value) => top - (value - low) / step, value: (level) => low + (top - level) * step };
  return { level: (value) => top - (high - value) / step, value: (level) => high - (top - level) * step };
}

function counted(
  stored: Stored, found: Uint32Array, axis: Axis & { of: (index: number) => number; isPadding: (index: number) => boolean },
): Levels {
  const levelOf = Uint16Array.from({ length: LEVELS }, (_, at) => (found[at] ? axis.of(at) : 0));
  const count = new Uint32Array(LEVELS);
  let padded = 0;
  for (let at = 0; at < LEVELS; at += 1) {
    if (found[at] && axis.isPadding(at)) padded += found[at] ?? 0;
    else count[levelOf[at] ?? 0] = (count[levelOf[at] ?? 0] ?? 0) + (found[at] ?? 0);
  }
  const data = new Uint16Array(stored.index.length);
  for (let at = 0; at < data.length; at += 1) data[at] = levelOf[stored.index[at] ?? 0] ?? 0;
  return { data, count, padded, total: data.length - padded, value: axis.value, level: axis.level };
}

/** Stored to modality values, and the smallest step between two of these. */
async function modalityOf(of: Attributes, isExact: boolean): Promise<{ modality: (value: number) => number; step: number }> {
  const least = isExact ? 1 : 0;
  if (items(of, "00283000").length) {
    const lut = await table(of, "00283000", first(of, "00280103") === 1);
    return lut ? { modality: (value) => lookedUp(lut, value), step: 1 } : { modality: (value) => value, step: least };
  }
  const slope = number(of, "00281053"), intercept = number(of, "00281052");
  if (!Number.isFinite(slope) || !Number.isFinite(intercept)) return { modality: (value) => value, step: least };
  return { modality: (value) => value * slope + intercept, step: least * Math.abs(slope) || least };
}

/** PS3.3 C.7.5.1.1.2; a film that is nothing but padding has none. */
function paddingOf(of: Attributes, stored: Stored, found: Uint32Array): (index: number) => boolean {
  const value = first(of, "00280120");
  if (typeof value !== "number") return () => false;
  const limit = first(of, "00280121");
  const other = typeof limit === "number" ? limit : value;
  const [low, high] = [Math.min(value, other), Math.max(value, other)];
  const isPadding = (at: number): boolean => stored.value(at) >= low && stored.value(at) <= high;
  return found.some((count, at) => count > 0 && !isPadding(at)) ? isPadding : () => false;
}
