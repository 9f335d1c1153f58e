/**
 * Films handed to Cornerstone3D.
 *
 * It draws levels that are decoded, rescaled and of one polarity already, so its own image loader with its
 * codecs in WebAssembly is not needed, and no `wasm-unsafe-eval` in the Content-Security-Policy.
 * Its world is the film's plane: x along a row, y along a column, in mm or, where nothing is known, pixels.
 */
import { Enums, imageLoader, metaData, type Types, utilities } from "@cornerstonejs/core";
import { drawn, type Film } from "./film";
import type { Look } from "./looks";
import { type Spacing } from "./spacing";

const SCHEME = "film";
interface Shown { film: Film; look: Look; spacing: Spacing }
const shown = new Map<string, Shown>();
let last = 0;

export function registerFilms(): void {
  imageLoader.registerImageLoader(SCHEME, (imageId) => ({ promise: Promise.resolve(imageOf(imageId)) as never }));
  metaData.addProvider((kind: string, imageId: string) => {
    const one = shown.get(imageId);
    return one && moduleOf(kind, one);
  }, 10_000);
}

/** An id that Cornerstone asks us for: a number, with nothing of a patient in it. A known one is shown anew. */
export function announce(film: Film, look: Look, spacing: Spacing, imageId = `${SCHEME}:${(last += 1)}`): string {
  shown.set(imageId, { film, look, spacing });
  return imageId;
}

export function forget(imageId: string): void {
  shown.delete(imageId);
}

export function spacingOf(imageId: string): Spacing | undefined {
  return shown.get(imageId)?.spacing;
}

function imageOf(imageId: string): Types.IImage {
  const one = shown.get(imageId);
  if (!one) throw new Error("This film is no longer shown.");
  const { film, look, spacing } = one;
  const scalarData = drawn(film, look);
  const { width, height } = film;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({ width, height, scalarData, numberOfComponents: 1 });
  return {
    imageId, width, height, rows: height, columns: width, numberOfComponents: 1, color: false, rgba: false, invert: false,
    columnPixelSpacing: spacing.column, rowPixelSpacing: spacing.row, dataType: "Uint16Array", sizeInBytes: scalarData.byteLength,
    minPixelValue: 0, maxPixelValue: 65535, slope: 1, intercept: 0, preScale: { enabled: false },
    windowCenter: (look.range.lower + look.range.upper + 1) / 2, windowWidth: look.range.upper - look.range.lower + 1,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR, photometricInterpretation: "MONOCHROME2",
    voxelManager: voxelManager as Types.IVoxelManager<number>,
    getPixelData: () => scalarData,
    getCanvas: () => { throw new Error("A film has no canvas of its own."); },
  };
}

function moduleOf(kind: string, { film, spacing }: Shown): unknown {
  if (kind === Enums.MetadataModules.IMAGE_PIXEL) {
    return {
      bitsAllocated: 16, bitsStored: 16, highBit: 15, pixelRepresentation: 0, samplesPerPixel: 1,
      photometricInterpretation: "MONOCHROME2", rows: film.height, columns: film.width,
    };
  }
  if (kind === Enums.MetadataModules.GENERAL_SERIES) return { modality: "DX" };
  if (kind !== Enums.MetadataModules.IMAGE_PLANE) return undefined;
  return {
    rows: film.height, columns: film.width, rowPixelSpacing: spacing.row, columnPixelSpacing: spacing.column,
    rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], imageOrientationPatient: [1, 0, 0, 0, 1, 0],
    imagePositionPatient: [0, 0, 0], frameOfReferenceUID: "film", usingDefaultValues: false,
  };
}
