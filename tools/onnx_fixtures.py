#!/usr/bin/env python3
"""ONNX classifiers with reference values, exported by PyTorch.

    pip install torch torchvision timm onnx onnxruntime onnxscript pillow
    OMP_NUM_THREADS=1 tools/onnx_fixtures.py OUT [NAME...]

Writes a folder for each model; OUT/README.md describes the files. NAME selects models that
contain it.
"""
import contextlib
import copy
import io
import json
import os
import shutil
import sys
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torchvision
from torch import nn

import model_references as refs

README = """# ONNX classifiers with reference values

Made by tools/onnx_fixtures.py (random weights, fixed seeds). In each folder:

- `model.onnx` (and `model.onnx.data` for the dynamo exporter): the file
- `photo.png`: exactly as large as the network's input, so `--framing squash` resamples nothing
- `input.npy`: f32 `[1, C, H, W]`, normalized as reference.json's `input` says, channels in the
  network's order (also for NHWC files: transpose it for them)
- `logits.npy`: f64, by torch, before a softmax or sigmoid at the end of the file
- `output.npy`: f64, by torch, what the file's output is; `output_ort.npy`: f32, by ONNX Runtime
- `LAYER.METHOD.npy`: f64 `[h, w]`, before ReLU, class `class` of reference.json. LAYER is
  `default` (the rule of any-classifier.md section 3) or `earlier`. METHOD: grad-cam, grad-cam++,
  layercam, hirescam, xgrad-cam (formulas in tools/model_references.py)
- `reference.json`: classes, class, and for each layer the module's name in PyTorch, `values`: names
  of the ONNX values with the same content (found with ONNX Runtime; the last ones first are views
  such as Transpose or Identity of the same values), shape in PyTorch, `grid`, `prefix_tokens`,
  `cancellation` (above 300 the method's sums cancel and f32 can't agree), `largest_cell`

A map agrees if the largest difference is at most 1e-4 of `largest_cell`.
"""


class Then(nn.Module):
    """A network, then a function on its output."""

    def __init__(self, model, after):
        super().__init__()
        self.model, self.after = model, after

    def forward(self, x):
        return self.after(self.model(x))


class ChannelsLast(nn.Module):
    """Takes `[N, H, W, C]`."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.permute(0, 3, 1, 2))


class Normalized(nn.Module):
    """Takes pixels and normalizes them first."""

    def __init__(self, model, mean, std, scale):
        super().__init__()
        self.model = model
        mean, std = torch.tensor(mean) * scale, torch.tensor(std) * scale
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def forward(self, x):
        return self.model((x - self.mean) / self.std)


class TwoOutputs(nn.Module):
    """Features first, then logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        f = self.model.forward_features(x)
        return self.model.forward_head(f, pre_logits=True), self.model.forward_head(f)


