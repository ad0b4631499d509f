#!/usr/bin/env python3
"""Which classifiers of torchvision and timm can't be told apart by their tensors.

    pip install torch torchvision timm
    tools/signatures.py OUT.json OUT.md [TIMM_PATTERN...]

The signature of a network is the sorted list of (name, shape) of its state dict, without the rows of
the classifier (people have other numbers of classes). Networks are made on the meta device, so no
weight takes memory. OUT.json: one entry for each signature:

    members      "timm.resnet50", "tv.resnet50", … (all with this signature)
    variants     the members grouped by equal modules (classes and their arguments in repr; dropout
                 left out); more than one group: the tensors do not tell which one it is
    differences  lines that differ between the first member of each variant and that of the first
    tensors      number of tensors; parameters: of parameters
"""
import collections
import difflib
import hashlib
import json
import re
import sys
import warnings

import timm
import torch
import torchvision


def signature(model, classifier_rows):
    items = []
    for name, tensor in model.state_dict().items():
        shape = list(tensor.shape)
        if name in classifier_rows:
            shape[0] = -1
        items.append((name, tuple(shape)))
    return tuple(sorted(items))


def classifier_rows(model, classes):
    """Names of the tensors with one row for each class."""
    rows = set()
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)) and module.weight.shape[0] == classes:
            rows |= {f"{name}.weight", f"{name}.bias"}
    return rows


def modules(model, classes):
    """What repr tells, without what does not matter in evaluation or for other classes."""
    lines = []
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind in ("Dropout", "DropPath", "StochasticDepth", "Identity", "Sequential", "ModuleList", "PatchDropout"):
            continue
        extra = module.extra_repr().replace("inplace=True", "").replace(f"={classes}", "=CLASSES")
        extra = re.sub(r"momentum=[0-9.]+, |momentum=None, ", "", extra)
        extra = re.sub(r",? ?drop_prob=[0-9.]+", "", extra)
        lines.append(f"{name}: {kind}({extra})")
    root = vars(model)
    plain = {k: v for k, v in root.items() if isinstance(v, (bool, int, float, str)) and k not in ("training", "drop_rate", "drop_path_rate", "num_classes", "grad_checkpointing")}
    lines.append(f"attributes: {sorted(plain.items())}")
    # Plain numbers of the blocks, for functional strides, scales and window sizes.
    for name, module in model.named_modules():
        if name:
            values = {k: v for k, v in vars(module).items() if isinstance(v, (bool, int, float, str, tuple)) and not k.startswith("_") and k not in ("training", "momentum", "inplace", "p", "drop_prob", "fused_attn", "num_batches_tracked", "scale_by_keep")}
            if values:
                lines.append(f"{name} has {sorted(values.items())}".replace(f", {classes})", ", CLASSES)"))
    return lines


def networks(patterns):
    models = torchvision.models
    for name in models.list_models(models):
        if patterns:
            continue
        more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        yield f"tv.{name}", lambda name=name, more=more: models.get_model(name, weights=None, **more)
    names = sorted({n for p in patterns or ["*"] for n in timm.list_models(p)})
    for name in names:
        yield f"timm.{name}", lambda name=name: timm.create_model(name)


def main():
    out_json, out_md, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
    warnings.simplefilter("ignore")
    groups = collections.OrderedDict()
    failed = []
    for name, make in networks(patterns):
        try:
            with torch.device("meta"):
                model = make()
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {str(error)[:80]}")
            continue
        classes = getattr(model, "num_classes", 1000)
        key = signature(model, classifier_rows(model, classes))
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        group = groups.setdefault(digest, {"members": [], "texts": [], "tensors": len(key), "parameters": sum(p.numel() for p in model.parameters())})
        group["members"].append(name)
        group["texts"].append(modules(model, classes))
    out = []
    for digest, group in groups.items():
        variants = collections.OrderedDict()
        for name, text in zip(group["members"], group["texts"]):
            variants.setdefault(tuple(text), []).append(name)
        texts = list(variants)
        differences = []
        for text in texts[1:]:
            diff = [l for l in difflib.unified_diff(texts[0], text, n=0, lineterm="") if l[:1] in "+-" and l[:3] not in ("+++", "---")]
            differences.append({"count": len(diff), "lines": diff[:12]})
        out.append({"signature": digest, "members": group["members"], "variants": list(variants.values()), "differences": differences, "tensors": group["tensors"], "parameters": group["parameters"]})
    with open(out_json, "w") as file:
        json.dump(out, file, indent=1)
    with open(out_md, "w") as file:
        shared = [g for g in out if len(g["members"]) > 1]
        file.write(f"# Equal tensors\n\n{sum(len(g['members']) for g in out)} networks, {len(out)} signatures, {len(shared)} with several networks, of which {sum(len(g['variants']) > 1 for g in shared)} with different modules. timm {timm.__version__}, torchvision {torchvision.__version__}.\n\n")
        file.write("Within a line, networks separated by `,` have equal modules, those separated by `|` differ.\n\n")
        for g in shared:
            file.write("- " + " **|** ".join(", ".join(v) for v in g["variants"]) + "\n")
            for d in g["differences"]:
                for line in d["lines"][:4]:
                    file.write(f"  - `{line[:200]}`\n")
                if d["count"] > 4:
                    file.write(f"  - … {d['count']} lines differ\n")
        file.write("\nNot made: " + ("; ".join(failed) or "none") + "\n")


if __name__ == "__main__":
    main()
