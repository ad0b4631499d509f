"""Networks with random but sane weights, and their maps by PyTorch's autograd in f64.

Used by onnx_fixtures.py and family_fixtures.py.

A map is `[height, width]`, f64, before its ReLU, of one class at one layer:

    grad-cam    Σ_k mean(g_k) A_k
    grad-cam++  Σ_k w_k A_k, w_k = Σ_{cells: g > 0, 2 + S_k g > 0} g / (2 + S_k g), S_k = Σ A_k
    layercam    Σ_k max(g_k, 0) A_k
    hirescam    Σ_k g_k A_k
    xgrad-cam   Σ_k w_k A_k, w_k = Σ g_k A_k / S_k (0 where S_k is 0)

`A` are the activations and `g` the gradients of one logit.
"""
import contextlib
import json
import math
import os

import numpy as np
import torch
from PIL import Image
from torch import nn

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
METHODS = ("grad-cam", "grad-cam++", "layercam", "hirescam", "xgrad-cam")
NORMS = (nn.modules.batchnorm._BatchNorm,)
SHARED = os.environ.get("CAMLENS_SHARED", "/work/shared")


def photo(name, height, width, gray=False):
    """A photo at exactly this size, as `[H, W, C]` bytes. `name` is a file under SHARED."""
    image = Image.open(os.path.join(SHARED, name)).convert("RGB")
    # The middle, with the ratio of the sides.
    scale = min(image.width / width, image.height / height)
    w, h = scale * width, scale * height
    left, top = (image.width - w) / 2, (image.height - h) / 2
    image = image.resize((width, height), Image.BILINEAR, box=(max(left, 0), max(top, 0), min(left + w, image.width), min(top + h, image.height)))
    if gray:
        image = image.convert("L")
    return np.atleast_3d(np.asarray(image))


def normalize(pixels, mean, std, scale=255.0, bgr=False):
    """`[1, C, H, W]` in f32."""
    x = pixels[..., ::-1] if bgr else pixels
    x = x.astype(np.float32) / np.float32(scale)
    mean, std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    x = (x - mean) / std
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))


