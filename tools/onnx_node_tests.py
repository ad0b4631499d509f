#!/usr/bin/env python3
"""Runs the node tests of the onnx 1.17.0 wheel (Apache-2.0) with camlens's ONNX reader.

    pip download --no-deps onnx==1.17.0 && unzip onnx-1.17.0-*.whl 'onnx/backend/test/data/*'
    tools/onnx_node_tests.py onnx/backend/test/data [--binary TESTS] [--write]

Later wheels do not hold the tests any more. They are run by the ignored test in
src/model/onnx/tests/node.rs: each with all inputs known (folding of constants), and once for each
floating-point input that is not (the operators). All outputs are compared, within 2e-5 of the value (2e-3
for half precision). TESTS is a binary of unit tests that was built before; without it cargo builds one.

Prints how many pass, are refused (with reasons) and are wrong, and what changed since
tests/golden/onnx_node_tests.txt. --write writes that file (the tests that pass, and in how many
ways), and the reduced set tests/golden/onnx/node_tests.safetensors for `cargo test`. The exit status is 1 if a test is wrong or
one of the list does not pass any more.
"""
import argparse
import collections
import json
import os
import re
import struct
import subprocess
import sys

GROUPS = ("node", "pytorch-converted", "pytorch-operator", "simple")
REDUCED_BYTES = 188_000
# Data that is not what it says: bfloat16 is stored as the integers of its bits, and float64 holds values
# beyond 1e38 that no photo has.
NOT_MEANT = re.compile(r"BFLOAT16|test_operator_add_(broadcast|size1_right_broadcast|size1_singleton_broadcast)$")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REDUCED = os.path.join(ROOT, "tests/golden/onnx/node_tests.safetensors")
LIST = os.path.join(ROOT, "tests/golden/onnx_node_tests.txt")


def run(data, binary):
    """{"group/name": (verdict, detail)}"""
    results = collections.OrderedDict()
    for group in GROUPS:
        command = [binary] if binary else ["cargo", "test", "--lib", "--"]
        command += ["onnx::tests::node::node_tests_of_the_onnx_package", "--ignored", "--nocapture"]
        environment = {**os.environ, "ONNX_NODE_TESTS": os.path.join(os.path.abspath(data), group)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        found = re.findall(r"(PASS|REFUSED|WRONG) (test_\S+) ?(.*)", done.stdout)
        if not found:
            sys.exit(f"{group}: no results\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        for verdict, name, detail in found:
            if not NOT_MEANT.search(name):
                results[f"{group}/{name}"] = (verdict, detail)
    return results


def operators(results):
    """The operator of each test, from its name: test_resize_downsample_… → resize."""
    return {name: re.sub(r"^test_", "", name.split("/")[1]).split("_")[0] for name in results}


def size(folder):
    return sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(folder) for f in files)


def reduce(data, results):
    """Packs the smallest tests of each operator, in turn, until the limit is reached. The files are the
    tensors (bytes) of a safetensors file, so that there is one file and no further format."""
    kinds = collections.defaultdict(list)
    for name, operator in operators(results).items():
        if results[name][0] == "PASS" and "expanded" not in name and name.startswith(("node/", "pytorch-converted/")):
            kinds[operator].append((size(os.path.join(data, name)), name))
    for names in kinds.values():
        names.sort()
    total, count, chosen = 0, 0, []
    for turn in range(12):
        for operator in sorted(kinds):
            names = kinds[operator]
            if turn >= len(names):
                continue
            bytes_, name = names[turn]
            if bytes_ > 12_000 or total + bytes_ > REDUCED_BYTES:
                continue
            chosen.append(name)
            total += bytes_
            count += 1
    files = []
    for name in sorted(chosen):
        for at, _, names in os.walk(os.path.join(data, name)):
            for file in sorted(names):
                path = os.path.join(at, file)
                with open(path, "rb") as opened:
                    inside = os.path.relpath(path, os.path.join(data, name))
                    files.append((f"{name.split('/')[1]}/{inside}", opened.read()))
    header, offset = {}, 0
    for path, content in files:
        header[path] = {"dtype": "U8", "shape": [len(content)], "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(REDUCED), exist_ok=True)
    with open(REDUCED, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(content for _, content in files))
    print(f"reduced set: {count} tests, {os.path.getsize(REDUCED)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--binary")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    results = run(options.data, options.binary)
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"{len(results)} tests: {counts['PASS']} pass, {counts['REFUSED']} refused, {counts['WRONG']} wrong")
    for group in GROUPS:
        of = collections.Counter(v for n, (v, _) in results.items() if n.startswith(group + "/"))
        print(f"  {group}: {of['PASS']} pass, {of['REFUSED']} refused, {of['WRONG']} wrong")
    for name, (verdict, detail) in results.items():
        if verdict == "WRONG":
            print(f"WRONG {name}: {detail}")
    reasons = collections.Counter(re.sub(r"\(node [^)]*\)|\([^)]*\) can't", "…", d)[:100] for v, d in results.values() if v == "REFUSED")
    for reason, count in reasons.most_common(25):
        print(f"  refused {count}: {reason}")
    passing = {name: detail for name, (verdict, detail) in results.items() if verdict == "PASS"}
    before = set()
    if os.path.exists(LIST):
        with open(LIST) as file:
            before = {line.split()[0] for line in file if not line.startswith("#")}
    lost = sorted(before - set(passing))
    print(f"since the list: {len(set(passing) - before)} more, {len(lost)} less: {', '.join(lost[:20])}")
    if options.write:
        with open(LIST, "w") as file:
            file.write("# Node tests of the onnx 1.17.0 wheel that pass, with the number of ways they run.\n# Made by tools/onnx_node_tests.py, which explains it.\n")
            file.writelines(f"{name} {ways}\n" for name, ways in passing.items())
        reduce(options.data, results)
    sys.exit(1 if counts["WRONG"] or lost else 0)


if __name__ == "__main__":
    main()
