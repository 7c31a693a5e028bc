#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: small files that are right, and some that are wrong.

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


def template_seeds():
    yield "turns.jinja", (
        "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}\n"
        "{% if message.content is string %}{{ message.content|trim }}"
        "{% elif message.content %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
        "{{ eos_token if loop.last else '<|end|>' }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}")
    yield "tools.jinja", (
        "{%- if tools -%}{%- for tool in tools %}{{ tool|tojson(indent=2) }}{{ ', ' if not loop.last }}{% endfor %}{%- endif %}"
        "{% for m in messages if m.tool_calls is defined %}{% for call in m.tool_calls %}"
        "{% for key, value in call.function.arguments|items %}{{ key }}={{ value if value is string else value|tojson }};{% endfor %}"
        "{% endfor %}{% else %}none{% endfor %}")
    yield "namespace.jinja", (
        "{% set ns = namespace(n=0, text='') %}{% for m in messages[::-1] %}{% set ns.n = ns.n + loop.index0 * 2 ** 3 // 5 % 4 %}"
        "{% set ns.text = ns.text ~ m.role[0:1]|upper %}{% if ns.n > 30 %}{% break %}{% endif %}{% continue %}{% endfor %}{{ ns.n }}{{ ns.text }}")
    yield "macro.jinja", (
        "{% macro show(x, depth=0, *more) %}{{ '  ' * depth }}{% if x is mapping %}{% for k, v in x|dictsort %}{{ k }}:{{ show(v, depth + 1) }}"
        "{% endfor %}{% elif x is iterable and x is not string %}{{ x|map('string')|join(',') }}{% else %}{{ x }}{% endif %}{% endmacro %}"
        "{{ show(messages[0]) }}{% call(y) show(1) %}{{ y }}{% endcall %}")
    yield "strings.jinja", (
        "{{ ' a,b '.strip().split(',', 1)|list }}{{ 'abc'.replace('b', 'x').upper().title()[::-1] }}{{ 'x'.ljust(9, '-').zfill(12) }}"
        "{{ '%05.2f|%-5s|%(a)s' % {'a': 1} }}{{ '{0:>8}{1!r:^{2}}'.format(1, 'y', 9) }}{{ 'a\\u00e9\\n'.partition('a') }}{{ 'a\nb'|indent(2, true) }}")
    yield "markup.jinja", "{{ ('<b>'|safe + messages[0].content + '%s'|safe % '<') ~ ('&'|e).join(['<', 1]) ~ {'a': '\"'}|xmlattr }}{{ ['<'|safe] }}"
    yield "filters.jinja", (
        "{{ [3, 1, 2]|sort(reverse=true)|join('-') }}{{ messages|map(attribute='role')|unique|list }}{{ messages|groupby('role')|first }}"
        "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ [1, 2, 3]|batch(2, 0)|list }}{{ [1, 2]|sum }}{{ 'a b'|wordcount }}"
        "{{ 1234567|filesizeformat }}{{ 2.5|round(1, 'floor') }}{{ 'x y'|urlencode }}{{ none|default('z', true) }}{{ 'abcdef ghi'|truncate(5) }}")
    yield "blocks.jinja", (
        "{#- a comment -#}{% set x %}<{{ 1 }}>{% endset %}{% filter upper %}{{ x }}{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}"
        "{% generation %}g{% endgeneration %}{% raw %}{{ raw }}{% endraw %}{% for a in [[1, [2]], [3]] recursive %}{{ loop.depth }}"
        "{{ loop(a) if a is sequence else a }}{% endfor %}")
    yield "loops.jinja", (
        "{% for a, b in [(1, 2), (3, 4)] %}{{ loop.cycle('x', 'y') }}{{ loop.previtem|default }}{{ loop.changed(a) }}{{ a - b }}{% endfor %}"
        "{% set c = cycler('p', 'q') %}{{ c.next() }}{% set j = joiner() %}{{ j() }}{{ j() }}{{ strftime_now('%d %b %Y') }}{{ range(0, 9, 4)|list }}")
    yield "refuses.jinja", "{% if messages[0].role != 'user' %}{{ raise_exception('Roles must\nalternate') }}{% endif %}"
    yield "variables.jinja", b"{{ x }}{{ y|tojson }}{{ z[0] == x }}{{ w.a.b }}\0" \
        b'{"x": 18446744073709551615, "y": {"a": [1e400, -0.0, "\\ud800\\u0000"]}, "z": [1], "w": {}}'
    yield "hostile.jinja", "{% macro m() %}{{ m() }}{% endmacro %}{{ 'x' * 99999999 }}{{ m() }}{{ [[[[(((({-+not 1}))))]]]] }}"
    yield "cut.jinja", "{% for x in y %}{{ 'text"


