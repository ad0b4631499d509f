#!/usr/bin/env python3
"""State dicts of the families of torchvision, timm and transformers, with reference values.

    pip install torch torchvision timm transformers safetensors pillow
    OMP_NUM_THREADS=1 tools/family_fixtures.py OUT [--large] [--pth] [--again] [NAME...]

Random weights with fixed seeds. Writes OUT/LIBRARY.NAME/, see OUT/README.md. Without NAME (and --again) all but those already there and
the large ones (about 1.2 GB).
"""
import copy
import json
import os
import shutil
import sys
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import model_references as refs

README = """# State dicts with reference values

Made by tools/family_fixtures.py (random weights, fixed seeds). Folders are LIBRARY.NAME, where
LIBRARY is tv (torchvision), timm or hf (transformers). In each:

- `NAME.safetensors`: the state dict, as `model.state_dict()` names it (all buffers included). With
  `--pth` also `NAME.pth`. hf: `model.safetensors` and `config.json`
- `photo.png`, `input.npy` (f32 `[1, C, H, W]`, ImageNet's mean and std), `logits.npy` (f64)
- `LAYER.METHOD.npy`, `reference.json`: as in the README.md of the ONNX models
  (tools/onnx_fixtures.py). `arguments` in reference.json: what differs from the standard network.

More models: `tools/family_fixtures.py /tmp/sd16 NAME` makes any of the table, also the large ones
(`--large` makes all); delete what you do not need any more.
"""

tv = torchvision.models
SIZE = (224, 224)


