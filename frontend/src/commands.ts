import { isTyping, make } from "./dom";

export interface Command {
  label: string;
  keys: string;
  run: () => void;
}

function label(element: HTMLElement): string {
  return (element.dataset.keyLabel ?? element.getAttribute("aria-label") ?? element.textContent ?? "").trim();
}

/** Everything this page can do: its own keyed actions, then the places of the rail, then the shell's. */
export function commands(): Command[] {
  const found: Command[] = [];
  for (const element of document.querySelectorAll<HTMLElement>("[data-key]")) {
    found.push({ label: label(element), keys: element.dataset.key ?? "", run: () => element.click() });
  }
  for (const link of document.querySelectorAll<HTMLAnchorElement>("[data-shortcut]")) {
    found.push({ label: `Go to ${label(link)}`, keys: link.dataset.shortcut ?? "", run: () => link.click() });
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-command]")) {
    found.push({ label: element.dataset.command ?? "", keys: "", run: () => element.click() });
  }
  return found;
}

function keycaps(keys: string): HTMLElement {
  const box = make("span");
  for (const key of keys.split(" ").filter(Boolean)) box.append(make("kbd", {}, key), " ");
  return box;
}

const ALWAYS: [string, string][] = [
  ["j k", "Next, previous row"],
  ["Enter", "Open the row"],
  ["/", "Search this page"],
  ["t", "Chart as a table"],
  ["Ctrl-K", "Commands"],
  ["?", "This sheet"],
  ["Esc", "Close"],
];

export function openSheet(): void {
  const list = make("ul");
  const lines: [string, string][] = commands().filter((c) => c.keys).map((c) => [c.keys, c.label]);
  for (const element of document.querySelectorAll<HTMLElement>("[data-sheet]")) lines.push([element.dataset.sheet ?? "", label(element)]);
  for (const [keys, text] of [...lines, ...ALWAYS]) {
    list.append(make("li", {}, make("span", {}, text), keycaps(keys)));
  }
  show(make("dialog", { class: "dialog sheet", tabindex: "0", "aria-label": "Keyboard" }, make("h2", {}, "Keyboard"), list));
}

function show(dialog: HTMLDialogElement): void {
  if (document.querySelector("dialog[open]")) return;
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

export function openPalette(): void {
  const all = commands();
  const input = make("input", {
    type: "text", placeholder: "What to do, or where to go", "aria-label": "Command", role: "combobox",
    "aria-expanded": "true", "aria-controls": "command-list", autocomplete: "off",
  });
  const list = make("ul", { id: "command-list", role: "listbox" });
  const dialog = make("dialog", { class: "dialog commands", "aria-label": "Commands" }, input, list);
  let chosen = 0;
  let shown: Command[] = [];
  const run = (command: Command | undefined): void => {
    dialog.close();
    command?.run();
  };
  const draw = (): void => {
    const words = input.value.toLowerCase().split(/\s+/);
    shown = all.filter((c) => words.every((word) => c.label.toLowerCase().includes(word)));
    chosen = Math.min(chosen, Math.max(0, shown.length - 1));
    list.replaceChildren(
      ...shown.map((command, index) => {
        const item = make("li", { role: "option", "aria-selected": String(index === chosen) }, command.label, keycaps(command.keys));
        item.addEventListener("click", () => run(command));
        return item;
      }),
    );
    if (shown.length === 0) list.append(make("li", { class: "muted" }, "Nothing by that name here"));
  };
  input.addEventListener("input", () => { chosen = 0; draw(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); run(shown[chosen]); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % Math.max(1, shown.length);
      draw();
    }
  });
  draw();
  show(dialog);
  input.focus();
}

export function startCommands(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-palette]")) openPalette();
    if (target.closest("[data-sheet]")) openSheet();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
    } else if (event.key === "?" && !isTyping(event.target)) {
      event.preventDefault();
      openSheet();
    }
  });
}
