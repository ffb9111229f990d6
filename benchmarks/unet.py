"""A standard U-Net compared with the shipped finder, on the same foils, planes, maps and loss.

    python benchmarks/unet.py foils -o unet.safetensors --epochs 7

`foils` is the folder in which `etchscope train --finder --work foils` simulated foils. The U-Net is
that of MONAI. It is trained on these foils unless the output exists. Then the script prints its
recall and precision, and those of the shipped finder, on the foils for the classifiers.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import UNet
from safetensors.torch import load_file, save_file
from torch import nn

from etchscope.foil.openings import MAPS
from etchscope.learn import FinderTraining
from etchscope.learn.finder_train import train_finder
from etchscope.run.finder import finder_of
from etchscope.run.finder_classifiers import fit_classifiers
from etchscope.run.school import School

CHANNELS = (24, 48, 64, 64)


class HalfUNet(nn.Module):
    """A U-Net with 2 × 2 pixels as channels, so that its maps have half the size of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(2, 4 * 13, len(MAPS), CHANNELS, (2, 2, 2), num_res_units=1, norm="batch")

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return self.body(nn.functional.pixel_unshuffle(planes, 2))


def wrap_network(network: nn.Module):
    def maps(planes: np.ndarray) -> np.ndarray:
        rows, columns = planes.shape[1:]
        padded = np.pad(planes, [(0, 0), (0, -rows % 16), (0, -columns % 16)], mode="symmetric")
        with torch.inference_mode():
            out = network(torch.from_numpy(padded[None]))[0].numpy()
        return np.ascontiguousarray(out[:, : -(-rows // 2), : -(-columns // 2)])

    return maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("foils", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=2e-3)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    network = HalfUNet()
    weights = sum(p.numel() for p in network.parameters())
    print(f"U-Net of {weights / 1e6:.2f} million weights")
    if options.output.exists():
        network.load_state_dict(load_file(options.output))
    else:
        files = sorted(options.foils.glob(f"foils-256px-{options.seed}-*.safetensors"))
        plan = FinderTraining(epochs=options.epochs, rate=options.rate, seed=options.seed)
        for epoch in train_finder(network, School.of(files), plan, workers=1):
            print({k: round(v, 3) for k, v in epoch.items()}, flush=True)
        save_file(network.state_dict(), options.output)
    judged = School.of(
        sorted(options.foils.glob(f"foils-512px-{options.seed + 500}-*.safetensors"))
    )
    network.eval()
    for name, maps in (("U-Net", wrap_network(network)), ("shipped", finder_of().maps)):
        finder, figures = fit_classifiers(maps, judged)
        print(name, {k: round(v, 2) for k, v in finder.sigma.items()})
        for lights, values in figures.items():
            each = (f"{k} {v:.3f} [{low:.3f}, {high:.3f}]" for k, (v, low, high) in values.items())
            print(f"  {lights}: " + ", ".join(each))


if __name__ == "__main__":
    main()
