import { csrfToken, make, poll } from "./dom";

const FIELD = "files";
const AT_ONCE = 3;
const POLL_MS = 2000;
const POLL_MAX_MS = 60_000;
const FOLLOWED_AT_ONCE = 8;
const WHOLE_MAX_BYTES = 16 * 1024 * 1024;
const TRIES_MAX = 8;
const RETRY_MS = 500;

interface FileAnswer {
  name: string;
  state: string;
  tone?: string;
  message?: string;
  url?: string;
  status_url?: string;
}

function sizeText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Follows films that were sent: a few at each look, in turn; less often while the server does not answer. */
class Follower {
  private readonly waiting: [string, FileRow, FileAnswer][] = [];
  private pause = POLL_MS;
  private timer = 0;

  add(url: string, row: FileRow, answer: FileAnswer): void {
    this.waiting.push([url, row, answer]);
    this.schedule();
  }

  private schedule(): void {
    if (this.timer || this.waiting.length === 0) return;
    this.timer = window.setTimeout(() => void this.look(), this.pause);
  }

  private async look(): Promise<void> {
    if (!document.hidden) {
      const some = this.waiting.splice(0, FOLLOWED_AT_ONCE);
      const answered = await Promise.all(some.map((one) => this.ask(...one)));
      this.pause = answered.includes(false) ? Math.min(this.pause * 2, POLL_MAX_MS) : POLL_MS;
    }
    this.timer = 0;
    this.schedule();
  }

  /** Whether the server answered; a film that is not done yet goes to the end of the line. */
  private async ask(url: string, row: FileRow, answer: FileAnswer): Promise<boolean> {
    const reply = await poll(url).catch(() => null);
    if (reply?.status === 403 || reply?.status === 404) return true;
    const body = reply?.ok ? ((await reply.json().catch(() => null)) as (FileAnswer & { done: boolean }) | null) : null;
    if (body) row.settle({ ...answer, ...body, status_url: undefined });
    if (!body?.done) this.waiting.push([url, row, answer]);
    return body !== null;
  }
}

const follower = new Follower();

class FileRow {
  readonly element = make("li");
  private readonly name: HTMLElement;
  private readonly state = make("span", { class: "chip neutral" }, "waiting");
  private readonly says = make("span", { class: "says" });
  private readonly bar = make("progress", { class: "progress", max: "1", value: "0" });

  constructor(name: string, bytes: number | null) {
    this.name = make("span", { class: "name", title: name }, name);
    const size = make("span", { class: "size" }, bytes === null ? "" : sizeText(bytes));
    this.element.append(this.name, size, this.state, this.says);
  }

  sent(share: number): void {
    if (!this.bar.isConnected) this.element.append(this.bar);
    this.bar.value = share;
    this.state.textContent = share < 1 ? "sending" : "checking";
  }

  settle(answer: FileAnswer): void {
    this.bar.remove();
    this.state.textContent = answer.state;
    this.state.className = `chip ${answer.tone ?? "neutral"}`;
    this.says.textContent = answer.message ?? "";
    if (answer.url) this.name.replaceChildren(make("a", { href: answer.url }, answer.name || this.name.title));
    if (answer.status_url) follower.add(answer.status_url, this, answer);
  }
}

function post(url: string, field: string, file: File, onShare: (share: number) => void): Promise<FileAnswer[]> {
  return new Promise((resolve) => {
    const refuse = (message: string): void => resolve([{ name: file.name, state: "refused", tone: "critical", message }]);
    const xhr = new XMLHttpRequest();
    xhr.open("POST", url);
    xhr.setRequestHeader("Accept", "application/json");
    xhr.setRequestHeader("X-CSRFToken", csrfToken());
    xhr.upload.addEventListener("progress", (event) => onShare(event.lengthComputable ? event.loaded / event.total : 0));
    xhr.upload.addEventListener("load", () => onShare(1));
    xhr.addEventListener("error", () => refuse("The connection broke. Send it again."));
    xhr.addEventListener("load", () => {
      let body: { files?: FileAnswer[]; detail?: string };
      try {
        body = JSON.parse(xhr.responseText) as typeof body;
      } catch {
        body = {};
      }
      if (body.files?.length) resolve(body.files);
      else refuse(body.detail ?? `Not accepted (${xhr.status}).`);
    });
    const form = new FormData();
    form.append(field, file);
    xhr.send(form);
  });
}

interface UploadState {
  url: string;
  received: number;
  piece_bytes: number;
  files?: FileAnswer[];
}

/** A large file in pieces: a broken line costs one piece, and the same file chosen after a reload goes on. */
class PieceSender {
  constructor(private readonly url: string, private readonly file: File, private readonly onShare: (share: number) => void) {}