class KerasLike(nn.Module):
    """Channels last throughout, as Keras on PyTorch exports it: a pair of transposes around every
    convolution and pooling, batch norm as arithmetic, Flatten in NHWC order."""

    def __init__(self, classes=7, flatten=False):
        super().__init__()
        widths = [3, 24, 32, 48]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1, bias=False) for a, b in zip(widths, widths[1:]))
        self.depth = nn.ModuleList(nn.Conv2d(b, b, 3, 1, 1, groups=b, bias=False) for b in widths[1:])
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) for b in widths[1:])
        self.out = nn.Identity()
        self.flatten = flatten
        self.fc = nn.Linear(48 * (7 * 7 if flatten else 1), classes)

    def forward(self, x):
        for conv, depth, norm in zip(self.convs, self.depth, self.norms):
            x = conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            if norm.training:
                x = norm(x.permute(0, 3, 1, 2).flatten(2)).reshape(x.permute(0, 3, 1, 2).shape).permute(0, 2, 3, 1)
            else:
                x = (x - norm.running_mean) * (torch.rsqrt(norm.running_var + 1e-3) * norm.weight) + norm.bias
            x = torch.relu(x)
            x = depth(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            x = x * torch.sigmoid(x)
        if self.flatten:
            x = nn.functional.max_pool2d(x.permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1)
            return self.fc(self.out(x).flatten(1))
        return self.fc(self.out(x).mean((1, 2)))


def narrow_vgg(make, classes):
    """VGG with a narrow classifier, so that the file stays small."""
    model = make(num_classes=2)
    model.classifier = nn.Sequential(
        nn.Linear(512 * 49, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 96), nn.ReLU(), nn.Dropout(), nn.Linear(96, classes)
    )
    return model


tv = torchvision.models
# name: (make, default layer, earlier layer, {options})
NETWORKS = {
    "resnet18": (lambda: tv.resnet18(num_classes=1000), "layer4", "layer3", {}),
    "mobilenet_v2": (lambda: tv.mobilenet_v2(num_classes=37), "features.18", "features.13", {}),
    "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=20), "features.12", "features.7", {}),
    "vgg11": (lambda: narrow_vgg(tv.vgg11, 12), "features", "features.14", {"fixed": True}),
    "vgg11_bn": (lambda: narrow_vgg(tv.vgg11_bn, 12), "features", "features.20", {"fixed": True}),
    "efficientnet_b0": (lambda: tv.efficientnet_b0(num_classes=1000), "features.8", "features.5", {}),
    "densenet121": (lambda: tv.densenet121(num_classes=30), "features|relu", "features.transition3.relu", {}),
    "vit_tiny": (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=15), "blocks.11.norm1", "blocks.6", {"fixed": True}),
    "convnext_atto": (lambda: timm.create_model("convnext_atto", num_classes=15), "stages.3", "stages.2.blocks.3", {}),
    "mobilenet_v3_small": (lambda: tv.mobilenet_v3_small(num_classes=20), "features.12", "features.8", {}),
    "mobilenetv3_timm": (lambda: timm.create_model("mobilenetv3_small_050", num_classes=20), "blocks.5", "blocks.3", {}),
    "regnet_y_400mf": (lambda: tv.regnet_y_400mf(num_classes=20), "trunk_output.block4", "trunk_output.block3", {}),
    "resnext": (lambda: timm.create_model("resnext26ts", num_classes=20), "final_conv", "stages.2", {}),
    "shufflenet_v2": (lambda: tv.shufflenet_v2_x0_5(num_classes=20), "conv5", "stage3", {}),
    "mnasnet0_5": (lambda: tv.mnasnet0_5(num_classes=20), "layers", "layers.11", {}),
    "googlenet": (lambda: tv.googlenet(num_classes=20, aux_logits=False, transform_input=True, init_weights=False), "inception5b", "inception4e", {}),
    "inception_v3": (lambda: tv.inception_v3(num_classes=20, aux_logits=False, transform_input=True, init_weights=False), "Mixed_7c", "Mixed_6e", {"size": (299, 299)}),
    "swin_t": (lambda: tv.SwinTransformer([4, 4], 32, [2, 2, 2], [2, 4, 8], [7, 7], num_classes=10), "norm", "features.3", {"fixed": True, "patches": "nhwc"}),
    "seresnet": (lambda: timm.create_model("seresnet18", num_classes=10), "layer4", "layer3", {}),
    "resnetv2": (lambda: timm.models.resnetv2.ResNetV2((1, 1, 1, 1), (128, 256, 384, 512), num_classes=10), "norm", "stages.2", {}),
    "nfnet": (lambda: timm.create_model("nf_resnet26", num_classes=10), "final_act", "stages.3.0.act1", {}),
    "hrnet": (lambda: timm.create_model("hrnet_w18_small", num_classes=10), "final_layer", None, {}),
    "tf_efficientnet": (lambda: timm.create_model("tf_efficientnet_lite0", num_classes=10), "bn2", "blocks.4", {}),
    "mixer": (lambda: timm.create_model("mixer_s16_224", num_classes=10), "norm", "blocks.4", {"fixed": True}),
}


