#!/usr/bin/env python3
"""Compares camlens's logits and maps with PyTorch's for the models of onnx_fixtures.py and
family_fixtures.py.

    tools/compare_models.py [--camlens target/release/camlens] [--tolerance 1e-4] FOLDER...

FOLDER is one model's folder or the folder above them. For each model `camlens explain` runs
twice, at the default layer and at the earlier one, with all five methods. Checked: the logits that
camlens prints (largest difference in units of the logits' range, or of the largest one), the
default layer's size, and each map (largest difference in units of the largest cell). A map whose
sums cancel (reference.json, `cancellation` above 300) is reported but does not fail.

Prints a line for each model and a summary; the exit status is 1 if anything differs or is refused.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

METHODS = ("grad-cam", "grad-cam++", "layercam", "hirescam", "xgrad-cam")
CANCELS = 300


def weights_of(folder):
    names = sorted(os.listdir(folder))
    for end in (".onnx", ".safetensors", ".pth"):
        for name in names:
            if name.endswith(end):
                return os.path.join(folder, name)
    return None


def preprocessing(reference, source):
    """The options that make camlens prepare photo.png as input.npy was."""
    i = reference["input"]
    if "mean" not in i:
        return []
    scale = i.get("scale", 255.0)
    mean = [m * scale / 255.0 for m in i["mean"]]
    std = [s * scale / 255.0 for s in i["std"]]
    text = lambda values: ",".join(repr(float(v)) for v in (values if len(values) != 1 else values * 3))
    options = ["--mean", text(mean), "--std", text(std)]
    if i.get("bgr"):
        options += ["--channel-order", "bgr"]
    return options


def run(camlens, folder, model, reference, layer, extra):
    out = tempfile.mkdtemp(prefix="camlens-compare-")
    shutil.rmtree(out)
    command = [camlens, "explain", os.path.join(folder, "photo.png"), "--model", model, "--framing", "squash", "--json", "--class", str(reference["class"] if reference["classes"] > 1 else 1), "--export", out, "--device", "cpu", *extra]
    for method in METHODS:
        command += ["--method", method]
    if layer:
        command += ["--layer", layer]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(out, ignore_errors=True)
        return None, None, " ".join((done.stderr or done.stdout).split())
    answer = json.loads(done.stdout)
    cells = {}
    for name in os.listdir(out):
        for method in METHODS:
            if name.endswith(f"-{method}-cells.npy") and name.split("-", 1)[1] == f"{method}-cells.npy":
                cells[method] = np.load(os.path.join(out, name)).astype(np.float64)
    shutil.rmtree(out)
    return answer, cells, None


def compare(camlens, folder, tolerance, extra):
    with open(os.path.join(folder, "reference.json")) as file:
        reference = json.load(file)
    model = weights_of(folder)
    if not model:
        return "no model", []
    logits = np.load(os.path.join(folder, "logits.npy")).ravel()
    options = [*preprocessing(reference, model), *extra]
    problems, worst, notes = [], {}, []
    for label, layer in reference["layers"].items():
        names = [None] if label == "default" else [layer["module"].split("|")[0], *(v[0] for v in layer.get("values", []))]
        if label != "default" and layer.get("values"):
            names = [v[0] for v in layer["values"]]
        error = None
        for name in names:
            answer, cells, error = run(camlens, folder, model, reference, name, options)
            if not error:
                break
        if error and "has no layer" in error:
            # A container's output is that of the last layer inside.
            inside = re.findall(r"(?:one of|,) ([^ ,]+)", error.rstrip("."))
            inside = [n for n in inside if n.startswith(f"{names[0]}.")]
            if inside:
                notes.append(f"earlier {inside[-1]}")
                answer, cells, error = run(camlens, folder, model, reference, inside[-1], options)
        if error:
            problems.append(f"{label}: {error[:200]}{' … ' + error[-80:] if len(error) > 280 else error[200:]}")
            continue
        if label == "default":
            got = {t["index"]: t["logit"] for t in [*answer["top"], answer["class"]]}
            if logits.size == 1:  # one logit is shown as two classes: 1 has the logit, 0 its negative
                got = {0: got[1]}
            scale = max(float(logits.max() - logits.min()), 1e-6) if logits.size > 1 else max(abs(float(logits[0])), 1e-6)
            error = max(abs(logits[i] - v) for i, v in got.items()) / scale
            worst["logits"] = error
            if not error <= tolerance:
                problems.append(f"logits differ by {error:.1e} of their range")
            notes.append(f"layer {answer['layer']}")
        for method in METHODS:
            want = np.load(os.path.join(folder, f"{label}.{method}.npy"))
            have = cells.get(method)
            if have is None or have.shape != want.shape:
                problems.append(f"{label} {method}: {None if have is None else have.shape} cells instead of {want.shape} (layer {answer['layer']})")
                break
            largest = max(np.abs(want).max(), 1e-30)
            error = float(np.abs(have - want).max() / largest)
            cancels = layer["cancellation"].get(method, 1) > CANCELS
            worst[f"{label} {method}"] = error
            if not error <= tolerance:
                text = f"{label} {method}: {error:.1e}"
                (notes if cancels else problems).append(text + (" (cancels)" if cancels else ""))
    summary = f"logits {worst.get('logits', float('nan')):.0e}"
    for label in reference["layers"]:
        errors = [e for k, e in worst.items() if k.startswith(label)]
        summary += f", {label} maps {max(errors):.0e}" if errors else f", {label} –"
    return summary + " · " + ", ".join(notes), problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camlens", default="target/release/camlens")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--option", action="append", default=[], help="a further option of camlens explain")
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    folders = []
    for folder in options.folders:
        if os.path.exists(os.path.join(folder, "reference.json")):
            folders.append(folder)
        else:
            folders += [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if os.path.exists(os.path.join(folder, n, "reference.json"))]
    failed = 0
    for folder in folders:
        try:
            summary, problems = compare(options.camlens, folder, options.tolerance, options.option)
        except Exception as error:
            summary, problems = "", [f"{type(error).__name__}: {error}"]
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok  '} {os.path.basename(folder)}: {summary}", flush=True)
        for problem in problems:
            print(f"       {problem}", flush=True)
    print(f"{len(folders) - failed} of {len(folders)} agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
