#!/usr/bin/env python3
"""Writes the golden vectors of nearest rounding: rows of floats and the bytes that gguf-py (PyPI `gguf`) makes of them.

Each NAME.bin holds, little-endian: the number of columns as uint32, the columns as float32, the row's bytes.
The rows hold blocks of Gaussians of many scales, heavy tails, equal values, zeros, values half way between two codes
and extremes that occur with both signs.

Run: python3 make.py   (needs the PyPI packages gguf and numpy; 0.19.0 and 2.4.6 made the committed files)
"""
import pathlib
import struct

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.quants import quantize

COLUMNS = 2048


def make_row(random):
    blocks = random.standard_normal((COLUMNS // 32, 32)).astype(np.float32)
    blocks *= np.exp2(random.integers(-12, 4, (len(blocks), 1))).astype(np.float32)
    blocks[8:16] = (random.standard_t(2, (8, 32)) * 0.02).astype(np.float32)
    blocks[16] = 0
    blocks[17] = 0.25
    blocks[18] = -3
    blocks[19] = np.arange(-16, 16) / 2  # half way between codes
    blocks[20, 5], blocks[20, 9] = 7.5, -7.5  # both signs: the first one counts
    blocks[21, 5], blocks[21, 9] = -7.5, 7.5
    blocks[22] = np.abs(blocks[22])
    blocks[23] = -np.abs(blocks[23])
    blocks[24] *= 1e-6
    blocks[25] = np.where(np.arange(32) == 3, 1, 0)
    return blocks.reshape(-1)


def main():
    folder = pathlib.Path(__file__).parent
    row = make_row(np.random.default_rng(8))
    for kind in [Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]:
        packed = quantize(row, kind).view(np.uint8).reshape(-1)
        (folder / f"{kind.name}.bin").write_bytes(struct.pack("<I", COLUMNS) + row.tobytes() + packed.tobytes())


if __name__ == "__main__":
    main()
