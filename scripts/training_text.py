#!/usr/bin/env python3
"""Makes training text of Debian's documentation packages: one text file a package, paragraphs in plain UTF-8.

    scripts/training_text.py OUT [PACKAGE...]

The packages are fetched with `apt-get download` (nothing is installed), their HTML, plain text, POD and dictionary files
are turned into paragraphs, and a paragraph that came before in the same package is left out. OUT/PACKAGE.txt that is
there already is kept. SHA256SUMS in OUT says which versions and which bytes came about.
"""
import gzip
import hashlib
import html.parser
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PACKAGES = ("debian-handbook debian-reference-en developers-reference debian-policy jargon-text dict-foldoc dict-gcide "
            "perl-doc git-doc postgresql-doc-15 sqlite3-doc").split()
LEAST_LETTERS = 0.7  # of a paragraph's characters: below it is a table, a listing or a path
LEAST_PARAGRAPH = 40  # characters
LARGEST_FILE = 32 << 20
BLOCKS = set("p div h1 h2 h3 h4 h5 h6 li dt dd td th tr table ul ol dl br hr section article title blockquote".split())
SKIPPED = set("script style pre code-block nav head svg math table".split())


class Paragraphs(html.parser.HTMLParser):
    """The text of a page, cut where a block begins or ends."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = []
        self.skipping = 0

    def handle_starttag(self, tag, attributes):
        if tag in SKIPPED:
            self.skipping += 1
        elif tag in BLOCKS:
            self.parts.append("\n\n")

    def handle_endtag(self, tag):
        if tag in SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        elif tag in BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data):
        if not self.skipping:
            self.parts.append(data.replace("\n", " "))


def text_of_html(source):
    page = Paragraphs()
    page.feed(source)
    return "".join(page.parts)


def text_of_pod(source):
    lines, inside = [], False
    for block in source.split("\n\n"):
        if re.match(r"=(cut|begin)", block):
            inside = False
        elif re.match(r"=(pod|head|over|item|back|for|encoding|end)", block):
            inside = True
        elif inside and not block.startswith((" ", "\t")):
            previous = None
            while previous != block:  # formatting codes nest: C<...>, L<text|target>
                previous = block
                block = re.sub(r"\b[A-Z]<<+ (.*?) >>+|\b[A-Z]<([^<>]*)>",
                               lambda m: (m.group(1) or m.group(2) or "").split("|")[0], block, flags=re.S)
            lines.append(block)
    return "\n\n".join(lines)


def text_of_file(path):
    name = path.name.lower()
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_FILE:
        return ""
    if any(word in name for word in ("copyright", "changelog", "news.debian", "index", "license")):
        return ""
    data = path.read_bytes()
    if name.endswith((".gz", ".dz")):
        data = gzip.decompress(data)
        name = name.rsplit(".", 1)[0]
    text = data.decode("utf-8", "replace")
    if name.endswith((".html", ".htm")):
        return text_of_html(text)
    if name.endswith(".pod"):
        return text_of_pod(text)
    return text if name.endswith((".txt", ".dict")) else ""


def paragraphs(text):
    for block in re.split(r"\n\s*\n", text):
        block = re.sub(r"\s+", " ", block).strip()
        letters = sum(c.isalpha() or c in " .,;'" for c in block)
        if len(block) >= LEAST_PARAGRAPH and letters >= LEAST_LETTERS * len(block) and "�" not in block:
            yield block


def is_english(path):
    """Handbooks hold a folder a language; pages of one language hold none."""
    folders = [part for part in path.parts if re.fullmatch(r"[a-z]{2}(-[A-Za-z]{2,4})?", part)]
    return all(part.startswith("en") for part in folders if part not in ("js", "db"))


def fetch(package, folder):
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    archive = next(folder.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", archive, folder / "x"], check=True)
    return archive.name


def make(package, out):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        archive = fetch(package, folder)
        seen, written = set(), []
        for path in sorted((folder / "x").rglob("*")):
            if not is_english(path.relative_to(folder / "x")):
                continue
            for block in paragraphs(text_of_file(path)):
                if block not in seen:
                    seen.add(block)
                    written.append(block)
    if not written:
        sys.exit(f"{package}: no text found in {archive}")
    partial = out / f"{package}.txt.partial"
    partial.write_text("\n".join(written) + "\n", encoding="utf-8")
    os.replace(partial, out / f"{package}.txt")
    return archive


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for package in sys.argv[2:] or PACKAGES:
        target = out / f"{package}.txt"
        if not target.exists():
            try:
                archive = make(package, out)
            except subprocess.CalledProcessError as error:
                sys.exit(f"{package}: {' '.join(map(str, error.cmd))} failed; is it in your package lists (apt-get update)?")
            digest = hashlib.sha256(target.read_bytes()).hexdigest()
            with open(out / "SHA256SUMS", "a", encoding="utf-8") as sums:
                sums.write(f"{digest}  {package}.txt  # {archive}\n")
        print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


main()
