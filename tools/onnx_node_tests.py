#!/usr/bin/env python3
"""Runs the node tests of the onnx 1.17.0 wheel with camlens's operators.

    pip install onnx onnxruntime
    pip download --no-deps onnx==1.17.0 && unzip onnx-1.17.0-*.whl 'onnx/backend/test/data/*'
    tools/onnx_node_tests.py --data onnx/backend/test/data --run RUNNER [--list OUT.txt]
        [--reduced OUT_DIR] [--work DIR] [PATTERN...]

RUNNER reads lines `MODEL.onnx INPUT.npy OUTPUT.npy` (tab-separated) and answers each with a line:
`OK`, `REFUSED reason`, or `PANIC reason`. OUTPUT.npy is the file's first output, f64, row-major.

A node test has one node, whose inputs are inputs of the graph. camlens takes files with one
photo. So every test becomes several files around the same node:

- `dynamic-I`: floating-point input I comes from the photo `[1, 1, 1, K]` by Reshape and Cast, the
  other inputs are initializers. Runs the operator (or refuses it).
- `constant`: all inputs are initializers, and the photo, one pixel of value 0, is added to the result.
  Runs the folding of constants.

One result per file: pass (within the tolerance of onnx's own runner: rtol 1e-3, atol 1e-7; and, reported as
`loose`, more than 1e-5 of the largest value away), refused, wrong. A case passes if no file is wrong
and at least one passes. WRONG is always a bug.
"""
import argparse
import collections
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    tensor = onnx.TensorProto()
    tensor.ParseFromString(data)
    return tensor


def constant(array, name):
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def wrapped(model, inputs, dynamic, output):
    """The file around a test's graph, or None. `dynamic` is the index of an input or None."""
    graph = model.graph
    nodes, initializers = [], [*graph.initializer]
    for index, (value, tensor) in enumerate(zip(graph.input, inputs)):
        if index != dynamic:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = value.name
            initializers.append(copy)
    pixels = 1
    if dynamic is not None:
        value, tensor = graph.input[dynamic], inputs[dynamic]
        shape = list(tensor.dims)
        pixels = int(np.prod(shape)) if shape else 1
        initializers.append(constant(np.array(shape, np.int64), "camlens_shape"))
        kind = tensor.data_type
        at = value.name if kind == TensorProto.FLOAT else "camlens_float"
        nodes.append(helper.make_node("Reshape", ["camlens_photo", "camlens_shape"], [at], "camlens_in"))
        if kind != TensorProto.FLOAT:
            nodes.append(helper.make_node("Cast", [at], [value.name], "camlens_cast", to=kind))
    for node in graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        nodes.append(copy)
    kind = output.data_type
    last = graph.output[0].name
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [last], ["camlens_cast_out"], "camlens_out", to=TensorProto.FLOAT))
        last = "camlens_cast_out"
    initializers.append(constant(np.array([1, -1], np.int64), "camlens_row"))
    rows = "camlens_flat" if dynamic is None else "camlens_scores"
    nodes.append(helper.make_node("Reshape", [last, "camlens_row"], [rows], "camlens_reshape"))
    if dynamic is None:
        nodes.append(helper.make_node("Reshape", ["camlens_photo", "camlens_row"], ["camlens_zero"], "camlens_reshape_photo"))
        nodes.append(helper.make_node("Add", ["camlens_flat", "camlens_zero"], ["camlens_scores"], "camlens_add"))
    photo = helper.make_tensor_value_info("camlens_photo", TensorProto.FLOAT, [1, 1, 1, pixels])
    count = int(np.prod(output.dims)) if output.dims else 1
    scores = helper.make_tensor_value_info("camlens_scores", TensorProto.FLOAT, [1, count])
    out = helper.make_model(helper.make_graph(nodes, "node", [photo], [scores], initializers), opset_imports=model.opset_import)
    out.ir_version = model.ir_version
    out.functions.extend(model.functions)
    return out


