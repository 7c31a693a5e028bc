#!/usr/bin/env python3
"""Writes the golden vectors of the dequantizers: rows of random blocks and what gguf-py (PyPI `gguf`) reads in them.

Each NAME.bin holds, little-endian: the number of columns as uint32, the row's bytes, the columns as float32.
Quants and small scales are uniform random bits, so every bit pattern occurs; the F16 scales are finite and of all
magnitudes, zeros of both signs and subnormals included.

Run: python3 make.py   (needs the PyPI packages gguf and numpy; 0.19.0 and 2.4.6 made the committed files)
"""
import pathlib
import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

COLUMNS = 4096
# Where the F16 numbers of a block lie, in bytes.
SCALES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.IQ4_NL: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_XS: [0],
}


def finite_halves(random, count):
    bits = random.integers(0, 1 << 16, count, dtype=np.uint16)
    infinite = (bits & 0x7C00) == 0x7C00
    bits[infinite] ^= 0x4000
    bits[:4] = [0x0000, 0x8000, 0x0001, 0x83FF][: len(bits[:4])]
    return bits


def random_row(random, kind):
    if kind == Type.F32:
        bits = random.integers(0, 1 << 32, COLUMNS, dtype=np.uint32)
        bits[(bits & 0x7F800000) == 0x7F800000] ^= 0x40000000
        return bits.view(np.uint8)
    if kind == Type.F16:
        return finite_halves(random, COLUMNS).view(np.uint8)
    if kind == Type.BF16:
        bits = random.integers(0, 1 << 16, COLUMNS, dtype=np.uint16)
        bits[(bits & 0x7F80) == 0x7F80] ^= 0x4000
        return bits.view(np.uint8)
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (COLUMNS // elements, size), dtype=np.uint8)
    for offset in SCALES[kind]:
        blocks[:, offset : offset + 2] = finite_halves(random, len(blocks)).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def main():
    folder = pathlib.Path(__file__).parent
    for kind in [Type.F32, Type.F16, Type.BF16, *SCALES]:
        row = random_row(np.random.default_rng(int(kind) + 1), kind)
        values = dequantize(row, kind).astype(np.float32).reshape(-1)
        assert values.size == COLUMNS
        (folder / f"{kind.name}.bin").write_bytes(struct.pack("<I", COLUMNS) + row.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
