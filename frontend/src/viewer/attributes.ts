/** DICOM JSON (PS3.18 annex F) as a film's metadata door gives it. */

interface Element { vr: string; Value?: unknown[]; InlineBinary?: string; BulkDataURI?: string }
export type Attributes = Record<string, Element>;

export function first(of: Attributes, tag: string): unknown {
  return of[tag]?.Value?.[0];
}

export function text(of: Attributes, tag: string): string {
  const value = first(of, tag);
  if (typeof value === "object" && value !== null) return String((value as Record<string, string>).Alphabetic ?? "");
  return value === undefined || value === null ? "" : String(value).trim();
}

export function texts(of: Attributes, tag: string): string[] {
  return (of[tag]?.Value ?? []).map((value) => String(value ?? "").trim());
}

/** Numbers of an element; what is no number is NaN and keeps its place. */
export function numbers(of: Attributes, tag: string): number[] {
  return (of[tag]?.Value ?? []).map((value) => (value === null || value === "" ? NaN : Number(value)));
}

export function number(of: Attributes, tag: string): number {
  return numbers(of, tag)[0] ?? NaN;
}

export function items(of: Attributes, tag: string): Attributes[] {
  return (of[tag]?.Value ?? []) as Attributes[];
}

/** A binary value that lies in the metadata or behind its address, which is always on our own origin. */
export async function binary(of: Attributes, tag: string): Promise<Uint8Array | null> {
  const element = of[tag];
  if (element?.InlineBinary !== undefined) return Uint8Array.from(atob(element.InlineBinary), (one) => one.charCodeAt(0));
  if (!element?.BulkDataURI) return null;
  const answer = await fetch(new URL(element.BulkDataURI).pathname, { headers: { Accept: "application/octet-stream" } });
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
}
