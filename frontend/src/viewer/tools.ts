/** What the pointer does on a film. Cornerstone's own tools where they say what a radiograph may say. */
import { getEnabledElement } from "@cornerstonejs/core";
import {
  AngleTool, annotation, BaseTool, addTool, Enums, LengthTool, MagnifyTool, PanTool, ToolGroupManager, type Types, ZoomTool,
} from "@cornerstonejs/tools";
import { spacingOf } from "./images";
import { lengthText } from "./spacing";

const GROUP = "films";
const { MouseBindings } = Enums;
type Dragged = Types.EventTypes.InteractionEventType;

/** By drag: the window by the pane's own rules, so that the readout is in the film's values. */
class WindowTool extends BaseTool {
  static override toolName = "Window";
  static adjust: (viewportId: string, dx: number, dy: number) => void = () => undefined;

  constructor(props: Types.PublicToolProps = {}) {
    super(props, { supportedInteractionTypes: ["Mouse", "Touch"], configuration: {} });
  }

  mouseDragCallback(event: Dragged): void {
    const { element, deltaPoints } = event.detail;
    const [dx, dy] = deltaPoints.canvas;
    WindowTool.adjust(getEnabledElement(element)?.viewportId ?? "", dx, dy);
  }

  touchDragCallback(event: Dragged): void {
    this.mouseDragCallback(event);
  }
}

export const POINTER = {
  window: WindowTool.toolName, pan: PanTool.toolName, zoom: ZoomTool.toolName, magnify: MagnifyTool.toolName,
  length: LengthTool.toolName, angle: AngleTool.toolName,
} as const;
export type Pointer = keyof typeof POINTER;

function lengthLines(data: { cachedStats: Record<string, { length?: number }> }, target: string): string[] {
  const length = data.cachedStats[target]?.length;
  const spacing = spacingOf(target.replace(/^imageId:/, ""));
  return length === undefined || !spacing ? [] : [lengthText(length, spacing)];
}

/** Once a page. `adjust` is told how far the window was dragged, in CSS pixels. */
export function makeTools(adjust: typeof WindowTool.adjust): Types.IToolGroup {
  WindowTool.adjust = adjust;
  const known = ToolGroupManager.getToolGroup(GROUP);
  if (known) return known;
  for (const tool of [WindowTool, PanTool, ZoomTool, MagnifyTool, LengthTool, AngleTool]) addTool(tool);
  const group = ToolGroupManager.createToolGroup(GROUP);
  if (!group) throw new Error("The film tools could not be set up.");
  group.addTool(POINTER.window);
  group.addTool(POINTER.pan);
  group.addTool(POINTER.zoom, { pan: true });
  group.addTool(POINTER.magnify, { magnifySize: 3, magnifyWidth: 220, magnifyHeight: 220 });
  group.addTool(POINTER.length, { getTextLines: lengthLines, actions: {} });
  group.addTool(POINTER.angle, { actions: {} });
  return group;
}

/** The first button and one finger have the chosen tool; others always zoom and pan. */
export function choosePointer(group: Types.IToolGroup, chosen: Pointer): void {
  const always: Partial<Record<Pointer, Types.IToolBinding[]>> = {
    zoom: [{ mouseButton: MouseBindings.Secondary }, { mouseButton: MouseBindings.Wheel }, { numTouchPoints: 2 }],
    pan: [{ mouseButton: MouseBindings.Auxiliary }, { mouseButton: MouseBindings.Primary, modifierKey: Enums.KeyboardBindings.Shift }],
  };
  for (const name of Object.keys(POINTER) as Pointer[]) group.setToolPassive(POINTER[name], { removeAllBindings: true });
  for (const name of Object.keys(POINTER) as Pointer[]) {
    const bindings = always[name] ?? [];
    if (name === chosen) bindings.push({ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 });
    if (bindings.length) group.setToolActive(POINTER[name], { bindings });
  }
}

/** Those that are selected, as the last one drawn is; else all. */
export function deleteMeasurements(): void {
  const selected = annotation.selection.getAnnotationsSelected();
  for (const id of selected) {
    annotation.selection.setAnnotationSelected(id, false);
    annotation.state.removeAnnotation(id);
  }
  if (!selected.length) annotation.state.removeAllAnnotations();
}
