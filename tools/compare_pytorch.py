#!/usr/bin/env python3
"""Times camlens and the Python packages in turn, on the same photos and threads.

    pip install torch torchvision grad-cam torchcam safetensors
    tools/compare_pytorch.py --weights resnet18.safetensors [--camlens target/release/camlens]
        [--threads 2] [--rounds 10] PHOTO...

Every round runs everything once, so that a slow phase of the machine affects all alike. The
ratio in a row is the median over the rounds. The network is ResNet-18 at 224x224 (framing
`crop`), the maps are Grad-CAM and Grad-CAM++ of the top class at layer4. Prints a Markdown
table.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time

# What a Python user would write to get both maps of one photo.
SCRIPT = """
import sys, torch
from PIL import Image
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
from safetensors.torch import load_file
from torchvision.models import resnet18
from torchvision.transforms import v2
torch.set_num_threads(int(sys.argv[3]))
model = resnet18()
model.load_state_dict(load_file(sys.argv[1]), strict=False)
model.eval()
prepare = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True), v2.Normalize([.485, .456, .406], [.229, .224, .225])])
x = prepare(Image.open(sys.argv[2]).convert("RGB"))[None]
for method in (GradCAM, GradCAMPlusPlus):
    with method(model=model, target_layers=[model.layer4[-1]]) as cam:
        cam(input_tensor=x, targets=None)
"""


def milliseconds(work, times):
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - started))
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--camlens", default="target/release/camlens")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=15, help="runs per round")
    parser.add_argument("photos", nargs="+")
    args = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.threads)

    import torch
    from PIL import Image
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
    from safetensors.torch import load_file
    from torchcam import methods as torchcam
    from torchvision.models import resnet18
    from torchvision.transforms import v2

    torch.set_num_threads(args.threads)
    model = resnet18()
    model.load_state_dict(load_file(args.weights), strict=False)
    model.eval()
    last = resnet18()
    last.load_state_dict(model.state_dict())
    last.eval().to(memory_format=torch.channels_last)
    prepare = v2.Compose([
        v2.Resize(256), v2.CenterCrop(224), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([.485, .456, .406], [.229, .224, .225]),
    ])
    photos = [Image.open(path).convert("RGB") for path in args.photos]

    def forward(network, x):
        def run():
            with torch.inference_mode():
                network(x)
        return run

    def grad_cam(photo):
        # Created once, as in a program that explains many photos.
        cams = [method(model=model, target_layers=[model.layer4[-1]])
                for method in (GradCAM, GradCAMPlusPlus)]

        def run():
            x = prepare(photo)[None]
            for cam in cams:
                cam(input_tensor=x, targets=None)
        return run

    def torch_cam(photo):
        def run():
            x = prepare(photo)[None]
            for method in (torchcam.GradCAM, torchcam.GradCAMpp):
                with method(model, "layer4") as extractor:
                    scores = model(x)
                    extractor(scores.squeeze(0).argmax().item(), scores)
        return run

    def camlens(path):
        line = [args.camlens, "explain", path, "--model", args.weights, "--device", "cpu",
                "--framing", "crop", "--json", "--repeat", str(args.repeat)]
        return json.loads(subprocess.check_output(line))["timings_ms"]

    def process(line):
        started = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return 1e3 * (time.perf_counter() - started)

    # Row: (quantity, compared with) -> list of (camlens, other).
    rows = {}
    for round_ in range(args.rounds + 1):
        for path, photo in zip(args.photos, photos):
            x = prepare(photo)[None]
            ours = camlens(path)
            maps = ours["frame"] + ours["forward"] + ours["explain"]
            taken = {}
            work = {
                ("forward pass", "PyTorch, channels last"):
                    (ours["forward"], forward(last, x.to(memory_format=torch.channels_last))),
                ("forward pass", "PyTorch, default layout"):
                    (ours["forward"], forward(model, x)),
                ("decoded photo to both maps", "pytorch-grad-cam"): (maps, grad_cam(photo)),
                ("decoded photo to both maps", "torch-cam"): (maps, torch_cam(photo)),
            }
            for row, (mine, run) in work.items():
                times = args.repeat if "forward" in row[0] else max(2, args.repeat // 5)
                taken[row] = (mine, milliseconds(run, times))
            if round_ <= 5:  # a whole Python takes seconds
                python = [sys.executable, "-c", SCRIPT, args.weights, path, str(args.threads)]
                whole = [args.camlens, "explain", path, "--model", args.weights,
                         "--device", "cpu", "--framing", "crop"]
                taken["file to both maps, whole process", "Python and pytorch-grad-cam"] = (
                    process(whole), process(python))
            if round_ > 0:
                for row, pair in taken.items():
                    rows.setdefault(row, []).append(pair)

    version = importlib.metadata.version
    print(f"{datetime.date.today()}, {args.threads} threads, {processor()}; PyTorch "
          f"{torch.__version__}, grad-cam {version('grad-cam')}, torchcam {version('torchcam')}; "
          f"{args.rounds} rounds, {len(photos)} photos.\n")
    print("| | camlens | | other | ratio |\n|---|---|---|---|---|")
    for (what, whom), pairs in rows.items():
        mine, theirs = (statistics.median(side) for side in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"| {what} | {mine:.1f} ms | {whom} | {theirs:.1f} ms | {ratio:.3f} |")


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


main()
