/** Steps on the screen by the arrow keys, in CSS pixels. */
const STEP = 8;
const TOWARDS: Record<string, [number, number]> = {
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
};

export function arrowStep(event: KeyboardEvent): [number, number] | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return TOWARDS[event.key] ?? null;
}
