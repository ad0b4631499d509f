#!/usr/bin/env python3
"""Writes assets/colormaps/NAME.rgb: matplotlib's 256 RGB triples, rounded to 8 bits.

    pip install matplotlib
    python3 tools/colormaps.py
"""
import pathlib

import matplotlib
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "assets" / "colormaps"
for name in ("turbo", "viridis", "inferno", "magma", "jet", "RdBu_r", "PuOr_r"):
    rgb = matplotlib.colormaps[name](np.arange(256))[:, :3]
    (OUT / f"{name}.rgb").write_bytes(np.round(rgb * 255).astype(np.uint8).tobytes())
