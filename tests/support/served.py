"""A checkpoint as it is served: linear layers in FP8 with a scale per row, the rest as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from deltakit.checkpoint.open import open_checkpoint
from deltakit.tensors import TensorSpec, read
from support.models import save
from support.tensors import bits

__all__ = ["served_fp8"]


def served_fp8(model: Path, folder: Path) -> Path:
    """The folder of `model` quantised."""
    folder.mkdir(parents=True)
    for file in model.iterdir():
        if file.suffix == ".json":
            shutil.copy(file, folder)
    config = json.loads((model / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fbgemm_fp8"}
    (folder / "config.json").write_text(json.dumps(config))
    opened, tensors = open_checkpoint(model), {}
    for name, spec in opened.specs.items():
        if not name.endswith("_proj.weight"):
            tensors[name] = (spec, bytes(opened.buffer(name)))
            continue
        values = read(opened, name).float()
        scale = values.abs().amax(dim=1, keepdim=True) / 448.0
        codes = (values / scale).to(torch.float8_e4m3fn)
        tensors[name] = bits(codes.view(torch.uint8).numpy(), "F8_E4M3")
        tensors[f"{name}_scale"] = (TensorSpec(tuple(scale.shape), "F32"), np.ascontiguousarray(scale).tobytes())
    save(folder / "model.safetensors", tensors)
    return folder
