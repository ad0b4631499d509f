#!/usr/bin/env python3
"""Packs the EfficientNet-Lite0 tensors that the tests need from reference.py's files into one file.

    pip install safetensors numpy
    python3 tools/reduce_reference.py REFERENCE_DIR tests/golden/efficientnet_lite0.safetensors

Keeps inputs, logits and maps before ReLU; drops the grad-cam package's pictures.
Names become PHOTO/NAME.
"""
import pathlib
import sys

from safetensors.numpy import load_file, save_file

reference, out = map(pathlib.Path, sys.argv[1:])
kept = {}
for path in sorted(reference.glob("efficientnet_lite0-*.safetensors")):
    photo = path.stem.removeprefix("efficientnet_lite0-")
    kept |= {f"{photo}/{name}": v for name, v in load_file(path).items() if "pytorch_grad_cam" not in name}
save_file(kept, out)
print(f"{out}: {len(kept)} tensors")
