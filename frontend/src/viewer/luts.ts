/** Lookup tables of a file (PS3.3 C.11.1.1, C.11.2.1.1). */
import { type Attributes, binary, items, numbers, text } from "./attributes";

export interface Table { name: string; firstMapped: number; bits: number; values: ArrayLike<number> }

/** The first table of a sequence; null where there is none, or none that can be read. */
export async function table(of: Attributes, sequence: string, isSigned: boolean): Promise<Table | null> {
  const item = items(of, sequence)[0];
  if (!item) return null;
  const [entries = NaN, start = NaN, bits = NaN] = numbers(item, "00283002");
  const length = entries || 65536;
  const values = await entriesOf(item);
  if (!values || values.length < length || Number.isNaN(start) || !(bits >= 8 && bits <= 16)) return null;
  const firstMapped = isSigned && start > 32767 ? start - 65536 : start;
  return { name: text(item, "00283003"), firstMapped, bits, values: values.slice(0, length) };
}

async function entriesOf(item: Attributes): Promise<Uint16Array | null> {
  const given = numbers(item, "00283006");
  if (given.length) return given.some(Number.isNaN) ? null : Uint16Array.from(given);
  const bytes = item["00283006"]?.vr === "UN" ? null : await binary(item, "00283006");
  if (!bytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Uint16Array.from({ length: Math.floor(bytes.length / 2) }, (_, at) => view.getUint16(at * 2, true));
}

/** Values before the first mapped take the first entry, values beyond the last the last one. */
export function lookedUp(of: Table, value: number): number {
  const at = Math.min(of.values.length - 1, Math.max(0, value - of.firstMapped));
  return of.values[at] ?? 0;
}
