"""Draws docs/session.svg from a transcript of a terminal session.

Usage: make_session_picture.py TRANSCRIPT > session.svg
Lines that begin with "$ " are typed commands, lines that begin with "> " what the user says in the chat, lines that begin
with "[" the speed line; everything else is output.
"""
import html
import sys
import textwrap

COLUMNS = 92
LINE = 20
CHARACTER = 8.43


def wrapped(path):
    for line in open(path, encoding="utf-8").read().rstrip("\n").split("\n"):
        kind = "command" if line.startswith("$ ") else "user" if line.startswith("> ") else "note" if line.startswith("[") else "output"
        for piece in textwrap.wrap(line, COLUMNS, drop_whitespace=False) or [""]:
            yield kind, piece


COLOURS = {"command": "#f2cc60", "user": "#79c0ff", "note": "#8b949e", "output": "#e6edf3"}
lines = list(wrapped(sys.argv[1]))
width = int(COLUMNS * CHARACTER) + 40
height = len(lines) * LINE + 60
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">')
print(f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>')
for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
    print(f'<circle cx="{20 + 18 * i}" cy="18" r="6" fill="{colour}"/>')
print('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">')
for i, (kind, text) in enumerate(lines):
    print(f'<text x="20" y="{54 + i * LINE}" fill="{COLOURS[kind]}">{html.escape(text)}</text>')
print("</g>\n</svg>")