def narrow(model, classes=10):
    """VGG's and AlexNet's classifiers with few units, so that files stay small."""
    linear = [m for m in model.classifier if isinstance(m, nn.Linear)]
    widths = [linear[0].in_features, 128, 96, classes]
    made = iter(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
    model.classifier = nn.Sequential(*(next(made) if isinstance(m, nn.Linear) else m for m in model.classifier))
    return model


def narrow_timm_vgg(name):
    model = timm.create_model(name, num_classes=10)
    model.pre_logits = timm.models.vgg.ConvMlp(512, 128, 7)
    model.head.fc = nn.Linear(128, 10)
    return model


def layers_of(model):
    """The default layer and an earlier one, by hand for each class of networks."""
    kind = type(model).__name__
    library = type(model).__module__.split(".")[0]
    if kind == "VGG":
        pools = [i for i, m in enumerate(model.features) if isinstance(m, nn.MaxPool2d)]
        return "features", f"features.{pools[-2]}"
    if kind == "AlexNet":
        return "features", "features.7"
    if kind == "SqueezeNet":
        return "features", "features.7"
    if kind == "DenseNet":
        return ("features|relu", "features.transition3.relu") if library == "torchvision" else ("features", "features.transition3.norm")
    if kind == "MobileNetV2":
        return "features.18", "features.13"
    if kind == "MobileNetV3" and library == "torchvision":
        last = len(model.features) - 1
        return f"features.{last}", f"features.{last - 4}"
    if kind == "MobileNetV3":
        last = len(model.blocks) - 1
        return f"blocks.{last}", f"blocks.{last - 2}"
    if kind == "EfficientNet" and library == "torchvision":
        last = len(model.features) - 1
        return f"features.{last}", f"features.{last - 3}"
    if kind == "EfficientNet":
        return "bn2", f"blocks.{len(model.blocks) - 3}"
    if kind == "MNASNet":
        return "layers", "layers.11"
    if kind == "RegNet" and library == "torchvision":
        return "trunk_output.block4", "trunk_output.block3"
    if kind == "RegNet":
        return "s4", "s3"
    if kind == "ShuffleNetV2":
        return "conv5", "stage3"
    if kind == "GoogLeNet":
        return "inception5b", "inception4e"
    if kind in ("Inception3", "InceptionV3"):
        return "Mixed_7c", "Mixed_6e"
    if kind in ("ResNet", "SENet"):
        return "layer4", "layer3"
    if kind == "ResNetV2":
        return "norm", "stages.2"
    if kind == "ConvNeXt" and library == "torchvision":
        return "features.7", f"features.5.{len(model.features[5]) - 2}"
    if kind == "ConvNeXt":
        return "stages.3", f"stages.2.blocks.{max(0, len(model.stages[2].blocks) - 2)}"
    if kind == "VisionTransformer" and library == "torchvision":
        n = len(model.encoder.layers)
        return f"encoder.layers.encoder_layer_{n - 1}.ln_1", f"encoder.layers.encoder_layer_{n - 4}"
    if kind in ("VisionTransformer", "VisionTransformerDistilled"):
        n = len(model.blocks)
        return f"blocks.{n - 1}.norm1", f"blocks.{n - 4}"
    if kind == "SwinTransformer" and library == "torchvision":
        return "norm", "features.5"
    if kind == "SwinTransformer":
        return "norm", "layers.2"
    if kind == "ResNetForImageClassification":
        return "resnet.encoder.stages.3", "resnet.encoder.stages.2"
    if kind == "ConvNextForImageClassification":
        return "convnext.encoder.stages.3", f"convnext.encoder.stages.2.layers.0"
    if kind == "ViTForImageClassification":
        names = [n for n, _ in model.named_modules() if n.endswith("layernorm_before")]
        return names[-1], names[-4].rsplit(".", 1)[0]
    if kind == "SwinForImageClassification":
        return "swin.layernorm", "swin.encoder.layers.2"
    raise KeyError(f"no layers known for {library}'s {kind}")


def torchvision_model(name, **more):
    defaults = {"num_classes": 10}
    if name in ("googlenet", "inception_v3"):
        defaults["init_weights"] = False
    return lambda: getattr(tv, name)(**{**defaults, **more})


def timm_model(name, **more):
    return lambda: timm.create_model(name, **{"num_classes": 10, **more})


def hf_model(kind, config, **more):
    def make():
        import transformers

        return getattr(transformers, kind)(getattr(transformers, config)(num_labels=10, **more))

    return make


def table():
    """name: (make, options)"""
    out = {}

    def add(library, name, make, **options):
        out[f"{library}.{name}"] = (make, options)

    wide = {"arguments": "classifier with 128 and 96 units"}
    for name in ("vgg11", "vgg16", "vgg11_bn", "vgg13_bn", "vgg19_bn"):
        add("tv", name, lambda name=name: narrow(torchvision_model(name)()), large=name in ("vgg16", "vgg19_bn"), **wide)
    add("tv", "alexnet", lambda: narrow(tv.alexnet(num_classes=10)), **wide)
    for name in ("squeezenet1_0", "squeezenet1_1", "densenet121", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
                 "mnasnet0_5", "mnasnet1_0", "regnet_x_400mf", "regnet_y_400mf", "regnet_y_800mf", "shufflenet_v2_x0_5",
                 "shufflenet_v2_x1_0", "resnet18", "efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s"):
        add("tv", name, torchvision_model(name))
    for name in ("densenet161", "densenet169", "densenet201", "mnasnet0_75", "mnasnet1_3", "regnet_x_800mf", "regnet_x_1_6gf",
                 "regnet_x_3_2gf", "regnet_x_8gf", "regnet_y_1_6gf", "regnet_y_3_2gf", "regnet_y_8gf", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
                 "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2",
                 "wide_resnet101_2", "convnext_tiny", "convnext_small", "vit_b_16", "vit_b_32", "swin_t", "swin_s",
                 "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6",
                 "efficientnet_b7", "efficientnet_v2_m", "efficientnet_v2_l"):
        add("tv", name, torchvision_model(name), large=name not in ("resnext50_32x4d", "resnet50"), patches="nhwc" if name.startswith("swin") else None)
    add("tv", "googlenet", torchvision_model("googlenet", transform_input=True), arguments="transform_input, with auxiliary heads")
    add("tv", "inception_v3", torchvision_model("inception_v3", transform_input=True), size=(299, 299), arguments="transform_input, with auxiliary heads")
    add("tv", "vit_small_own", lambda: tv.VisionTransformer(224, 16, 6, 3, 192, 384, num_classes=10), arguments="6 layers, 3 heads, width 192")
    add("tv", "swin_small_own", lambda: tv.SwinTransformer([4, 4], 48, [2, 2, 2, 2], [3, 6, 12, 24], [7, 7], num_classes=10), patches="nhwc", arguments="width 48, depths 2, 2, 2, 2")
    add("tv", "convnext_small_own", lambda: tv.ConvNeXt(convnext_blocks((40, 80, 160, 320), (2, 2, 3, 2)), num_classes=10), arguments="width 40, depths 2, 2, 3, 2")

    for name in ("resnet18", "resnet18d", "resnet10t", "resnet14t", "resnet26", "resnet26d", "resnet50c", "resnet50s", "resnet50d", "seresnet18",
                 "seresnet50", "legacy_seresnet18", "resnext50d_32x4d", "resnet26t", "ecaresnet26t", "resnet33ts", "resnetv2_50", "resnetv2_50d", "resnetv2_50x1_bit", "resnetv2_50d_gn",
                 "resnetblur18", "resnetaa50d", "skresnet18", "convnext_atto", "convnext_atto_ols", "convnext_femto", "convnext_tiny", "convnext_nano_ols", "convnextv2_atto", "vit_tiny_patch16_224",
                 "deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "vit_small_patch32_224", "vit_small_patch16_224", "vit_base_patch32_224", "vit_tiny_r_s16_p8_224",
                 "swin_tiny_patch4_window7_224", "densenet121", "mobilenetv2_100", "mobilenetv2_110d", "mobilenetv2_050",
                 "mobilenetv3_large_100", "mobilenetv3_small_100", "mobilenetv3_small_050", "tf_mobilenetv3_small_100", "tf_mobilenetv3_large_100", "tf_mobilenetv3_small_minimal_100", "efficientnet_b0", "efficientnet_b1",
                 "tf_efficientnet_b0", "efficientnet_lite0", "tf_efficientnet_lite0", "tf_efficientnetv2_b0", "efficientnetv2_rw_t", "tf_efficientnetv2_s", "efficientnet_es",
                 "mnasnet_100", "semnasnet_100", "spnasnet_100", "fbnetc_100", "regnetx_002", "regnety_002", "regnetx_008", "regnety_008", "regnetz_b16", "inception_v3", "tf_efficientnet_b1", "tf_efficientnet_b3"):
        large = name in ("seresnet50", "resnext50d_32x4d", "resnetv2_50", "resnetv2_50d", "resnetv2_50x1_bit", "resnetv2_50d_gn", "convnext_tiny", "swin_tiny_patch4_window7_224", "vit_base_patch32_224",
                         "resnetaa50d", "resnet50c", "resnet50s", "resnet50d", "tf_efficientnetv2_s", "convnext_nano_ols", "vit_small_patch16_224", "vit_small_patch32_224", "deit3_small_patch16_224", "resnet33ts", "ecaresnet26t", "tf_efficientnet_b3",
                         "regnetz_b16", "vit_tiny_r_s16_p8_224")
        size = (299, 299) if name == "inception_v3" else SIZE
        add("timm", name, timm_model(name), large=large, size=size, patches="nhwc" if name.startswith("swin") else None)
    for name in ("vgg11", "vgg11_bn"):
        add("timm", name, lambda name=name: narrow_timm_vgg(name), arguments="pre_logits with 128 units", large=name == "vgg11")
    add("timm", "resnetv2_own", lambda: timm.models.resnetv2.ResNetV2((1, 1, 1, 1), (128, 256, 384, 512), num_classes=10), arguments="layers 1, 1, 1, 1, channels 128 to 512")
    add("timm", "resnet18_gray", timm_model("resnet18", in_chans=1), gray=True, arguments="in_chans=1")
    add("timm", "swin_own", lambda: timm.models.swin_transformer.SwinTransformer(224, 4, embed_dim=48, depths=(2, 2, 2, 2), num_heads=(3, 6, 12, 24), window_size=7, num_classes=10), patches="nhwc", arguments="embed_dim=48, depths 2, 2, 2, 2")

    add("hf", "resnet", hf_model("ResNetForImageClassification", "ResNetConfig", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"))
    add("hf", "resnet_bottleneck", hf_model("ResNetForImageClassification", "ResNetConfig", depths=[1, 1, 2, 1], hidden_sizes=[64, 128, 256, 512]))
    add("hf", "convnext", hf_model("ConvNextForImageClassification", "ConvNextConfig", depths=[1, 1, 2, 1], hidden_sizes=[40, 80, 160, 320]))
    add("hf", "vit", hf_model("ViTForImageClassification", "ViTConfig", hidden_size=192, num_attention_heads=3, num_hidden_layers=6, intermediate_size=384))
    add("hf", "swin", hf_model("SwinForImageClassification", "SwinConfig", embed_dim=48, depths=[2, 2, 2, 2]), patches=(7, 7))
    return out


def convnext_blocks(widths, depths):
    from torchvision.models.convnext import CNBlockConfig

    return [CNBlockConfig(w, n, d) for w, n, d in zip(widths, [*widths[1:], None], depths)]


def patches_of(options, h, w):
    return options.get("patches")


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    out, wanted = arguments[0], arguments[1:]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "README.md"), "w") as file:
        file.write(README)
    warnings.simplefilter("ignore")
    for seed, (name, (make, options)) in enumerate(table().items()):
        if wanted:
            if not any(w in (name, name.split(".", 1)[1]) or (w.endswith("*") and name.startswith(w[:-1])) for w in wanted):
                continue
        elif options.get("large") and "--large" not in sys.argv:
            continue
        if not wanted and "--again" not in sys.argv and os.path.exists(os.path.join(out, name, "reference.json")):
            continue
        started = time.time()
        folder = os.path.join(out, name)
        try:
            one(name, make, options, seed + 1000, folder)
            size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)) / 1e6
            print(f"{name}: {size:.1f} MB, {time.time() - started:.0f} s", flush=True)
        except Exception as error:
            shutil.rmtree(folder + ".new", ignore_errors=True)
            print(f"{name}: FAILED {type(error).__name__}: {str(error)[:200]}", flush=True)