def cases(data, patterns):
    for group in ("node", "pytorch-converted", "pytorch-operator", "simple"):
        folder = os.path.join(data, group)
        for name in sorted(os.listdir(folder)):
            if patterns and not any(p in name for p in patterns):
                continue
            if os.path.exists(os.path.join(folder, name, "model.onnx")):
                yield f"{group}/{name}", os.path.join(folder, name)


def floating(tensor):
    return tensor.data_type in FLOATS


def prepare(name, folder, work):
    """[(name of the file, MODEL, INPUT, expected)] or the reason for none."""
    model = onnx.load(os.path.join(folder, "model.onnx"))
    graph = model.graph
    test = os.path.join(folder, "test_data_set_0")
    tensors = lambda kind, count: [load(os.path.join(test, f"{kind}_{i}.pb")) for i in range(count)]
    kinds = [v.type.WhichOneof("value") for v in [*graph.input, *graph.output]]
    if any(k != "tensor_type" for k in kinds):
        return "sequences, optionals or maps"
    taken = {i.name for i in graph.initializer}
    given = [v for v in graph.input if v.name not in taken]  # old files list weights among the inputs
    del graph.input[:]
    graph.input.extend(given)
    inputs, outputs = tensors("input", len(graph.input)), tensors("output", len(graph.output))
    if any(t.data_type not in (*FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.UINT8, TensorProto.INT8, TensorProto.BFLOAT16) for t in [*inputs, outputs[0]]):
        return "other types of elements"
    expected = numpy_helper.to_array(outputs[0]).astype(np.float64)
    files = []
    dynamics = [None, *(i for i, t in enumerate(inputs) if floating(t) and np.prod(t.dims or [1]) > 0)]
    for dynamic in dynamics:
        kind = "constant" if dynamic is None else f"dynamic-{dynamic}"
        at = os.path.join(work, name.replace("/", "-") + "." + kind)
        out = wrapped(model, inputs, dynamic, outputs[0])
        onnx.save(out, at + ".onnx")
        if dynamic is None:
            pixels = np.zeros((1, 1, 1, 1), np.float32)
        else:
            pixels = numpy_helper.to_array(inputs[dynamic]).astype(np.float32).reshape(1, 1, 1, -1)
        np.save(at + ".npy", pixels)
        files.append((kind, at + ".onnx", at + ".npy", at + ".out.npy"))
    return files, expected