def export(model, x, path, exporter, opset, dynamic=None, names=("input",), outputs=("logits",)):
    """dynamic: {input axis: symbol}."""
    model = copy.deepcopy(model).float().eval()
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter == "legacy":
            axes = {names[0]: dynamic} if dynamic else None
            torch.onnx.export(model, (x,), path, dynamo=False, opset_version=opset, input_names=list(names), output_names=list(outputs), dynamic_axes=axes)
        else:
            shapes = ({a: torch.export.Dim.DYNAMIC for a in dynamic},) if dynamic else None
            torch.onnx.export(model, (x,), path, dynamo=True, opset_version=opset, input_names=list(names), output_names=list(outputs), dynamic_shapes=shapes, external_data=True, verbose=False)


def run_ort(path, x, extra=()):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if extra:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    return session.run(None, feed)


def find_values(path, x, targets):
    """For each target array the names of the file's values that hold it (any order of axes)."""
    model = onnx.load(path)
    known = {o.name for o in model.graph.output}
    names = [o for node in model.graph.node for o in node.output if o and o not in known]
    constant = {o for node in model.graph.node if node.op_type in ("Constant",) for o in node.output}
    names = [n for n in names if n not in constant]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for name in names:
        probe.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    at = path + ".probe.onnx"
    onnx.save(probe, at, save_as_external_data=True, location=os.path.basename(at) + ".data")
    try:
        order = [o.name for o in probe.graph.output]
        values = run_ort(at, x, extra=names)
    finally:
        os.remove(at)
        if os.path.exists(at + ".data"):
            os.remove(at + ".data")
    found = {}
    for label, target in targets.items():
        target = np.asarray(target)
        key = np.sort(target.ravel())
        tolerance = 1e-3 * np.abs(key).max()
        found[label] = [
            [name, list(v.shape)]
            for name, v in zip(order, values)
            if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.size == key.size and np.abs(np.sort(v.ravel()) - key).max() < tolerance
        ]
    return found


def finish(folder, wrapped, network, pixels, x, layers, options, feed, info):
    """Reference values of an exported file."""
    path = os.path.join(folder, "model.onnx")
    logits, more, maps = refs.reference(copy.deepcopy(network), x, layers, options.get("patches"))
    with torch.no_grad():
        model = copy.deepcopy(wrapped).double().eval()
        out = model(feed.double())
        outputs = list(out) if isinstance(out, (tuple, list)) else [out]
        holder = copy.deepcopy(network).float().eval()
        with refs.watch(holder, layers) as seen:
            refs.first(holder(x))
    got = run_ort(path, feed.numpy())
    errors = [float(np.abs(a - b.numpy()).max()) for a, b in zip(got, outputs)]
    spread = float(logits.max() - logits.min())
    info.update(more)
    info["ort_error"] = errors
    found = find_values(path, feed.numpy(), {k: v.detach().numpy() for k, v in seen.items()})
    for label, values in found.items():
        info["layers"][label]["values"] = values
    refs.write(folder, pixels, x, logits, info, maps)
    np.save(os.path.join(folder, "output.npy"), outputs[-1].numpy())
    np.save(os.path.join(folder, "output_ort.npy"), got[-1])
    return errors, spread


