#!/usr/bin/env python3
"""hone beside llama.cpp and its forks on the same files, in turn, in one run.

Usage: compare_llama_cpp.py --hone build/hone --peer "PATH/llama-bench -fa 1" [--peer "OTHER/llama-bench -fa 1 -rtr 1" ...]
       MODEL.gguf [MODEL.gguf ...] [--threads 2] [--rounds 5] [--prefill 512] [--decode 64] [--markdown OUT.md]

Each round measures hone, then every peer (a llama-bench with the flags that are to be measured); the peers' figure is the
best of all. Printed for each file: the median of each side over the rounds, the ratio hone / best peer of every round
(median, least, greatest), and the fraction of the machine's read bandwidth that hone's decode moves over the bytes of the
weights.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


def measure_hone(args, model):
    result = run_json([args.hone, "bench", model, "--prefill", str(args.prefill), "--decode", str(args.decode),
                       "--threads", str(args.threads), "--repeat", "3", "--json"])
    return result


def measure_peer(args, peer, model):
    rows = run_json(shlex.split(peer) + ["-m", model, "-t", str(args.threads), "-p", str(args.prefill),
                                         "-n", str(args.decode), "-r", "3", "-o", "json"])
    prefill = next(row["samples_ts"] for row in rows if row["n_prompt"] > 0)
    decode = next(row["samples_ts"] for row in rows if row["n_gen"] > 0)
    return statistics.median(prefill), statistics.median(decode)


def ratio_text(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--hone", default="build/hone")
    parser.add_argument("--peer", action="append", required=True, help="a llama-bench and its flags")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--markdown", help="append the table to this file")
    args = parser.parse_args()

    lines = ["| model | target | prefill hone | best peer | ratio | decode hone | best peer | ratio | of read bandwidth |",
             "|---|---|---|---|---|---|---|---|---|"]
    for model in args.models:
        hone_prefill, hone_decode, peer_prefill, peer_decode, fractions = [], [], [], [], []
        target = ""
        for round_number in range(args.rounds):
            ours = measure_hone(args, model)
            peers = [measure_peer(args, peer, model) for peer in args.peer]
            hone_prefill.append(ours["prefill_tokens_per_second"]["median"])
            hone_decode.append(ours["decode_tokens_per_second"]["median"])
            peer_prefill.append(max(p for p, _ in peers))
            peer_decode.append(max(d for _, d in peers))
            fractions.append(ours["bandwidth_fraction_with_kv"])
            target = ours["cpu_target"]
            print(f"{os.path.basename(model)} round {round_number + 1}/{args.rounds}: prefill "
                  f"{hone_prefill[-1]:.0f} / {peer_prefill[-1]:.0f}, decode {hone_decode[-1]:.1f} / "
                  f"{peer_decode[-1]:.1f}", file=sys.stderr, flush=True)
        prefill_ratios = [a / b for a, b in zip(hone_prefill, peer_prefill)]
        decode_ratios = [a / b for a, b in zip(hone_decode, peer_decode)]
        lines.append(f"| {os.path.basename(model)} | {target} | {statistics.median(hone_prefill):.0f} "
                     f"| {statistics.median(peer_prefill):.0f} | {ratio_text(prefill_ratios)} "
                     f"| {statistics.median(hone_decode):.1f} | {statistics.median(peer_decode):.1f} "
                     f"| {ratio_text(decode_ratios)} | {statistics.median(fractions):.0%} |")
    text = "\n".join(lines)
    print(text)
    if args.markdown:
        with open(args.markdown, "a", encoding="utf-8") as out:
            out.write(text + "\n")


if __name__ == "__main__":
    main()