def judge(answer, path, expected):
    if not answer.startswith("OK"):
        return answer.split(" ", 1)[0].lower(), answer.split(" ", 1)[-1]
    got = np.load(path).ravel()
    want = expected.ravel()
    if got.shape != want.shape:
        return "wrong", f"{got.size} values instead of {want.size}"
    if np.allclose(got, want, rtol=1e-3, atol=1e-7, equal_nan=True):
        finite = np.isfinite(want)
        error = np.abs(got - want)[finite].max(initial=0) / max(1e-30, np.abs(want[finite]).max(initial=0))
        return ("loose" if error > 1e-5 else "pass"), f"{error:.1e}"
    error = np.nanmax(np.abs(got - want))
    return "wrong", f"largest difference {error:.3g}, got {got[:4]}, want {want[:4]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--list")
    parser.add_argument("--reduced")
    parser.add_argument("--work", default="/tmp/onnx-node-tests")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    jobs, skipped = [], collections.OrderedDict()
    for name, folder in cases(options.data, options.patterns):
        try:
            made = prepare(name, folder, options.work)
        except Exception as error:
            skipped[name] = f"can't be read: {str(error)[:80]}"
            continue
        if isinstance(made, str):
            skipped[name] = made
            continue
        files, expected = made
        jobs += [(name, kind, model, pixels, out, expected) for kind, model, pixels, out in files]
    text = "".join(f"{model}\t{pixels}\t{out}\n" for _, _, model, pixels, out, _ in jobs)
    done = subprocess.run([options.run], input=text, capture_output=True, text=True)
    answers = done.stdout.splitlines()
    if len(answers) != len(jobs):
        name = jobs[len(answers)][0] if len(answers) < len(jobs) else "?"
        sys.exit(f"{len(answers)} answers to {len(jobs)} files; the next one was {name}\n{done.stderr[-2000:]}")
    results = collections.OrderedDict()
    for (name, kind, *_, out, expected), answer in zip(jobs, answers):
        results.setdefault(name, {})[kind] = judge(answer, out, expected)
    verdicts = collections.OrderedDict()
    for name, kinds in results.items():
        states = {state for state, _ in kinds.values()}
        if states & {"wrong", "panic", "error"}:
            verdicts[name] = "WRONG"
        elif states & {"pass", "loose"}:
            verdicts[name] = "pass"
        else:
            verdicts[name] = "refused"
        for kind, (state, detail) in kinds.items():
            if state in ("wrong", "panic", "error", "loose"):
                print(f"{state.upper()} {name} {kind}: {detail}")
    counts = collections.Counter(verdicts.values())
    by_group = collections.Counter((name.split("/")[0], verdict) for name, verdict in verdicts.items())
    dynamic = sum(any(k.startswith("dynamic") and s in ("pass", "loose") for k, (s, _) in results[n].items()) for n in results)
    print(dict(counts), f"{len(skipped)} not applicable; {dynamic} pass with an input that is not constant")
    print({f"{g} {v}": c for (g, v), c in sorted(by_group.items())})
    reasons = collections.Counter()
    for name, verdict in verdicts.items():
        if verdict == "refused":
            kind = sorted(results[name])[-1]
            reasons[results[name][kind][1][:110]] += 1
    for reason, count in reasons.most_common(60):
        print(f"  refused {count}: {reason}")
    if options.list:
        with open(options.list, "w") as file:
            file.write("# Node tests of the onnx 1.17.0 wheel (Apache-2.0) that pass; made by tools/onnx_node_tests.py.\n")
            file.write("# After the name: the files around the node that pass (see the script); others are refused.\n")
            for name, verdict in verdicts.items():
                if verdict == "pass":
                    kinds = [k for k, (s, _) in results[name].items() if s in ("pass", "loose")]
                    file.write(f"{name} {' '.join(kinds)}\n")
    if options.reduced:
        reduce(options.reduced, results, jobs)


def reduce(folder, results, jobs):
    """A small set for `cargo test`: for each operator the smallest files that pass, at most 6 and 300 kB in all."""
    os.makedirs(folder, exist_ok=True)
    chosen = collections.defaultdict(list)
    for name, kind, model, pixels, out, expected in jobs:
        state = results[name][kind][0]
        if state != "pass" or "expanded" in name:
            continue
        size = os.path.getsize(model) + os.path.getsize(pixels) + 4 * expected.size
        ops = {n.op_type for n in onnx.load(model).graph.node if not n.name.startswith("camlens_")}
        chosen[(",".join(sorted(ops)), kind.split("-")[0])].append((size, name, kind, model, pixels, expected))
    total, count, index = 0, 0, []
    rounds = [(6, "dynamic"), (2, "constant")]
    picked = []
    for most, wanted in rounds:
        for (ops, kind), files in sorted(chosen.items()):
            if kind == wanted:
                picked += sorted(files, key=lambda f: f[:3])[:most]
    for size, name, kind, model, pixels, expected in sorted(picked, key=lambda f: f[:3]):
        if total + size > 280_000:
            break
        total += size
        count += 1
        index.append((name, kind, model, pixels, expected))
    # One file: for each case a line of JSON with base64 would be larger; raw parts one after another.
    with open(os.path.join(folder, "node_tests.bin"), "wb") as file:
        for name, kind, model, pixels, expected in index:
            model = open(model, "rb").read()
            x = np.load(pixels).astype(np.float32).ravel()
            y = expected.astype(np.float32).ravel()
            title = f"{name} {kind}".encode()
            header = np.array([len(title), len(model), x.size, y.size], "<u4").tobytes()
            file.write(header + title + model + x.tobytes() + y.tobytes())
    print(f"reduced set: {count} cases, {total} bytes")


if __name__ == "__main__":
    main()