def main():
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "README.md"), "w") as file:
        file.write(README)

    def selected(name):
        return not wanted or any(w in name for w in wanted)

    def make(name, network, wrapped, layers, options, exporter, opset, dynamic=None, **how):
        if not selected(name):
            return
        started = time.time()
        folder = os.path.join(out, name)
        new = folder + ".new"
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(new)
        try:
            height, width = options.get("size", (224, 224))
            gray = options.get("gray", False)
            channels = how.get("channels", {"mean": refs.IMAGENET[0], "std": refs.IMAGENET[1]})
            pixels = refs.photo(options.get("photo", "samples/cat.png"), height, width, gray)
            x = refs.normalize(pixels, **channels)
            feed = x
            if how.get("nhwc"):
                feed = x.permute(0, 2, 3, 1).contiguous()
            if how.get("pixels"):
                feed = x = refs.normalize(pixels, [0] * pixels.shape[-1], [1] * pixels.shape[-1], how["pixels"])
            path = os.path.join(new, "model.onnx")
            example = feed if not dynamic or exporter == "legacy" else torch.cat([feed, feed])
            export(wrapped, example, path, exporter, opset, dynamic, outputs=how.get("outputs", ("logits",)))
            info = {
                "exporter": f"torch {torch.__version__} {exporter}",
                "opset": opset,
                "input": {"layout": "nhwc" if how.get("nhwc") else "nchw", "height": height, "width": width, "symbolic": bool(dynamic), **channels},
                "output": how.get("output", "logits"),
            }
            if how.get("pixels"):
                info["input"].update(mean=[0] * pixels.shape[-1], std=[1] * pixels.shape[-1], scale=how["pixels"])
            reference_network = how.get("reference", network)
            errors, spread = finish(new, wrapped, reference_network, pixels, x, layers, options, feed, info)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(new, folder)
            size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) / 1e6
            found = {k: len(v["values"]) for k, v in info["layers"].items()}
            print(f"{name}: ort error {max(errors):.1e}, logits spread {spread:.2f}, values {found}, {size:.1f} MB, {time.time() - started:.0f} s", flush=True)
        except Exception as error:  # one failing exporter must not stop the others
            shutil.rmtree(new, ignore_errors=True)
            print(f"{name}: FAILED {type(error).__name__}: {str(error)[:300]}", flush=True)

    def layers_of(default, earlier):
        return {"default": default, **({"earlier": earlier} if earlier else {})}

    for seed, (name, (create, default, earlier, options)) in enumerate(NETWORKS.items()):
        if not any(selected(f"{name}-{kind}") for kind in ("legacy17", "dynamo20", "legacy17-any", "dynamo18-any")):
            continue
        try:
            torch.manual_seed(seed)
            size = options.get("size", (224, 224))
            network = refs.sane(create(), refs.calibration_photos(*size), seed)
        except Exception as error:
            print(f"{name}: FAILED to make: {error}", flush=True)
            continue
        layers = layers_of(default, earlier)
        if name not in ("nfnet", "mixer"):  # large, nothing new
            make(f"{name}-legacy17", network, network, layers, options, "legacy", 17)
        make(f"{name}-dynamo20", network, network, layers, options, "dynamo", 20)
        if not options.get("fixed") and name not in ("inception_v3", "nfnet", "hrnet", "seresnet", "resnext"):
            make(f"{name}-legacy17-any", network, network, layers, options, "legacy", 17, {0: "batch", 2: "height", 3: "width"})
        if name in ("mobilenet_v2", "convnext_atto"):
            make(f"{name}-dynamo18-any", network, network, layers, options, "dynamo", 18, {0: "batch", 2: "height", 3: "width"})

    special(selected, make, layers_of)


