"""Compression in true sequence, against plain hooks on whole models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltakit.compress.hessian import Hessian
from deltakit.compress.run import encode
from deltakit.compress.run.archive import Compressed
from deltakit.compress.run.files import compress_files, plan_files
from deltakit.compress.run.request import Request, Sampling
from deltakit.delta.file.container import open_delta
from deltakit.delta.open import open_model
from deltakit.errors import InputError, RecipeError, ResourceError
from support.architectures import KINDS, saved
from support.calibration import arrays, ids, inputs, layer_of, running
from support.faults import killed_at
from support.merging import Arrays, values
from support.models import tiny_llama, tiny_tuned
from support.vision import tiny_llava

TEXT = {"samples": 3, "length": 16, "batch": 2}
SAMPLING = Sampling(**TEXT)


def run(pair: tuple[Path, Path], out: Path, codec: str = "lowrank", **more: Any) -> Compressed:
    given = {"ratio": 8.0, "threads": 1, "sampling": Sampling(**TEXT), **more}
    return compress_files(Request(str(pair[0]), str(pair[1]), out, codec, **given))


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Hessian | None]]:
    """The Hessian that each tensor was coded for."""
    seen: dict[str, Hessian | None] = {}

    def spy(row: Any, *given: Any, real: Any = encode.encoded, **more: Any) -> Any:
        seen[row.name] = more.get("hessian")
        return real(row, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(encode, "encoded", spy)
        yield seen


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    base = tiny_llama(folder / "base", 0, "F32", layers=3)
    return base, tiny_tuned(base, folder / "tuned", seed=2, size=5.0)


def test_each_layer_is_coded_for_what_the_coded_layers_before_it_give(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle runs whole models: coded up to a layer, as they were trained from it on. It would not agree if the
    states went through a layer more than once, or if a layer saw its own coded weights."""
    with watched(monkeypatch) as seen:
        run(pair, tmp_path / "a")
    trained = arrays(str(pair[1]))
    coded = values(open_model(f"{pair[0]} + {tmp_path / 'a'}").tensors)
    tokens = ids(str(pair[1]), **TEXT)
    weighed = {n for n, h in seen.items() if h is not None}
    assert weighed == {n for n in trained if "proj" in n or "lm_head" in n}
    for layer in range(4):
        mixed: Arrays = {n: (coded if layer_of(n, 3) < layer else trained)[n] for n in trained}
        entering = inputs(running(str(pair[1]), mixed), tokens)
        for name in (n for n in weighed if layer_of(n, 3) == layer):
            found, x = seen[name], entering[name]
            assert found is not None
            assert (found.axis, found.rows) == (1, 48)
            want = (x.T @ x).numpy()
            assert np.allclose(found.gram, want, rtol=1e-3, atol=1e-4 * float(np.abs(want).max())), name


def test_the_file_says_what_was_looked_at(pair: tuple[Path, Path], tmp_path: Path) -> None:
    run(pair, tmp_path / "a")
    note = open_delta(tmp_path / "a").lineage.note
    assert note["codec"].startswith("lowrank")
    found = note["calibration"]
    assert (found["samples"], found["length"], found["batch"]) == (3, 16, 2)
    assert found["text"].startswith("sha256:")


