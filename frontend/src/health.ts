import { poll } from "./dom";

const EVERY_MS = 60_000;

interface Status {
  checks: { name: string; ok: boolean }[];
  queues: { name: string; workers: number | null }[];
}

function isStatus(value: unknown): value is Status {
  const body = value as Partial<Status> | null;
  return Array.isArray(body?.checks) && Array.isArray(body?.queues);
}

async function look(element: HTMLElement): Promise<void> {
  const text = element.querySelector(".text");
  const dot = element.querySelector(".dot");
  if (document.hidden || !text || !dot) return;
  let down: string[];
  try {
    const answer = await poll(element.dataset.health ?? "");
    const body: unknown = answer.ok ? await answer.json() : null;
    if (!isStatus(body)) {
      element.hidden = true;
      return;
    }
    down = body.checks.filter((check) => !check.ok).map((check) => check.name);
    down.push(...body.queues.filter((queue) => queue.workers === 0).map((queue) => `${queue.name} worker`));
  } catch {
    down = ["server unreachable"];
  }
  element.hidden = false;
  element.classList.toggle("down", down.length > 0);
  dot.className = down.length > 0 ? "dot attention" : "dot good";
  text.textContent = down.length === 0 ? "all up" : down.length === 1 ? `${down[0]} down` : `${down.length} parts down`;
  element.title = down.length === 0 ? "Every part is up" : `Down: ${down.join(", ")}`;
}

export function startHealth(): void {
  const element = document.querySelector<HTMLElement>("[data-health]");
  if (!element) return;
  void look(element);
  window.setInterval(() => void look(element), EVERY_MS);
}
