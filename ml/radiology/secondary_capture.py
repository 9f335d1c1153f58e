"""A film with the model's attention laid over it, as a DICOM Secondary Capture: words burned in, never to be
analysed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pydicom.config
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from ml.radiology.codes import DCM, Code
from ml.radiology.contracts import Bytes, InstanceHeader, Place, ReadFilm
from ml.radiology.result_headers import as_file, concept, equipment, identify, stamp
from ml.radiology.vocabulary import RESEARCH_USE, attention_words

DESCRIPTION = "AI model attention, preliminary"
SERIES_NUMBER = 9002
SIDE = 1024  # the longer side of each film in the picture
TEXT, MARGIN, LINE = 26, 12, 34  # pixels
_SOURCE_IMAGE = Code("121322", DCM, "Source image for image processing operation")
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def make_capture(film: ReadFilm, picture: bytes, *, place: Place, number: int, at: datetime) -> bytes:
    """A DICOM file, RGB, with a panel for each of the film's overlays; `picture` is the film as an 8-bit PNG.

    `number` is its place in the series, from 1; `at` is in the time zone of the study's own times. Raises
    ValueError without any overlay.
    """
    who = film.algorithm
    words = [line for label in film.overlays for line in attention_words(label)]
    with pydicom.config.disable_value_validation():
        image = SCImage(
            pixel_array=draw_panels(film, picture),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "F"),
            study_instance_uid=place.StudyInstanceUID,
            series_instance_uid=place.SeriesInstanceUID,
            series_number=SERIES_NUMBER,
            series_description=DESCRIPTION,
            sop_instance_uid=place.SOPInstanceUID,
            instance_number=number,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **equipment([who]),
        )
        identify(image, film.header)
        stamp(image, at)
        image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = image.ContentDate, image.ContentTime
        # highdicom wants an orientation; the film's own is not known here, and a wrong one would tell sides.
        image.PatientOrientation = []
        image.ConversionType = "WSD"
        image.BurnedInAnnotation, image.RecognizableVisualFeatures = "YES", "NO"
        image.ImageComments = " ".join([*dict.fromkeys(words), RESEARCH_USE])
        image.DerivationDescription = f"Grad-CAM of {who.name} {who.version} over the film"
        image.SourceImageSequence = [_source(film.header)]
    return as_file(image)


def draw_panels(film: ReadFilm, picture: bytes) -> Bytes:
    """uint8 (rows, columns, 3): the film once for each overlay, in a grid, each with its words below."""
    panels = list(_panels(film, picture))
    if not panels:
        raise ValueError("There is no attention to draw.")
    width, height = panels[0].size
    across = math.ceil(math.sqrt(len(panels)))
    grid = Image.new("RGB", (width * across, height * math.ceil(len(panels) / across)))
    for i, panel in enumerate(panels):
        grid.paste(panel, (i % across * width, i // across * height))
    return np.asarray(grid, np.uint8)


def _panels(film: ReadFilm, picture: bytes) -> Iterator[Image.Image]:
    grey = Image.open(io.BytesIO(picture)).convert("RGB")
    scale = SIDE / max(grey.size)
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    grey = grey.resize(size, Image.Resampling.LANCZOS)
    font = ImageFont.load_default(TEXT)
    # A narrow film gets black beside it, so that its words have room.
    width = max(size[0], SIDE // 2)
    words = {label: _wrap(attention_words(label), font, width - 2 * MARGIN) for label in film.overlays}
    height = size[1] + 2 * MARGIN + LINE * max((len(lines) for lines in words.values()), default=0)
    for label, overlay in film.overlays.items():
        panel = Image.new("RGB", (width, height))
        colour = Image.open(io.BytesIO(overlay)).convert("RGBA").resize(size, Image.Resampling.BILINEAR)
        shown = Image.alpha_composite(grey.convert("RGBA"), colour).convert("RGB")
        panel.paste(shown, ((width - size[0]) // 2, 0))
        draw = ImageDraw.Draw(panel)
        for i, line in enumerate(words[label]):
            draw.text((MARGIN, size[1] + MARGIN + i * LINE), line, font=font, fill="white")
        yield panel


def _wrap(texts: tuple[str, ...], font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for text in texts:
        line = ""
        for word in text.split():
            if line and font.getlength(f"{line} {word}") > width:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
        lines.append(line)
    return lines


def _source(header: InstanceHeader) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [concept(_SOURCE_IMAGE)]
    return item
