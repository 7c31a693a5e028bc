#!/usr/bin/env python3
"""Tensors and their codes under round-to-nearest in groups, computed with numpy in float32.

The formulas are those of "Evaluating Quantized Large Language Models" (arXiv 2402.18158):
  asymmetric: s = max(max - min, 1e-5) / (2^n - 1); z = clamp(-round(min / s), 0, 2^n - 1);
              q = clamp(round(x / s) + z, 0, 2^n - 1)
  symmetric:  s = max(max |x|, 1e-5) / (2^(n-1) - 1); q = clamp(round(x / s), -2^(n-1), 2^(n-1) - 1)
with ties to even. Writes groups.bin: int32 number of tensors, then for each int32 bits, group, symmetric,
size; float32 x[size]; int16 codes[size]; float32 scales[size / group]; int16 zeros[size / group].
"""
import pathlib
import struct

import numpy as np

f32 = np.float32


def asymmetric(x, n):
    most = 2**n - 1
    s = np.maximum(x.max(1) - x.min(1), f32(1e-5)) / f32(most)
    z = np.clip(-np.round(x.min(1) / s), 0, most)
    q = np.clip(np.round(x / s[:, None]) + z[:, None], 0, most)
    return q, s, z


def symmetric(x, n):
    most = 2 ** (n - 1) - 1
    s = np.maximum(np.abs(x).max(1), f32(1e-5)) / f32(most)
    return np.clip(np.round(x / s[:, None]), -most - 1, most), s, np.zeros(len(x))


def tensors(rng):
    for n in (2, 3, 4, 8):
        for g in (32, 64, 128):
            yield n, g, False, rng.standard_normal(256)
    for n in (2, 3, 4, 8):
        yield n, 64, True, rng.standard_t(3, 256)
    yield 4, 64, False, np.repeat(rng.standard_normal(4), 64)  # constant groups
    yield 4, 64, False, 2.0 + rng.random(256)  # groups above zero
    yield 3, 32, False, -1.0 - rng.random(256)  # groups below zero
    yield 4, 32, False, np.tile(np.arange(32) / 2.0, 8)  # ties


def main():
    rng = np.random.default_rng(5)
    out = []
    for n, g, sym, values in tensors(rng):
        x = values.astype(f32).reshape(-1, g)
        q, s, z = (symmetric if sym else asymmetric)(x, n)
        assert s.dtype == f32
        out.append(struct.pack("<4i", n, g, int(sym), x.size) + x.astype("<f4").tobytes()
                   + q.astype("<i2").tobytes() + s.astype("<f4").tobytes() + z.astype("<i2").tobytes())
    path = pathlib.Path(__file__).with_name("groups.bin")
    path.write_bytes(struct.pack("<i", len(out)) + b"".join(out))
    print(len(out), "tensors,", path.stat().st_size, "bytes")


main()