def test_bytes_do_not_depend_on_threads(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for threads in (1, 3):
        run(pair, tmp_path / str(threads), threads=threads, codec="svd_mixed")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


@pytest.mark.parametrize("at", [40, 90, 140])
def test_a_killed_run_resumes_to_the_same_bytes(
    at: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is finished of a layer is no input of what is left of it."""
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", -1.0)
    whole = run(pair, tmp_path / "whole", "svd_mixed")
    assert killed_at(at, lambda: run(pair, tmp_path / "a", "svd_mixed"))
    assert not (tmp_path / "a").exists()
    again = run(pair, tmp_path / "a", "svd_mixed")
    assert again.resumed > 0
    assert (again.data_free, again.error) == (whole.data_free, whole.error)
    assert whole.data_free == ("model.embed_tokens.weight",)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "whole").read_bytes()


def test_another_text_does_not_resume_what_was_left(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltakit.delta.file.segments._SECONDS", -1.0)
    assert killed_at(90, lambda: run(pair, tmp_path / "a"))
    assert run(pair, tmp_path / "a", sampling=Sampling(samples=2, length=16)).resumed == 0


COUNTS = {"gpt2": 8, "bert": 13, "phi3": 9, "llama": 15, "gemma3": 14}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_architectures(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base", "tuned"):
        (tmp_path / name).mkdir()
    base = saved(tmp_path / "base", kind)
    saved(tmp_path / "tuned", kind, 1, like=base)
    asked = Request(str(tmp_path / "base"), str(tmp_path / "tuned"), tmp_path / "a", "lowrank", 2.0, sampling=SAMPLING)
    plan = plan_files(asked)
    with watched(monkeypatch) as seen:
        made = run((tmp_path / "base", tmp_path / "tuned"), tmp_path / "a", ratio=2.0)
    weighed = {n: h for n, h in seen.items() if h is not None}
    for name, found in weighed.items():
        shape = base.tensors.specs[name].shape
        columns = shape[-1]
        rows = int(np.prod(shape[:-1]))
        assert found.gram.shape == ((columns, columns) if found.axis == 1 else (rows, rows)), name
        assert np.allclose(found.gram, found.gram.T)
        assert found.axis == (0 if kind == "gpt2" else 1)
    if kind in COUNTS:
        assert len(weighed) == COUNTS[kind]
    packed = {n for n in seen if n.endswith(("gate_up_proj", "experts.down_proj"))}
    assert not packed & set(weighed)  # their inputs run along the middle axis
    assert set(seen) == set(base.tensors.specs)
    biases = {n for n in seen if n.endswith("_proj_bias")}  # a row for each expert: matrices that nothing enters
    coded = {r.name for r in made.plan.covered}
    assert made.data_free == tuple(sorted(coded - set(weighed)))  # nothing is left out in silence
    assert set(plan["data_free"]) <= set(made.data_free) <= set(plan["data_free"]) | packed | biases


def test_a_vision_tower_is_coded_without_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = tiny_llava(tmp_path / "base"), tiny_llava(tmp_path / "tuned", 1, moved=0.05)
    with watched(monkeypatch) as seen:
        made = run(pair, tmp_path / "a", ratio=2.0)
    plan = plan_files(Request(str(pair[0]), str(pair[1]), tmp_path / "b", "lowrank", 2.0, sampling=SAMPLING))
    assert made.data_free == tuple(plan["data_free"])
    assert sum("vision" in n for n in made.data_free) >= 6
    assert [n for n in made.data_free if "language" in n] == [n for n in seen if "embed_tokens" in n]
    weighed = [n for n, h in seen.items() if h is not None]
    assert all("language" in n for n in weighed)
    assert len(weighed) >= 14


def test_coding_for_the_inputs_brings_outputs_nearer(tmp_path: Path) -> None:
    """A LoRA-like change of every matrix, inputs of very different sizes."""
    base = tiny_llama(tmp_path / "base", 0, "F32", width=64)
    pair = base, tiny_tuned(base, tmp_path / "tuned", seed=3, size=5.0)
    tokens = ids(str(base), **TEXT)
    want = logits(arrays(str(pair[1])), pair, tokens)
    errors = {}
    for name, sampling in (("with", Sampling(**TEXT)), ("without", None)):
        run(pair, tmp_path / name, "svd_mixed", sampling=sampling, ratio=16.0)
        found = logits(values(open_model(f"{base} + {tmp_path / name}").tensors), pair, tokens)
        errors[name] = float(((found - want) ** 2).sum())
    assert errors["with"] < errors["without"]


def logits(weights: Mapping[str, Any], pair: tuple[Path, Path], tokens: Any) -> Any:
    import torch

    with torch.no_grad():
        return running(str(pair[1]), weights)(input_ids=tokens).logits


def broken(pair: tuple[Path, Path], folder: Path, drop: str = "") -> tuple[Path, Path]:
    for source, name in zip(pair, ("base", "tuned"), strict=True):
        (folder / name).mkdir()
        for path in source.iterdir():
            if not (drop and path.name.startswith(drop)):
                (folder / name / path.name).write_bytes(path.read_bytes())
    return folder / "base", folder / "tuned"


def test_what_calibration_cannot_do_without(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("  \n")
    (tmp_path / "short.txt").write_text("a")
    for text, said in (("empty.txt", "no text"), ("short.txt", "gives 1 tokens"), ("none.txt", "no text file")):
        with pytest.raises(InputError, match=said):
            run(pair, tmp_path / "a", sampling=Sampling(str(tmp_path / text)))
    with pytest.raises(InputError, match="no tokenizer"):
        run(broken(pair, tmp_path, "tokenizer"), tmp_path / "a")
    with pytest.raises(RecipeError, match="longer than this model's"):
        run(pair, tmp_path / "a", sampling=Sampling(length=100_000, samples=1, text=__file__))
    assert not (tmp_path / "a").exists()


def test_activations_that_are_not_finite_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    base, tuned = broken(pair, tmp_path)
    from support.models import save

    held = {n: a.copy() for n, a in arrays(str(tuned)).items()}
    held["model.layers.1.input_layernorm.weight"][:] = 1e38  # finite as it stands, and not in what it gives
    from support.tensors import tensor

    save(tuned / "model.safetensors", {n: tensor(a, "F32") for n, a in held.items()})
    with pytest.raises(InputError, match="inputs of 'model.layers.1.* are not finite"):
        run((base, tuned), tmp_path / "a")


def test_memory_that_ends_is_said_with_what_a_layer_takes(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **more: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("deltakit.calibrate.walk.Walker.moments", full)
    with pytest.raises(ResourceError, match=r"while calibrating embeddings: its weights take [\d,]+ bytes") as wrong:
        run(pair, tmp_path / "a")
    assert "--batch" in wrong.value.remedy
    with pytest.raises(ResourceError, match="no device cuda"):
        run(pair, tmp_path / "a", device="cuda")


def test_an_architecture_that_takes_no_text_is_refused(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base")
    tuned = tiny_tuned(base, tmp_path / "tuned")
    for folder in (base, tuned):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "unheard_of"}))
    with pytest.raises(InputError, match="unheard_of"):
        run((base, tuned), tmp_path / "a")
