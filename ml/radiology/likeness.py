"""Films that look the same though their pixels differ: sent again at another size, or compressed anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SIDE = 16
BITS = SIDE * SIDE
ALIKE_BITS = 7  # of 256 that may differ
BANDS = ALIKE_BITS + 1  # so many bits differ that one band at least is equal
NEIGHBOURS = 16  # looked at within a band of equal value: enough to find that a film has a double
Bytes = npt.NDArray[np.uint8]
Pairs = npt.NDArray[np.intp]


def perceptual_hash(pixels: npt.NDArray[np.number]) -> bytes:
    """32 bytes of (rows, columns): whether it grows brighter from each of 16 x 16 places to the next
    (a difference hash; Krawetz 2013)."""
    small = _means(_means(pixels.astype(np.float32), SIDE, 0), SIDE + 1, 1)
    return np.packbits(np.diff(small, axis=1) > 0).tobytes()


def _means(values: npt.NDArray[np.float32], n: int, axis: int) -> npt.NDArray[np.float32]:
    """Of n even slices along the axis; a film smaller than that has some rows twice."""
    length = values.shape[axis]
    starts = np.arange(n) * length // n
    counts = np.maximum(np.diff(np.append(starts, length)), 1)
    shape = (-1, 1) if axis == 0 else (1, -1)
    return np.asarray(np.add.reduceat(values, starts, axis) / counts.reshape(shape), np.float32)


def near_pairs(hashes: Sequence[bytes]) -> Pairs:
    """(n, 2) rows that look alike, each pair once. A film with very many doubles is found with some."""
    if len(hashes) < 2:
        return np.empty((0, 2), np.intp)
    bits: Bytes = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), BITS // 8)
    found = []
    for band in np.split(bits, BANDS, axis=1):
        value = np.ascontiguousarray(band).view(np.uint32)[:, 0]
        order = np.argsort(value, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            first, second = order[:-step], order[step:]
            same = value[first] == value[second]
            first, second = first[same], second[same]
            differ = np.bitwise_count(bits[first] ^ bits[second]).sum(1)
            found.append(np.column_stack([first, second])[differ <= ALIKE_BITS])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
