"""Makes tests/golden/state_dict: small networks of torchvision's and timm's classes with random
weights, an input, and PyTorch's logits in f64."""

import os

import torch
from safetensors.torch import save_file
from timm.models.regnet import RegNet as TimmRegNet
from timm.models.regnet import RegNetCfg
from torchvision.models import densenet, regnet, shufflenetv2

FOLDER = os.path.join(os.path.dirname(__file__), "..", "tests", "golden", "state_dict")


def randomize(network: torch.nn.Module, side: int) -> None:
    """Random weights, and the batch norms' statistics from random images."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in network.named_parameters():
        if parameter.ndim >= 2:
            scale = (1.6 / parameter[0].numel()) ** 0.5
            parameter.data = torch.randn(parameter.shape, generator=generator) * scale
        elif name.endswith("weight"):
            parameter.data = torch.rand(parameter.shape, generator=generator) * 0.6 + 0.7
        else:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    network.train()
    with torch.no_grad():
        for seed in (50, 51):
            images = torch.Generator().manual_seed(seed)
            network(torch.randn(6, 3, side, side, generator=images))
    network.eval()


def make(name: str, network: torch.nn.Module, side: int) -> None:
    randomize(network, side)
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(5))
    tensors = {
        key: value.clone().contiguous()
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    with torch.no_grad():
        tensors["logits"] = network.double()(image.double())
    tensors["input"] = image
    save_file(tensors, os.path.join(FOLDER, f"{name}.safetensors"))


def main() -> None:
    torch.set_num_threads(1)
    os.makedirs(FOLDER, exist_ok=True)
    make("densenet", densenet.DenseNet(4, (2, 2), 8, num_classes=3), 33)
    widths = [8, 8, 16, 16, 24]
    make("shufflenet", shufflenetv2.ShuffleNetV2([2, 2, 2], widths, num_classes=3), 35)
    blocks = regnet.BlockParams(
        [1, 2, 1, 1], [8, 8, 16, 16], [4, 4, 8, 8], [1.0] * 4, [2] * 4, 0.25
    )
    make("regnet_y", regnet.RegNet(blocks, num_classes=3, stem_width=8), 37)
    config = RegNetCfg(
        depth=6, w0=8, wa=6.0, wm=1.6, group_size=4, stem_width=8, se_ratio=0.25
    )
    make("regnet_timm", TimmRegNet(config, num_classes=3), 35)


if __name__ == "__main__":
    main()
