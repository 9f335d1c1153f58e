/** One frame of one instance, fetched from our WADO-RS: its metadata, its values, and how it can be shown. */
import { type Attributes, number, text } from "./attributes";
import { type Levels, levelled, LEVELS, type Stored, storedValues } from "./levels";
import { type Look, looksOf } from "./looks";

const EXPLICIT_LITTLE = "1.2.840.10008.1.2.1";
/** Says that nobody asked for it yet: the audit tells it from a film that was opened. */
const AHEAD = { "X-Lynceus-Prefetch": "1" };
const KEPT = 4;

export interface Film {
  attributes: Attributes;
  width: number;
  height: number;
  levels: Levels;
  looks: Look[];
  /** Levels from its darkest to its brightest value. */
  span: number;
  /** Null where only an 8-bit picture could be had. */
  stored: Stored | null;
}

/** Films of this page's life, the last few by their address: never longer, and nowhere but in memory. */
const fetched = new Map<string, Promise<Film>>();
const described = new Map<string, Promise<Attributes>>();

export function attributesAt(address: string, isAhead = false): Promise<Attributes> {
  return kept(described, address, async () => {
    const answer = await ask(`${address}/metadata`, "application/dicom+json", isAhead);
    const [attributes] = (await answer.json()) as Attributes[];
    if (!attributes) throw new Error("The film has no description.");
    return attributes;
  });
}

/** `address` is an instance's in DICOMweb. Rejects with a sentence for people. */
export function filmAt(address: string, frame = 1, isAhead = false): Promise<Film> {
  return kept(fetched, `${address}/frames/${frame}`, async () => {
    const attributes = attributesAt(address, isAhead);
    // Side by side: what comes for a film that turns out to be in colour is then left unread.
    const values = frameBytes(address, frame, isAhead);
    values.catch(() => undefined);
    const of = await attributes;
    if (!hasPlainGrey(of)) return pictureFilm(address, frame, of, isAhead);
    let bytes: ArrayBuffer;
    try {
      bytes = await values;
    } catch (error) {
      if (error instanceof Refused && error.status === 406) return pictureFilm(address, frame, of, isAhead);
      throw error;
    }
    return filmOf(of, storedValues(bytes, of), true);
  });
}

async function filmOf(of: Attributes, stored: Stored, isFull: boolean, size?: [number, number]): Promise<Film> {
  const levels = await levelled(stored, of);
  const looks = isFull
    ? await looksOf(levels, of)
    : [{ name: "As rendered", range: { lower: levels.level(0), upper: levels.level(255) } }];
  const [width, height] = size ?? [number(of, "00280011"), number(of, "00280010")];
  const span = LEVELS - 1 - levels.count.findIndex((count) => count > 0);
  return { attributes: of, width, height, levels, looks, span: Math.max(1, span), stored: isFull ? stored : null };
}

function hasPlainGrey(of: Attributes): boolean {
  return text(of, "00280004").startsWith("MONOCHROME") && number(of, "00280002") === 1 && number(of, "00280100") % 8 === 0;
}

async function frameBytes(address: string, frame: number, isAhead: boolean): Promise<ArrayBuffer> {
  const accept = `application/octet-stream; transfer-syntax=${EXPLICIT_LITTLE}`;
  return (await ask(`${address}/frames/${frame}`, accept, isAhead)).arrayBuffer();
}

/** Colour, and what the server does not give in full depth: its grey picture of 8 bits. */
async function pictureFilm(address: string, frame: number, of: Attributes, isAhead: boolean): Promise<Film> {
  const answer = await ask(`${address}/frames/${frame}/rendered`, "image/png", isAhead);
  const picture = await createImageBitmap(await answer.blob());
  const { width, height } = picture;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("This browser gives no canvas.");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const index = Uint16Array.from({ length: width * height }, (_, at) => data[at * 4] ?? 0);
  return filmOf({ ...of, ...PLAIN }, { index, value: (at) => at, isExact: true }, false, [width, height]);
}

/** A picture is past modality transformation, polarity and padding. */
const PLAIN: Attributes = {
  "00280004": { vr: "CS", Value: ["MONOCHROME2"] },
  "00280120": { vr: "US" }, "00281052": { vr: "DS" }, "00281053": { vr: "DS" }, "00283000": { vr: "SQ" },
};

export class Refused extends Error {
  constructor(readonly status: number, message: string) { super(message); }
}

async function ask(url: string, accept: string, isAhead: boolean): Promise<Response> {
  const answer = await fetch(url, { headers: { Accept: accept, ...(isAhead ? AHEAD : {}) } });
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new Refused(answer.status, said.detail ?? `The film could not be fetched (${answer.status}).`);
}

function kept<T>(shelf: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = shelf.get(key);
  if (known) return known;
  const made = make();
  shelf.set(key, made);
  made.catch(() => shelf.delete(key));
  const oldest = shelf.keys().next().value;
  if (shelf.size > KEPT && oldest !== undefined) shelf.delete(oldest);
  return made;
}

/** The film's values as they are drawn with this look: levels, or the look's curve of them. */
export function drawn(film: Film, look: Look): Uint16Array<ArrayBuffer> {
  const { curve } = look;
  if (!curve) return film.levels.data;
  const table = Uint16Array.from(curve, (grey) => Math.round(grey * (LEVELS - 1)));
  if (film.levels.padded) table[0] = 0;
  return film.levels.data.map((level) => table[level] ?? 0);
}