def calibration_photos(height, width, gray=False, count=8, **normalization):
    """A batch of photos, normalized."""
    folder = os.path.join(SHARED, "photos")
    names = sorted(os.listdir(folder))[:: max(1, 250 // count)][:count]
    if not normalization:
        normalization = {"mean": IMAGENET[0], "std": IMAGENET[1]}
    return torch.cat([normalize(photo(f"photos/{n}", height, width, gray), **normalization) for n in names])


def no_inplace(model):
    """Hooks must see the values that modules return, so nothing may be changed in place."""
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return model


@torch.no_grad()
def sane(model, batch, seed=0):
    """Random weights with which activations neither die nor explode: linear and convolution
    layers scaled to outputs with standard deviation 1, statistics of batch norms from photos,
    logits with standard deviation 3. No parameter stays constant."""
    no_inplace(model)
    g = torch.Generator().manual_seed(seed)
    rand = lambda t: torch.rand(t.shape, generator=g)
    randn = lambda t: torch.randn(t.shape, generator=g)
    for name, p in model.named_parameters():
        last = name.rsplit(".", 1)[-1]
        if p.dim() >= 2 and p.shape[0] > 1 and last not in ("cls_token", "pos_embed"):
            p.copy_(randn(p) * math.sqrt(2 / max(1, p[0].numel())))
        elif any(s in last for s in ("pos_embed", "token", "bias_table", "class_token", "pos_embedding")):
            p.copy_(randn(p) * 0.3)
        elif "gamma" in last or "layer_scale" in last or "skipinit" in last:
            p.copy_(0.2 + 0.4 * rand(p))
        elif last.endswith("weight") and p.dim() == 1:
            p.copy_(0.6 + 0.8 * rand(p))
        elif last in ("logit_scale",):
            p.copy_(math.log(10) + 0.2 * randn(p))
        else:
            p.copy_(0.15 * randn(p))
    scaled = set()
    hooks = []

    def scale(module, inputs, output):
        if id(module) in scaled:
            return output
        scaled.add(id(module))
        std = float(output.float().std())
        if not math.isfinite(std) or std < 1e-9:
            return output
        module.weight.mul_(1 / std)
        if module.bias is not None:
            return (output - bias_of(module, output)) / std + bias_of(module, output)
        return output / std

    for module in model.modules():
        if type(module).__name__ in ("Conv2d", "Linear", "Conv2dSame", "NonDynamicallyQuantizableLinear"):
            hooks.append(module.register_forward_hook(scale))
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, NORMS)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum_before, norm.momentum = norm.momentum, None
        norm.train()
    model(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        norm.reset_running_stats()
    model(batch)
    for norm in norms:
        norm.momentum = norm.momentum_before
    model.eval()
    logits = first(model(batch))
    last = last_layer(model, batch)
    if last is not None and logits.shape[-1] > 1:
        last.weight.mul_(3 / max(1e-6, float(logits.float().std())))
    return model


def bias_of(module, output):
    shape = [1] * output.dim()
    shape[1 if isinstance(module, nn.Conv2d) else -1] = -1
    return module.bias.reshape(shape)


def first(output):
    """The logits of networks that return several values."""
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, (tuple, list)) else output


def last_layer(model, batch):
    """The last linear layer or convolution that runs."""
    seen = []
    hooks = [
        m.register_forward_hook(lambda m, i, o: seen.append(m))
        for m in model.modules()
        if isinstance(m, (nn.Linear, nn.Conv2d))
    ]
    model(batch[:1])
    for hook in hooks:
        hook.remove()
    return seen[-1] if seen else None


@contextlib.contextmanager
def watch(model, layers):
    """The outputs of the modules `layers`: {label: "module.path" or "module.path|relu"}."""
    seen, hooks = {}, []
    for label, spec in layers.items():
        path, _, function = spec.partition("|")

        def hook(module, inputs, output, label=label, function=function):
            rest = ()
            if isinstance(output, (tuple, list)):
                output, *rest = output
            if function == "relu":
                output = torch.relu(output)
            if not output.requires_grad:
                output = output.clone().requires_grad_()
            seen[label] = output
            return (output, *rest) if rest else output

        hooks.append(model.get_submodule(path).register_forward_hook(hook))
    relu = nn.functional.relu  # torchvision's DenseNet changes the hooked value in place
    # A hooked value after "|relu" is not rectified again: that would cut the gradient at its zeros.
    nn.functional.relu = lambda x, inplace=False: x if any(x is v for v in seen.values()) else relu(x)
    yield seen
    nn.functional.relu = relu
    for hook in hooks:
        hook.remove()


def grid(values, layout, height, width, prefix):
    """`[C, h, w]` of `[1, …]`."""
    v = values[0]
    if layout == "nchw":
        return v
    if layout == "nhwc":
        return v.permute(2, 0, 1)
    return v[prefix:].T.reshape(v.shape[-1], height, width)


def layout_of(value, patches=None):
    """(layout, height, width, number of tokens before those of the grid)."""
    if value.dim() == 4:
        _, a, b, c = value.shape
        # Channels last if the two middle axes are the smaller and alike.
        if patches == "nhwc":
            return "nhwc", a, b, 0
        return "nchw", b, c, 0
    tokens = value.shape[1]
    side = int(math.isqrt(tokens))
    h, w = patches if isinstance(patches, tuple) else (side, side)
    return "tokens", h, w, tokens - h * w


def methods(a, g):
    """All maps from activations and gradients `[C, h, w]` in f64."""
    s = a.sum((1, 2), keepdim=True)
    divisor = 2 + s * g
    terms = torch.where((g > 0) & (divisor > 0), g / torch.where(divisor == 0, 1, divisor), 0)
    x = torch.where(s == 0, 0, (g * a).sum((1, 2), keepdim=True) / torch.where(s == 0, 1, s))
    out = {
        "grad-cam": (g.mean((1, 2), keepdim=True) * a).sum(0),
        "grad-cam++": (terms.sum((1, 2), keepdim=True) * a).sum(0),
        "layercam": (g.clamp(min=0) * a).sum(0),
        "hirescam": (g * a).sum(0),
        "xgrad-cam": (x * a).sum(0),
    }
    # What an error in A costs: sums that cancel.
    size = a.abs().sum((1, 2), keepdim=True)
    weight = (x.abs() * size).sum()
    pair = torch.where((g > 0) & (divisor > 0), (2 + s.abs() * g) / torch.where(divisor == 0, 1, divisor), 0)
    share = (terms * size).sum()
    conditions = {
        "grad-cam++": float((pair * terms * size).sum() / share) if share > 0 else 1.0,
        "xgrad-cam": float(((x.abs() * size) * size / s.abs().clamp(min=1e-300)).sum() / weight) if weight > 0 else 1.0,
        "hirescam": float((g * a).abs().sum() / (g * a).sum(0).abs().sum().clamp(min=1e-300)),
    }
    return out, conditions


def reference(model, x, layers, patches=None, wanted=None, cast=torch.float64):
    """(logits, info, maps): maps["default"]["grad-cam"] etc. of the top class in f64."""
    model = no_inplace(model).eval().to(cast)
    x = x.to(cast).requires_grad_()
    with watch(model, layers) as seen:
        logits = first(model(x))
    logits = logits.flatten()
    index = int(logits.argmax()) if wanted is None else wanted
    values = [seen[label] for label in layers]
    grads = torch.autograd.grad(logits[index], values, allow_unused=True)
    info = {"class": index, "classes": logits.numel(), "layers": {}}
    maps = {}
    for (label, spec), value, grad in zip(layers.items(), values, grads):
        if grad is None:
            grad = torch.zeros_like(value)
        layout, h, w, prefix = layout_of(value, patches)
        a = grid(value.detach(), layout, h, w, prefix)
        g = grid(grad, layout, h, w, prefix)
        maps[label], conditions = methods(a, g)
        info["layers"][label] = {
            "module": spec,
            "shape": list(value.shape),
            "layout": layout,
            "grid": [h, w],
            "prefix_tokens": prefix,
            "negative_activations": bool((a < 0).any()),
            "gradient_same_in_all_cells": bool((g - g.mean((1, 2), keepdim=True)).abs().max() <= 1e-12 * g.abs().max()),
            "cancellation": {k: round(v, 3) for k, v in conditions.items()},
            "largest_cell": {k: float(v.abs().max()) for k, v in maps[label].items()},
        }
    return logits.detach(), info, maps


def write(folder, pixels, x, logits, info, maps):
    """Writes photo.png, input.npy, logits.npy, LAYER.METHOD.npy and reference.json."""
    os.makedirs(folder, exist_ok=True)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(os.path.join(folder, "photo.png"))
    save = lambda name, v: np.save(os.path.join(folder, name), np.ascontiguousarray(v))
    save("input.npy", x.detach().float().numpy())
    save("logits.npy", logits.numpy())
    for label, by_method in maps.items():
        for method, values in by_method.items():
            save(f"{label}.{method}.npy", values.numpy())
    with open(os.path.join(folder, "reference.json"), "w") as file:
        json.dump(info, file, indent=1)