def special(selected, make, layers_of):
    """Other inputs and outputs."""
    resnet = layers_of("layer4", "layer3")

    def small(**more):
        resnet = timm.models.resnet
        return resnet.ResNet(resnet.BasicBlock, (1, 1, 1, 1), channels=(24, 40, 64, 96), **more)

    def network(create, seed, size=(224, 224), **calibration):
        torch.manual_seed(seed)
        return refs.sane(create(), refs.calibration_photos(*size, **calibration), seed)

    def when(name, *args, **kwargs):
        if selected(name):
            try:
                build = args[0]
                make(name, *build(), **kwargs)
            except Exception as error:
                print(f"{name}: FAILED to make: {error}", flush=True)

    def softmax():
        n = network(lambda: small(num_classes=9), 101)
        return n, Then(n, nn.Softmax(1)), resnet, {}, "legacy", 13

    def sigmoid():
        n = network(lambda: small(num_classes=9), 102)
        return n, Then(n, nn.Sigmoid()), resnet, {}, "legacy", 12

    def one_logit():
        n = network(lambda: small(num_classes=1), 103)
        return n, n, resnet, {}, "dynamo", 20

    def one_sigmoid():
        n = network(lambda: small(num_classes=1), 104)
        return n, Then(n, nn.Sigmoid()), resnet, {}, "legacy", 17

    def non_square():
        size = (48, 192)
        n = network(lambda: tv.mobilenet_v3_small(num_classes=4), 105, size)
        return n, n, layers_of("features.12", "features.3"), {"size": size}, "legacy", 11

    def gray():
        n = network(lambda: small(num_classes=5, in_chans=1), 106, gray=True, mean=[0.5], std=[0.25])
        return n, n, resnet, {"gray": True}, "legacy", 17

    def caffe():
        means = [103.939, 116.779, 123.68]
        n = network(lambda: narrow_vgg(tv.vgg11, 6), 107, mean=means, std=[1, 1, 1], scale=1, bgr=True)
        return n, n, layers_of("features", "features.14"), {}, "legacy", 9

    def inside():
        n = network(lambda: small(num_classes=8), 108)
        wrapped = Normalized(n, *refs.IMAGENET, scale=255.0)
        layers = layers_of("model.layer4", "model.layer3")
        return wrapped, wrapped, layers, {}, "legacy", 17

    def channels_last():
        n = network(lambda: tv.mobilenet_v2(num_classes=6), 109, mean=[0.5] * 3, std=[0.5] * 3)
        return n, ChannelsLast(n), layers_of("features.18", "features.13"), {}, "legacy", 13

    def keras_like():
        torch.manual_seed(110)
        last = KerasLike()
        n = Wrap(last)
        refs.sane(n, refs.calibration_photos(224, 224), 110)
        return n, last, layers_of("last.out", None), {"patches": "nhwc"}, "legacy", 15

    def keras_flatten():
        torch.manual_seed(111)
        last = KerasLike(flatten=True)
        n = Wrap(last)
        refs.sane(n, refs.calibration_photos(224, 224), 111)
        return n, last, layers_of("last.out", None), {"patches": "nhwc"}, "dynamo", 21

    def two_outputs():
        n = network(lambda: small(num_classes=11), 112)
        return n, TwoOutputs(n), resnet, {}, "legacy", 17

    ch = lambda **c: {"channels": c}
    when("softmax", softmax, output="softmax", outputs=("probabilities",))
    when("sigmoid", sigmoid, output="sigmoid", outputs=("scores",))
    when("one-logit", one_logit)
    when("one-sigmoid", one_sigmoid, output="sigmoid", outputs=("score",))
    when("non-square", non_square)
    when("gray", gray, **ch(mean=[0.5], std=[0.25]))
    when("caffe-bgr", caffe, **ch(mean=[103.939, 116.779, 123.68], std=[1, 1, 1], scale=1, bgr=True))
    when("normalized-inside", inside, pixels=1.0)
    when("nhwc-input", channels_last, nhwc=True, **ch(mean=[0.5] * 3, std=[0.5] * 3))
    when("nhwc-keras-like", keras_like, nhwc=True)
    when("nhwc-keras-flatten", keras_flatten, nhwc=True)
    when("two-outputs", two_outputs, outputs=("features", "logits"))
    for opset in (9, 11, 14, 18):
        when(f"mobilenetv3-opset{opset}", lambda: (lambda n: (n, n, layers_of("features.12", "features.8"), {}, "legacy", opset))(network(lambda: tv.mobilenet_v3_small(num_classes=9), 120)))
    timm.layers.set_fused_attn(False)
    when("vit-opset11", lambda: (lambda n: (n, n, layers_of("blocks.2.norm1", "blocks.1"), {}, "legacy", 11))(network(lambda: timm.create_model("vit_tiny_patch16_224", depth=3, num_classes=9), 121)))
    timm.layers.set_fused_attn(True)
    when("vit-dynamo23", lambda: (lambda n: (n, n, layers_of("blocks.2.norm1", "blocks.1"), {}, "dynamo", 23))(network(lambda: timm.create_model("vit_tiny_patch16_224", depth=3, num_classes=9), 122)))
    when("convnext-opset13", lambda: (lambda n: (n, n, layers_of("stages.3", "stages.2.blocks.1"), {}, "legacy", 13))(network(lambda: timm.create_model("convnext_atto", depths=(1, 1, 2, 1), num_classes=9), 123)))


class Wrap(nn.Module):
    """NCHW in front of a network that takes NHWC."""

    def __init__(self, last):
        super().__init__()
        self.last = last

    def forward(self, x):
        return self.last(x.permute(0, 2, 3, 1))


if __name__ == "__main__":
    main()
