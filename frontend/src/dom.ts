/** Small typed helpers: the Content-Security-Policy rules out building markup from strings with style in it. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** What takes letters: a radio button or a checkbox leaves them to the page. */
const FIELD = "input:not([type='radio'], [type='checkbox']), select, textarea";

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches(FIELD));
}

export function csrfToken(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
}

/** Says that the page asks by itself: that is no sign of a person, and the idle session may end. */
export const POLL = { "X-Lynceus-Poll": "1" };

export function poll(url: string): Promise<Response> {
  return fetch(url, { headers: { Accept: "application/json", ...POLL } });
}

/** The id of an icon in the sprite the page already points to. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.documentElement.dataset.icons ?? ""}#${name}`);
  svg.append(use);
  return svg;
}
