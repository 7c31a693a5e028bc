#!/usr/bin/env python3
"""Writes schema_cases.json: schemas with instances, and what PyPI's `jsonschema` says of each.

Made with jsonschema 4.26 (Draft202012Validator with its format checker).
Run: python make_schema_cases.py > schema_cases.json
The instances are drawn at random from small pools, so that valid and invalid ones are near each other. The keys of
an instance stand in the schema's order.
"""
import itertools
import json
import random

import jsonschema

random.seed(20261125)

SCALARS = [None, True, False, 0, 1, -1, 2, 7, 10, 99, 100, 101, 0.5, -2.25, 1000, "", "a", "ab", "abc", "b1", "12", "é", "x-1", "a b",
           "2024-02-29", "2023-02-29", "10:00:00Z", "1999-12-31T23:59:59+01:00", "me@example.org", "192.168.1.1", "::1",
           "123e4567-e89b-12d3-a456-426614174000", "P3D"]
SCHEMAS = [
    {"type": "integer", "minimum": -1, "exclusiveMaximum": 100},
    {"type": "number", "exclusiveMinimum": -2.25, "maximum": 10},
    {"type": ["string", "null"], "maxLength": 2},
    {"type": "string", "minLength": 1, "pattern": "^[a-z0-9]*$", "maxLength": 3},
    {"type": "string", "pattern": "\\d"},
    {"type": "string", "pattern": "^a|b"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "uuid"},
    {"enum": [1, "a", None, {"k": [1]}, [1, 2]]},
    {"const": "ab"},
    {"multipleOf": 7, "type": "integer"},
    {"anyOf": [{"type": "integer", "minimum": 10}, {"type": "string", "minLength": 3}]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "array"}]},
    {"allOf": [{"type": "integer"}, {"minimum": 2}, {"maximum": 99}]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": ["integer", "null"]}},
    {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}, "maxProperties": 2},
    {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "propertyNames": {"maxLength": 1}},
    {"type": "object", "minProperties": 1},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
     "anyOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}, {"properties": {"c": {"const": None}}, "required": ["c"]}]},
    {"$defs": {"t": {"type": "object", "properties": {"v": {"type": "integer"}, "n": {"$ref": "#/$defs/t"}}, "required": ["v"],
                     "additionalProperties": False}}, "$ref": "#/$defs/t"},
    {"type": "object", "allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}],
     "unevaluatedProperties": False},
    {"items": {"$ref": "#/definitions/p"}, "definitions": {"p": {"type": "integer", "minimum": 1}}, "type": "array"},
]
NAMES = ["v", "n", "b", "a", "c", "x-1", "x-2", "long"]


def value(depth):
    kind = random.random()
    if depth == 0 or kind < 0.4:
        return random.choice(SCALARS)
    if kind < 0.65:
        return [value(depth - 1) for _ in range(random.randrange(5))]
    return {name: value(depth - 1) for name in NAMES if random.random() < 0.3}


def ordered(schema, instance):
    """Keys in the order in which the schema names them, the others behind."""
    names = []

    def collect(part):
        if isinstance(part, dict):
            names.extend(part.get("properties", {}))
            for child in part.values():
                collect(child)
        elif isinstance(part, list):
            for child in part:
                collect(child)

    def sort(part):
        if isinstance(part, dict):
            keys = sorted(part, key=lambda k: names.index(k) if k in names else len(names))
            return {k: sort(part[k]) for k in keys}
        return [sort(p) for p in part] if isinstance(part, list) else part

    collect(schema)
    return sort(instance)


def instances(schema):
    drawn = SCALARS + [value(2) for _ in range(400)]
    small = [[], [1], ["a"], ["a", 1], ["a", None, 2], [1, 2], [1, 2, 3, 4], {}, {"a": "x"}, {"b": 1, "a": "x"}, {"b": 1}, {"a": 1, "b": 2},
             {"k": [1]}, {"v": 1, "n": {"v": 2}}, {"v": 1, "n": {}}, {"x-1": 3}, {"x-1": "3"}, {"a": "x", "c": None}, {"a": "x", "b": 3, "c": 4}]
    unique = {}
    for instance in itertools.chain(drawn, small):
        text = json.dumps(ordered(schema, instance), ensure_ascii=False)
        unique.setdefault(text, instance)
    return unique


def main():
    cases = []
    for schema in SCHEMAS:
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        texts = {True: [], False: []}
        for text, instance in instances(schema).items():
            texts[validator.is_valid(json.loads(text))].append(text)
        cases.append({"schema": schema, "valid": texts[True][:40], "invalid": sorted(texts[False], key=lambda t: random.random())[:60]})
    print("[" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "]")


main()
