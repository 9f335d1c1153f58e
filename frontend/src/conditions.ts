import { csrfToken, make } from "./dom";

interface Field { name: string; kind: string; words: string; of: string }
interface Verdict { ok: boolean; message: string; at: number | null; near: string }

const WAIT_MS = 400;
const OFFERED = 12;
const SAID = new Set(["and", "or", "not", "in", "true", "false"]);
let made = 0;

/** The word that ends at the caret; null within a text in quotes, where no name is meant. */
function wordBefore(text: string, caret: number): string | null {
  const before = text.slice(0, caret);
  if ((before.match(/"/g) ?? []).length % 2) return null;
  return /[A-Za-z_][A-Za-z0-9_]*$/.exec(before)?.[0] ?? "";
}

/** Names that begin so, then those that hold it, then those whose meaning does. */
function offered(fields: Field[], word: string): Field[] {
  const wanted = word.toLowerCase();
  const rank = (field: Field): number =>
    field.name.startsWith(wanted) ? 0 : field.name.includes(wanted) ? 1 : field.words.toLowerCase().includes(wanted) ? 2 : 3;
  return fields.map((field) => ({ field, at: rank(field) })).filter(({ at }) => at < 3).sort((a, b) => a.at - b.at).map(({ field }) => field);
}

/** A box for a condition: offers fields while one types, and says what is wrong with it, and where. */
class Condition {
  private readonly list = make("ul", { class: "completions", role: "listbox", tabindex: "0", id: `completions-${(made += 1)}`, "aria-label": "Fields" });
  private readonly says = make("p", { class: "note condition", role: "status" });
  private found: Field[] = [];
  private chosen = 0;
  private timer = 0;
  private asked = 0;

  constructor(private readonly box: HTMLTextAreaElement, private readonly fields: Field[], private readonly check: string) {
    this.list.hidden = true;
    this.says.hidden = true;
    const holder = make("div", { class: "completed" });
    box.before(holder);
    holder.append(box, this.list);
    holder.after(this.says);
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-controls", this.list.id);
    box.addEventListener("input", () => this.typed());
    box.addEventListener("keydown", (event) => this.pressed(event));
    box.addEventListener("blur", () => this.close());
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.clicked(event));
  }

  private typed(): void {
    this.box.closest(".panel")?.querySelector(".note.fault")?.remove();
    const word = wordBefore(this.box.value, this.box.selectionStart);
    if (!word || SAID.has(word)) this.close();
    else this.offer(offered(this.fields, word).slice(0, OFFERED), word);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), WAIT_MS);
  }

  private offer(found: Field[], word: string): void {
    if (!found.length || (found.length === 1 && found[0]?.name === word)) {
      this.close();
      return;
    }
    this.found = found;
    this.list.replaceChildren(...found.map((field, index) =>
      make("li", { role: "option", id: `${this.list.id}-${index}`, "aria-selected": "false" }, make("code", {}, field.name), make("span", { class: "muted" }, `${field.words}, ${field.kind}`))));
    this.list.hidden = false;
    this.choose(0);
  }

  private choose(index: number): void {
    this.chosen = (index + this.found.length) % this.found.length;
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === this.chosen)));
    const option = this.list.children[this.chosen];
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.box.setAttribute("aria-activedescendant", option.id);
  }

  private close(): void {
    this.list.hidden = true;
    this.found = [];
    this.box.removeAttribute("aria-activedescendant");
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      const word = wordBefore(this.box.value, this.box.selectionStart);
      if (word !== null) this.offer(offered(this.fields, word), "");
      return;
    }
    if (this.list.hidden) return;
    const move: Record<string, () => void> = {
      ArrowDown: () => this.choose(this.chosen + 1), ArrowUp: () => this.choose(this.chosen - 1),
      Enter: () => this.take(this.found[this.chosen]), Tab: () => this.take(this.found[this.chosen]), Escape: () => this.close(),
    };
    const act = move[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  private clicked(event: MouseEvent): void {
    const option = event.target instanceof Element ? event.target.closest("li") : null;
    if (option) this.take(this.found[[...this.list.children].indexOf(option)]);
  }

  private take(field: Field | undefined): void {
    if (!field) return;
    const caret = this.box.selectionStart;
    const word = wordBefore(this.box.value, caret) ?? "";
    this.box.setRangeText(field.name, caret - word.length, caret, "end");
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
  }

  /** The server knows the grammar; an answer to what was typed before is dropped. */
  private async ask(): Promise<void> {
    const when = this.box.value;
    const turn = (this.asked += 1);
    if (!when.trim()) {
      this.says.hidden = true;
      return;
    }
    try {
      const answer = await fetch(this.check, { method: "POST", headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" }, body: new URLSearchParams({ when }) });
      if (answer.ok && turn === this.asked) this.say(when, (await answer.json()) as Verdict);
    } catch {
      this.says.hidden = true;
    }
  }

  private say(when: string, verdict: Verdict): void {
    this.says.hidden = false;
    this.says.classList.toggle("critical", !verdict.ok);
    if (verdict.ok) {
      this.says.replaceChildren("This can be asked.");
      return;
    }
    const { at } = verdict;
    if (at === null) {
      this.says.replaceChildren(verdict.message);
      return;
    }
    const end = at + verdict.near.length;
    const place = make("button", { type: "button", class: "place", title: "Go there" }, verdict.near || "\u00a0");
    place.addEventListener("click", () => {
      this.box.focus();
      this.box.setSelectionRange(at, Math.max(end, at));
    });
    this.says.replaceChildren(`Character ${at + 1}: ${verdict.message} `, make("code", {}, when.slice(0, at), place, when.slice(end)));
  }
}

export function startConditions(): void {
  for (const form of document.querySelectorAll<HTMLElement>("[data-conditions]")) {
    const fields = JSON.parse(document.getElementById(form.dataset.conditions ?? "")?.textContent ?? "[]") as Field[];
    for (const box of form.querySelectorAll<HTMLTextAreaElement>("textarea[data-condition]")) new Condition(box, fields, form.dataset.check ?? "");
  }
}
