/** What stands round a film, from its metadata: whose it is, when it was made, what it is not. */
import { type Attributes, number, numbers, text } from "./attributes";

const DAY_MS = 86_400_000;
const LOSSY = new Set(["50", "51", "81", "91", "93", "203"].map((last) => `1.2.840.10008.1.2.4.${last}`));

export function patientLines(of: Attributes): string[] {
  const name = text(of, "00100010").split("^").map((part) => part.trim()).filter(Boolean).join(", ");
  const born = date(text(of, "00100030"));
  return [
    name || "Name not given",
    `ID ${text(of, "00100020") || "not given"}`,
    `born ${born || "not given"}${text(of, "00100040") ? `, ${text(of, "00100040")}` : ""}`,
  ];
}

export function studyLines(of: Attributes): string[] {
  const what = [text(of, "00080060"), text(of, "00180015"), text(of, "00185101"), laterality(of)].filter(Boolean);
  return [`Study ${date(text(of, "00080020")) || "date not given"} ${time(text(of, "00080030"))}`.trim(), what.join(" ")];
}

function laterality(of: Attributes): string {
  const side = text(of, "00200062") || text(of, "00200060");
  return { R: "right side", L: "left side", B: "both sides" }[side] ?? "";
}

export function lossText(of: Attributes): string {
  const isLossy = text(of, "00282110") === "01" || LOSSY.has(text(of, "00083002"));
  if (!isLossy) return "";
  const ratio = numbers(of, "00282112").filter((one) => one > 0);
  return `Lossy compression${ratio.length ? ` ${ratio.map((one) => `${Math.round(one * 10) / 10}:1`).join(", ")}` : ""}`;
}

export function date(value: string): string {
  const found = /^(\d{4})(\d\d)(\d\d)$/.exec(value);
  return found ? `${found[1]}-${found[2]}-${found[3]}` : value;
}

function time(value: string): string {
  const found = /^(\d\d)(\d\d)/.exec(value);
  return found ? `${found[1]}:${found[2]}` : value;
}

/** "PRIOR 2024-01-31, 1 y 2 mo earlier". */
export function priorText(of: Attributes, current: Attributes): string {
  const [then, now] = [text(of, "00080020"), text(current, "00080020")];
  return `PRIOR ${date(then) || "without a date"}${apart(then, now)}`;
}

function apart(then: string, now: string): string {
  const [from, to] = [Date.parse(date(then)), Date.parse(date(now))];
  if (Number.isNaN(from) || Number.isNaN(to)) return ", interval unknown";
  if (from === to) return ", same day";
  return `, ${span(Math.min(from, to), Math.max(from, to))} ${to > from ? "earlier" : "later"}`;
}

/** Whole months of the calendar: a year to the day is 12 of them. */
function span(from: number, to: number): string {
  const days = Math.round((to - from) / DAY_MS);
  if (days < 60) return days === 1 ? "1 day" : `${days} days`;
  const [then, now] = [new Date(from), new Date(to)];
  const begun = (now.getUTCFullYear() - then.getUTCFullYear()) * 12 + now.getUTCMonth() - then.getUTCMonth();
  const months = begun - (now.getUTCDate() < then.getUTCDate() ? 1 : 0);
  if (months < 24) return `${months} months`;
  return `${Math.floor(months / 12)} y${months % 12 ? ` ${months % 12} mo` : ""}`;
}

export function frames(of: Attributes): number {
  return Math.max(1, number(of, "00280008") || 1);
}
