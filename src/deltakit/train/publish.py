"""The finished run as an output folder: whole weights or an adapter, tokenizer, losses, manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deltakit.checkpoint import Sidecar, Staging, open_checkpoint, write_checkpoint
from deltakit.checkpoint.disk import write_file
from deltakit.checkpoint.pump import Progress
from deltakit.errors import MismatchError
from deltakit.manifest import digest, pretty_json
from deltakit.runtime import stored_dtype
from deltakit.tensors import Mapped, TensorMap, TensorSpec, cast_bytes, dtype_code
from deltakit.train.base import Base, load_trainable, peft_silenced
from deltakit.train.recipe import SftRecipe

__all__ = ["publish_adapter", "publish_model", "tokenizer_files"]

Files = Mapping[str, bytes]


def publish_model(
    checkpoint: Path,
    base: Base,
    recipe: SftRecipe,
    out: Path,
    *,
    files: Files,
    manifest: Mapping[str, Any],
    overwrite: bool,
    progress: Progress,
) -> None:
    """Write the weights of a training checkpoint (an adapter is merged first) under the base's names and dtypes."""
    folder = checkpoint
    with TemporaryDirectory(prefix="merged-", dir=checkpoint.parent) as merged:
        if recipe.lora:
            _merge(checkpoint, base, recipe, Path(merged))
            folder = Path(merged)
        trained = _as_base(open_checkpoint(folder), base, recipe.save.dtype)
        sidecar = _sidecar(base, trained).with_files(files)
        write_checkpoint(
            trained, out, sidecar=sidecar, manifest=manifest, overwrite=overwrite, progress=progress
        )  # fmt: skip


def publish_adapter(
    checkpoint: Path, base: Base, recipe: SftRecipe, out: Path, *, files: Files, manifest: Mapping[str, Any],
    overwrite: bool,
) -> None:  # fmt: skip
    """Write a PEFT folder; A and B stay float32 unless the recipe says otherwise (they are small)."""
    config = json.loads((checkpoint / "adapter_config.json").read_text())
    name, _, revision = recipe.base.partition("@") if not Path(recipe.base).exists() else (recipe.base, "", "")
    config |= {"base_model_name_or_path": name, "revision": revision or None}
    made: dict[str, bytes] = {
        **files,
        **tokenizer_files(base),
        "adapter_config.json": pretty_json(config),
        "adapter_model.safetensors": _adapter_bytes(checkpoint / "adapter_model.safetensors", recipe.save.dtype),
    }
    digests = {name: digest(raw) for name, raw in sorted(made.items())}
    sizes = {name: len(raw) for name, raw in sorted(made.items())}
    with Staging(out, {"manifest": manifest, "files": digests}, overwrite) as staging:
        for name, raw in sorted(made.items()):
            write_file(staging.folder / name, raw)
        staging.commit({**manifest, "output": {"files": sizes, "sidecar": digests}})


def _adapter_bytes(path: Path, dtype: str | None) -> bytes:
    from safetensors.torch import load, save

    from deltakit.tensors import torch_dtype

    raw = path.read_bytes()
    if dtype is None:
        return raw
    wanted = torch_dtype(dtype_code(dtype))
    return bytes(save({n: t.to(wanted) for n, t in load(raw).items()}, metadata={"format": "pt"}))


def _merge(checkpoint: Path, base: Base, recipe: SftRecipe, folder: Path) -> None:
    """Base plus adapter in float32; rounded once, when it is written."""
    from peft import PeftModel

    plain = load_trainable(base, recipe.model_copy(update={"lora": None}))
    with peft_silenced():
        merged = PeftModel.from_pretrained(plain, str(checkpoint)).merge_and_unload()
    merged.save_pretrained(folder)


def _as_base(trained: TensorMap, base: Base, dtype: str | None) -> Mapped:
    """The trained tensors with the base's names (a tied head it stores is stored again) and dtypes."""
    theirs = base.model.tensors.specs
    source = {name: name for name in trained.specs}
    config = base.sidecar.config or {}
    for name in theirs.keys() - source.keys():
        twin = next((n for n in source if n.endswith("embed_tokens.weight") or n.endswith("wte.weight")), None)
        if name == "lm_head.weight" and twin and config.get("tie_word_embeddings", True):
            source[name] = twin
        else:
            raise MismatchError(f"training lost tensor {name!r} of the base", remedy="report this architecture")
    fallback = stored_dtype(base.model.tensors)

    def spec(name: str) -> TensorSpec:
        found = trained.specs[source[name]]
        as_stored = theirs[name].dtype if name in theirs else fallback
        return TensorSpec(found.shape, dtype_code(dtype) if dtype else as_stored) if found.is_float else found

    specs = {name: spec(name) for name in sorted(source)}

    def pull(name: str, lo: int, hi: int) -> memoryview:
        held = source[name]
        return cast_bytes(trained.buffer(held, lo, hi), trained.specs[held].dtype, specs[name].dtype)

    return Mapped(specs, pull)


def _sidecar(base: Base, trained: TensorMap) -> Sidecar:
    """The base's files, changed only where training changed something."""
    sidecar, config = base.sidecar, base.sidecar.config or {}
    if base.rows != config.get("vocab_size", base.rows):
        sidecar = sidecar.with_config(vocab_size=base.rows)
    if base.pad_changed:
        sidecar = sidecar.with_config(pad_token_id=base.pad)
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    sidecar = sidecar.with_config(**{key: _DTYPES.get(stored_dtype(trained), config.get(key))})
    return sidecar.with_files(tokenizer_files(base)) if base.tokenizer_changed else sidecar


_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}


def tokenizer_files(base: Base) -> dict[str, bytes]:
    """The base's tokenizer files, with the padding token and the length that training gave it.

    Only tokenizer.json is as transformers writes it: its tokenizer_config.json names classes that older releases lack.
    """
    kept = {n: raw for n, raw in base.sidecar.files.items() if n.startswith(_TOKENIZER) or n in _VOCABULARY}
    if not base.tokenizer_changed:
        return kept
    with TemporaryDirectory(prefix="deltakit-tokenizer-") as folder:
        base.tokenizer.save_pretrained(folder)
        made = {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}
    changes = {"pad_token": base.tokenizer.pad_token, "model_max_length": base.tokenizer.model_max_length}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if name in kept:
            old = json.loads(kept[name])
            known = {k: v for k, v in changes.items() if name != "special_tokens_map.json" or k == "pad_token"}
            kept[name] = pretty_json({**old, **known})
    return {**made, **kept, "tokenizer.json": made["tokenizer.json"]} if "tokenizer.json" in made else {**made, **kept}


_TOKENIZER = ("tokenizer", "chat_template")
_VOCABULARY = ("vocab.json", "vocab.txt", "merges.txt", "special_tokens_map.json", "added_tokens.json", "spiece.model")