  async send(): Promise<FileAnswer[]> {
    try {
      let state = await this.ask(this.url, this.about());
      for (let failed = 0; !state.files; ) {
        this.onShare(state.received / this.file.size);
        const next = await this.piece(state).catch((error: unknown) => {
          if (error instanceof Refused || ++failed > TRIES_MAX) throw error;
          return null;
        });
        if (next) failed = 0;
        else await new Promise((later) => window.setTimeout(later, RETRY_MS * failed));
        state = next ?? (await this.ask(state.url).catch(() => state));
      }
      return state.files;
    } catch (error) {
      const message = error instanceof Refused ? error.message : "The connection broke. Choose it again to go on.";
      return [{ name: this.file.name, state: "refused", tone: "critical", message }];
    }
  }

  private about(): FormData {
    const form = new FormData();
    form.append("name", this.file.name);
    form.append("size", String(this.file.size));
    form.append("fingerprint", `${this.file.size}|${this.file.lastModified}|${this.file.name}`.slice(0, 200));
    return form;
  }

  private piece(state: UploadState): Promise<UploadState> {
    const part = this.file.slice(state.received, state.received + state.piece_bytes, "application/octet-stream");
    return this.ask(state.url, part, { "Upload-Offset": String(state.received) });
  }

  /** What the server says of the upload; where a piece belongs elsewhere, that is no failure. */
  private async ask(url: string, body?: Blob | FormData, headers: Record<string, string> = {}): Promise<UploadState> {
    const reply = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken(), ...headers },
    });
    if (reply.status === 409) return this.ask(url);
    if (reply.ok) return (await reply.json()) as UploadState;
    const said = (await reply.json().catch(() => ({}))) as { detail?: string };
    if (reply.status < 500) throw new Refused(said.detail ?? `Not accepted (${reply.status}).`);
    throw new Error(said.detail);
  }
}

class Refused extends Error {}

/** Every file under dropped files and folders, by name. */
async function filesOf(entries: (FileSystemEntry | null)[]): Promise<File[]> {
  const found: File[] = [];
  for (const entry of entries) {
    if (entry?.isFile) {
      found.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    } else if (entry?.isDirectory) {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      // A reader gives a hundred at a time, and nothing once it is through.
      const inside: FileSystemEntry[] = [];
      for (;;) {
        const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        inside.push(...some);
      }
      found.push(...(await filesOf(inside.sort((one, other) => one.name.localeCompare(other.name)))));
    }
  }
  return found;
}

class Dropzone {
  private readonly list: HTMLElement;
  private readonly sum = make("p", { class: "sum", role: "status" });
  private readonly waiting: [File, FileRow][] = [];
  private running = 0;
  private done = 0;
  private total = 0;

  constructor(private readonly form: HTMLFormElement, private readonly inputs: HTMLInputElement[]) {
    this.list = make("ul", { class: "files", "aria-label": "Files" });
    form.append(this.sum);
    form.after(this.list);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const input of inputs) this.take(input.files);
    });
    for (const input of inputs) input.addEventListener("change", () => this.take(input.files));
    for (const name of ["dragenter", "dragover"]) {
      form.addEventListener(name, (event) => {
        event.preventDefault();
        form.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      // Entries are only there while the event is handled: they are asked for before anything is awaited.
      const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
      if (entries.some((entry) => entry?.isDirectory)) void filesOf(entries).then((files) => this.take(files));
      else this.take(event.dataTransfer?.files ?? null);
    });
  }

  private take(files: Iterable<File> | null): void {
    for (const file of files ?? []) {
      const row = new FileRow(file.name, file.size);
      this.list.append(row.element);
      this.waiting.push([file, row]);
      this.total += 1;
    }
    for (const input of this.inputs) input.value = "";
    this.next();
  }

  private next(): void {
    this.sum.textContent = this.total ? `${this.done} of ${this.total} sent` : "";
    while (this.running < AT_ONCE) {
      const job = this.waiting.shift();
      if (!job) return;
      this.running += 1;
      void this.send(...job);
    }
  }

  private async send(file: File, row: FileRow): Promise<void> {
    const url = this.form.dataset.url ?? this.form.action;
    const pieces = this.form.dataset.pieces;
    const onShare = (share: number): void => row.sent(share);
    const large = pieces && file.size > WHOLE_MAX_BYTES;
    const [first, ...rest] = large
      ? await new PieceSender(pieces, file, onShare).send()
      : await post(url, FIELD, file, onShare);
    if (first) row.settle(first);
    let last = row.element;
    for (const answer of rest) {
      const extra = new FileRow(answer.name, null);
      extra.settle(answer);
      last.after(extra.element);
      last = extra.element;
    }
    this.running -= 1;
    this.done += 1;
    this.next();
  }
}

export function startDropzones(root: ParentNode): void {
  for (const form of root.querySelectorAll<HTMLFormElement>("form[data-dropzone]:not([data-mounted])")) {
    form.dataset.mounted = "";
    new Dropzone(form, [...form.querySelectorAll<HTMLInputElement>("input[type='file']")]);
  }
}
