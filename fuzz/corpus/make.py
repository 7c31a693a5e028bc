#!/usr/bin/env python3
"""Writes the seeds of the GGUF and safetensors fuzz targets: small files that are right, and some that are wrong.

Run: python3 make.py   (standard library only)
"""
import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return string(value) if kind == STRING else struct.pack("<" + FORMS[kind], value)


def key(name, kind, value):
    return string(name) + struct.pack("<I", kind) + scalar(kind, value)


def array(name, kind, values):
    head = string(name) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(scalar(kind, value) for value in values)


def tensor(name, dimensions, kind, offset):
    return string(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)


def gguf(keys, tensors=(), data=b"", version=3, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    return head + (b"\0" * (-len(head) % alignment) + data if tensors else b"")


def gguf_seeds():
    scalars = [key(f"k{kind}", kind, "text" if kind == STRING else 1) for kind in range(13) if kind != ARRAY]
    arrays = [array(f"a{kind}", kind, ["x", "", "yz"] if kind == STRING else [0, 1, 1]) for kind in range(13) if kind != ARRAY]
    two = [tensor("matrix", [64, 2], 2, 0), tensor("vector", [3], 0, 96)]
    data = bytes(range(72)) + b"\0" * 24 + struct.pack("<3f", 1, float("nan"), -0.0)
    quants = [(2, 18), (3, 20), (6, 22), (7, 24), (8, 34), (20, 18)]
    every, offset = [], 0
    for kind, size in quants:
        every.append(tensor(f"t{kind}", [32], kind, offset))
        offset += (size + 31) // 32 * 32
    yield "scalars.gguf", gguf(scalars)
    yield "arrays.gguf", gguf(arrays)
    yield "tensors.gguf", gguf([key("general.architecture", STRING, "llama")], two, data)
    yield "version2.gguf", gguf([], two, data, version=2)
    yield "alignment64.gguf", gguf([key("general.alignment", U32, 64)], [tensor("v", [3], 0, 64)], b"\1" * 76, 3, 64)
    yield "types.gguf", gguf([], every, b"\x5a" * offset)
    yield "vocabulary.gguf", gguf([
        key("tokenizer.ggml.model", STRING, "gpt2"),
        array("tokenizer.ggml.tokens", STRING, ["a", "b", "ab", "<|end|>"]),
        array("tokenizer.ggml.token_type", I32, [1, 1, 1, 3]),
        array("tokenizer.ggml.scores", F32, [0.5, -1, float("inf"), 0]),
        array("tokenizer.ggml.merges", STRING, ["a b"]),
    ])
    yield "split.gguf", gguf([key("split.count", U16, 1), key("split.no", U16, 0), key("split.tensors.count", I32, 2)], two, data)
    yield "nested.gguf", gguf([string("n") + struct.pack("<IIQIQ", ARRAY, ARRAY, 1, ARRAY, 1)])
    yield "cut.gguf", gguf([], two, data)[:-20]
    yield "empty", b""
    yield "page.html", b"<!DOCTYPE html><html></html>"


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    entry = lambda kind, shape, begin, end: {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    two = {"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], 0, 16), "b": entry("BF16", [3], 16, 22)}
    yield "two.safetensors", safetensors(two, bytes(22))
    yield "scalar.safetensors", safetensors({"s": entry("F16", [], 0, 2)}, bytes(2))
    yield "padded.safetensors", safetensors(json.dumps(two).encode() + b" " * 7, bytes(22))
    yield "none.safetensors", safetensors({})
    yield "overlap.safetensors", safetensors({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, bytes(12))
    yield "twice.safetensors", safetensors(b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}', bytes(4))
    yield "deep.safetensors", safetensors(b'{"a":' + b"[" * 200 + b"]" * 200 + b"}")
    yield "type.safetensors", safetensors({"a": entry("F8_E4M3", [4], 0, 4)}, bytes(4))


def main():
    for folder, seeds in (("gguf", gguf_seeds()), ("safetensors", safetensors_seeds())):
        for name, data in seeds:
            (FOLDER / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
