#!/usr/bin/env python3
"""Reference values for other ResNets, and small .pth files, from PyTorch.

    pip install torch torchvision grad-cam safetensors
    python3 tools/reference_checkpoints.py tests/golden

Writes OUT/checkpoints.safetensors and OUT/pth/*.pth. The weights themselves are not
written: `made_up` computes them from their names, and tests/checkpoints has the same
formula.
"""
import math
import os
import sys
from collections import OrderedDict

import numpy as np
import torch
import torchvision
from pytorch_grad_cam import HiResCAM, LayerCAM, XGradCAM
from safetensors.torch import save_file

MODELS = {"resnet18": 3, "resnet34": 2, "resnet50": 5, "resnet101": 4}
HEIGHT, WIDTH = 64, 96


def noise(name, count):
    """Values in 0..1 computed from a name: FNV-1a, then Murmur's finalizer for each index."""
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 % 2**32
    x = (h + np.arange(count, dtype=np.uint64) * 2654435761) % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * factor % 2**32
    return ((x ^ (x >> 16)) / 2**32).astype(np.float64)


def made_up(name, shape):
    u = noise(name, math.prod(shape))
    if name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith("running_mean") or name.endswith("bias"):
        values = 0.2 * (u - 0.5)
    elif len(shape) == 1:
        values = 0.4 + 0.4 * u
    else:
        values = 2 * (u - 0.5) * math.sqrt(3 / math.prod(shape[1:]))
    return torch.tensor(values.astype(np.float32)).reshape(shape)


def grad_cam(a, g):
    return (g.mean((1, 2))[:, None, None] * a).sum(0)


def grad_cam_plus_plus(a, g):
    s = a.sum((1, 2), keepdim=True)
    w = torch.where(g > 0, g / (2 + s * g), torch.zeros_like(g)).sum((1, 2))
    return (w[:, None, None] * a).sum(0)


def by_the_package(kind, model, a, g):
    """The grad-cam package's map from activations and gradients, before its ReLU."""
    a, g = a[None].numpy(), g[None].numpy()
    with kind(model=model, target_layers=[model.layer4]) as cam:
        image = cam.get_cam_image(torch.zeros(1, 3, 8, 8), model.layer4, None, a, g, False)
    return torch.tensor(image[0])


def maps(out_dir):
    out = {}
    pixels = torch.tensor((noise("pixels", 3 * HEIGHT * WIDTH) * 256).astype(np.uint8)).reshape(3, HEIGHT, WIDTH)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = (pixels.float() / 255 - mean) / std
    for name, classes in MODELS.items():
        model = getattr(torchvision.models, name)(num_classes=classes).eval()
        state = {k: made_up(k, list(v.shape)) for k, v in model.state_dict().items() if "num_batches" not in k}
        model.load_state_dict(state, strict=False)
        layers = {f"layer{i}": getattr(model, f"layer{i}")[-1] for i in (1, 2, 3, 4)}
        block = model.layer4[-1]
        layers["last_conv"] = block.conv3 if hasattr(block, "conv3") else block.conv2
        seen = {}
        for key, layer in layers.items():
            layer.register_forward_hook(lambda module, i, o, key=key: seen.__setitem__(key, o))
        logits = model(x[None])[0]
        out[f"{name}/logits"] = logits.detach()
        for c in (0, classes - 1):
            grads = torch.autograd.grad(logits[c], [seen[key] for key in layers], retain_graph=True)
            for key, g in zip(layers, grads):
                a, g = seen[key][0].detach(), g[0]
                at = f"{name}/{c}/{key}"
                out[f"{at}/grad-cam"] = grad_cam(a, g)
                out[f"{at}/grad-cam++"] = grad_cam_plus_plus(a, g)
                for kind, method in ((HiResCAM, "hirescam"), (LayerCAM, "layercam"), (XGradCAM, "xgrad-cam")):
                    out[f"{at}/{method}"] = by_the_package(kind, model, a, g)
        print(name, logits.detach().numpy())
    save_file({k: v.float().contiguous() for k, v in out.items()}, os.path.join(out_dir, "checkpoints.safetensors"))


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 2, 2, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(2)
        self.conv1.weight.data = torch.arange(8.0).reshape(2, 1, 2, 2)


def pth_files(out_dir):
    folder = os.path.join(out_dir, "pth")
    os.makedirs(folder, exist_ok=True)
    a = torch.arange(6.0).reshape(2, 3)
    long = torch.arange(10.0)
    plain = OrderedDict(a=a, b=a.half(), c=a.bfloat16(), d=a.double(), count=torch.tensor(7))
    plain["view"] = long[4:]
    plain["turned"] = a.t()
    plain["last"] = torch.arange(12.0).reshape(1, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    plain["parameter"] = torch.nn.Parameter(a)
    weights = OrderedDict(a=a)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))]).state_dict()
    files = {
        "plain": plain,
        "state_dict": {"epoch": 3, "best_acc1": torch.tensor(0.5), "state_dict": weights, "optimizer": optimizer},
        "model_state_dict": {"model_state_dict": weights, "args": {"lr": 0.1, "name": None, "big": 2**80}},
        "model": {"model": {"state_dict": weights}, "class_to_idx": {"dog": 1, "cat": 0}},
        "named": {"net": weights, "classes": ("cat", "dog")},
        "module": Tiny(),
        "module_in_dict": {"model": Tiny(), "epoch": 1},
        "nothing": {"epoch": 3, "note": "no weights"},
    }
    for name, value in files.items():
        torch.save(value, os.path.join(folder, f"{name}.pth"))
    torch.save(weights, os.path.join(folder, "legacy.pth"), _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    pth_files(sys.argv[1])
    maps(sys.argv[1])