def glyph(byte):
    """The character that stands for a byte in byte-level vocabularies (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return chr(byte if byte in plain else 256 + [b for b in range(256) if b not in plain].index(byte))


NORMAL, UNKNOWN, CONTROL, USER_DEFINED, _, BYTE = range(1, 7)
BYTES = [glyph(byte) for byte in range(256)]
MERGES = ["l l", "h e", "he ll", "hell o", glyph(32) + " 1", "1 2", "a a", "aa aa"]
WORDS = [merge.replace(" ", "") for merge in MERGES]


def vocabulary(kind, tokens, *keys):
    """tokens: (text, type) pairs."""
    return gguf([key("tokenizer.ggml.model", STRING, kind), array("tokenizer.ggml.tokens", STRING, [text for text, _ in tokens]),
                 array("tokenizer.ggml.token_type", I32, [form for _, form in tokens]), *keys])


def byte_level(pre, *keys):
    tokens = [(text, NORMAL) for text in BYTES + WORDS]
    tokens += [("<|endoftext|>", CONTROL), ("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL), ("  ", USER_DEFINED)]
    return vocabulary("gpt2", tokens, key("tokenizer.ggml.pre", STRING, pre), array("tokenizer.ggml.merges", STRING, MERGES),
                      key("tokenizer.ggml.eos_token_id", U32, 264), *keys)


def sentence_piece(*keys):
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)] + [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    tokens += [(text, NORMAL) for text in ("\u2581", "h", "e", "l", "o", "\u2581h", "he", "ll", "hello", "\u2581hello", "\u00e9", "\u2581\u2581")]
    return vocabulary("llama", tokens + [("<|user|>", CONTROL), ("12", USER_DEFINED)], *keys), len(tokens) + 2


def tokenizer_json(**changes):
    words = BYTES + WORDS
    file = {
        "version": "1.0",
        "added_tokens": [{"id": len(words), "content": "<|im_start|>", "special": True},
                         {"id": len(words) + 1, "content": "123", "special": False, "lstrip": True, "rstrip": True, "single_word": True}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {word: i for i, word in enumerate(words)}, "merges": MERGES},
    }
    file.update(changes)
    return json.dumps(file)


def tokenizer_seeds():
    yield "gpt-2.gguf", byte_level("gpt-2")
    yield "llama-bpe.gguf", byte_level("llama-bpe", key("tokenizer.ggml.bos_token_id", U32, 265), key("tokenizer.ggml.add_eos_token", BOOL, True))
    yield "unknown-pre.gguf", byte_level("none of them")
    scored, count = sentence_piece()
    scores = array("tokenizer.ggml.scores", F32, [-i / 2 for i in range(count)])
    yield "scores.gguf", sentence_piece(scores)[0]
    yield "merges.gguf", sentence_piece(array("tokenizer.ggml.merges", STRING, ["h e", "l l"]), key("tokenizer.ggml.add_space_prefix", BOOL, False))[0]
    yield "nan.gguf", sentence_piece(array("tokenizer.ggml.scores", F32, [float("nan")] * count))[0]
    yield "no-scores.gguf", scored
    few = [(text, NORMAL) for text in ("h", "e", "l", "o", "he")]
    yield "gaps.gguf", vocabulary("gpt2", few, array("tokenizer.ggml.merges", STRING, ["h e"]))
    yield "plain.json", tokenizer_json()
    marks = "\u2581"
    pieces = ["<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)] + [marks, "h", "e", "l", "o", "he", marks + "he"]
    yield "marks.json", tokenizer_json(
        added_tokens=[{"id": 0, "content": "<unk>", "special": True}],
        normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": marks}, {"type": "Replace", "pattern": {"String": " "}, "content": marks}]},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": marks}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        model={"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": [["h", "e"], [marks, "he"]]})
    split = [{"type": "Split", "pattern": {"Regex": r"(?i:'s|'t)|\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"}, "behavior": behavior, "invert": invert}
             for behavior, invert in (("Isolated", False), ("Removed", True), ("MergedWithPrevious", False), ("MergedWithNext", False), ("Contiguous", True))]
    rest = [{"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]
    for i, step in enumerate(split):
        yield f"split{i}.json", tokenizer_json(pre_tokenizer={"type": "Sequence", "pretokenizers": [step] + rest})
    yield "backtracking.json", tokenizer_json(pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "(a+)+$|(a|aa)+b"}, "behavior": "Isolated"}, rest[-1]]})
    yield "normal.json", tokenizer_json(normalizer={"type": "Sequence", "normalizers": [
        {"type": "NFKD"}, {"type": "Lowercase"}, {"type": "Strip"}, {"type": "Replace", "pattern": {"String": "l"}, "content": "ll"}]})
    yield "deep.json", '{"normalizer":' + '{"type":"Sequence","normalizers":[' * 40 + "]}" * 40 + "}"
    yield "ids.json", tokenizer_json(model={"type": "BPE", "vocab": {"a": 0, "b": 70000, "c": -1, "d": 1e99}, "merges": []})


def constraint_seeds():
    person = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 40},
              "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3}},
              "required": ["name"], "additionalProperties": False}
    tree = {"$defs": {"node": {"type": "object", "properties": {"value": {"type": "number", "minimum": -1.5},
            "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}, "required": ["value"]}}, "$ref": "#/$defs/node"}
    merged = {"allOf": [{"properties": {"a": {"const": {"b": [1, None]}}}}, {"minProperties": 1, "maxProperties": 2}],
              "oneOf": [{"required": ["x"], "properties": {"y": False}}, {"required": ["y"], "properties": {"x": False}}]}
    strings = {"type": "array", "prefixItems": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "ipv6"}],
               "items": {"type": "string", "pattern": "^(a|bc){2,3}\\\\d$"}}
    names = {"type": "object", "patternProperties": {"^x-": {"multipleOf": 7}}, "additionalProperties": False}
    for name, schema in (("person", person), ("tree", tree), ("merged", merged), ("strings", strings), ("names", names)):
        yield f"{name}.schema", "s" + json.dumps(schema)
    yield "refused.schema", 's{"not": {}}'
    yield "loop.schema", 's{"$ref": "#"}'
    yield "arithmetic.gbnf", 'groot ::= (expr "=" term "\\n")+\nexpr ::= term ([-+*/] term)*\nterm ::= [a-z]+ | "(" expr ")" # comment\n'
    yield "left.gbnf", 'groot ::= root "+" root | [^\\x00-\\x1F"]{1,3} | ""\n'
    yield "undefined.gbnf", 'groot ::= missing\n'
    yield "deep.gbnf", "groot ::= " + "(" * 150 + '"a"' + ")*" * 150
    yield "email.regex", r"r[\w.+-]{1,20}@[a-z]+(\.[a-z]{2,5})+$"
    yield "unicode.regex", r"r^(?:\u00e9|[^\s\d]|\x41{0,3}?)*$"
    yield "lookahead.regex", "ra(?=b)"


def main():
    for folder, seeds in (("gguf", gguf_seeds()), ("safetensors", safetensors_seeds()), ("template", template_seeds()),
                          ("tokenizer", tokenizer_seeds()), ("constraint", constraint_seeds())):
        (FOLDER / folder).mkdir(exist_ok=True)
        for name, data in seeds:
            (FOLDER / folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


if __name__ == "__main__":
    main()