def one(name, make, options, seed, folder):
    size = options.get("size", SIZE)
    gray = options.get("gray", False)
    channels = {"mean": [0.5], "std": [0.25]} if gray else {"mean": refs.IMAGENET[0], "std": refs.IMAGENET[1]}
    torch.manual_seed(seed)
    model = make()
    aux = [n for n, _ in model.named_parameters() if "aux" in n.lower()]
    if aux:  # auxiliary heads run in training only; their tensors stay in the file
        refs.sane(model, refs.calibration_photos(*size, gray=gray, **channels), seed)
    else:
        refs.sane(model, refs.calibration_photos(*size, gray=gray, **channels), seed)
    pixels = refs.photo("samples/cat.png", *size, gray)
    x = refs.normalize(pixels, **channels)
    default, earlier = layers_of(model)
    new = folder + ".new"
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    library, short = name.split(".", 1)
    if library == "hf":
        model.config.save_pretrained(new)
        tensors = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
        save_file(tensors, os.path.join(new, "model.safetensors"), {"format": "pt"})
    else:
        tensors = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
        save_file(tensors, os.path.join(new, f"{short}.safetensors"), {"format": "pt"})
        if "--pth" in sys.argv:
            torch.save(model.state_dict(), os.path.join(new, f"{short}.pth"))
    logits, info, maps = refs.reference(model, x, {"default": default, "earlier": earlier}, options.get("patches"))
    info["library"], info["name"] = library, short
    info["arguments"] = options.get("arguments", "")
    info["input"] = {"layout": "nchw", "height": size[0], "width": size[1], **channels}
    refs.write(new, pixels, x, logits, info, maps)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(new, folder)


if __name__ == "__main__":
    main()
