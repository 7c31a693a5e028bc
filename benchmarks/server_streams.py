"""Tokens a second and first-token times of a server with so many streams at once; standard library only.

usage: server_streams.py URL [--streams 1,4,16] [--requests 2] [--tokens 64]

Every stream sends `requests` prompts of 40 to 160 words one after the other to /v1/chat/completions (streaming, greedy, past end
tokens) and counts the pieces that come. Works with any server of the OpenAI API; give one server at a time the whole machine.
"""

import argparse
import http.client
import json
import random
import threading
import time
import urllib.parse

WORDS = "time year people way day man thing woman life child world school state family student group country problem hand part".split()


def ask(url, prompt, tokens, out):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=600)
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    start = time.monotonic()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {response.read()[:300]}")
    first, pieces = None, 0
    for line in response:
        if line.startswith(b"data: {") and (b'"content":"' in line or b'"content": "' in line) and b'"content":""' not in line:
            pieces += 1
            first = first or time.monotonic() - start
    out.append((first, pieces, time.monotonic() - start))
    connection.close()


def measure(url, streams, requests, tokens, seed):
    source = random.Random(seed)
    prompts = [[" ".join(source.choices(WORDS, k=source.randint(40, 160))) for _ in range(requests)] for _ in range(streams)]
    out = []

    def stream(mine):
        for prompt in mine:
            ask(url, prompt, tokens, out)

    threads = [threading.Thread(target=stream, args=(mine,)) for mine in prompts]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    firsts = sorted(first for first, _, _ in out)
    # Pieces may join several tokens; every answer has exactly `tokens`.
    total = streams * requests * tokens
    print(
        f"{streams:3} streams: {total / seconds:7.1f} tokens/s, first token p50 {firsts[len(firsts) // 2]:.2f} s, "
        f"p90 {firsts[int(0.9 * (len(firsts) - 1))]:.2f} s, {seconds:.1f} s in all",
        flush=True,
    )


arguments = argparse.ArgumentParser()
arguments.add_argument("url")
arguments.add_argument("--streams", default="1,4,16")
arguments.add_argument("--requests", type=int, default=2)
arguments.add_argument("--tokens", type=int, default=64)
arguments.add_argument("--seed", type=int, default=1)
given = arguments.parse_args()
for count in given.streams.split(","):
    measure(urllib.parse.urlparse(given.url), int(count), given.requests, given.tokens, given.seed)
