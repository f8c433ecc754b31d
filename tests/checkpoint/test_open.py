"""Opening: every form a checkpoint comes in, and a clear refusal of what is none."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from deltakit.checkpoint.open import open_checkpoint
from deltakit.errors import CheckpointError, InputError, MismatchError, UnsafeError
from deltakit.tensors import TensorMap, TensorSpec
from support.models import llama_config, pack, random_tensors, raw_file, save, save_sharded, tiny_llama
from support.tensors import whole

SPECS = {"b": TensorSpec((6, 3), "BF16"), "a": TensorSpec((5,), "F32"), "c": TensorSpec((), "I64")}
INDEX = "model.safetensors.index.json"


def expected() -> dict[str, bytes]:
    return {name: raw for name, (_, raw) in random_tensors(SPECS).items()}


@pytest.mark.parametrize("named", ["folder", "file", "relative"])
def test_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    path = save(tmp_path / "m" / "model.safetensors", random_tensors(SPECS))
    (tmp_path / "m" / "config.json").write_text('{"model_type": "x"}')
    monkeypatch.chdir(tmp_path)
    where = {"folder": path.parent, "file": path, "relative": "m"}[named]
    checkpoint = open_checkpoint(where)
    assert isinstance(checkpoint, TensorMap)
    assert list(checkpoint.specs) == ["a", "b", "c"]
    assert dict(checkpoint.specs) == SPECS
    assert whole(checkpoint) == expected()
    assert checkpoint.order == ("b", "a", "c")
    assert checkpoint.sidecar.config == {"model_type": "x"}
    assert checkpoint.source == str(where)
    assert checkpoint.path.name == "m"
    assert [p.name for p in checkpoint.inputs] == [Path(where).name]


@pytest.mark.parametrize("named", ["folder", "index"])
def test_shards(tmp_path: Path, named: str) -> None:
    save_sharded(tmp_path, random_tensors(SPECS), 3)
    checkpoint = open_checkpoint(tmp_path if named == "folder" else tmp_path / INDEX)
    assert whole(checkpoint) == expected()
    assert checkpoint.order == ("b", "a", "c")
    assert len(checkpoint.identity) == 3
    assert len(checkpoint.inputs) == (1 if named == "folder" else 4)
    checkpoint.check_unchanged()


def test_rows(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(save(tmp_path / "x.safetensors", random_tensors(SPECS)))
    raw = expected()
    assert checkpoint.buffer("b", 2, 4) == raw["b"][12:24]
    assert checkpoint.buffer("b", 6) == b""
    assert checkpoint.buffer("a", 1, 2) == raw["a"][4:8]
    assert checkpoint.buffer("c") == checkpoint.buffer("c", 0, 1) == raw["c"]
    for lo, hi in ((0, 7), (-1, 2), (3, 2), (7, 7)):
        with pytest.raises(MismatchError, match="not within its 6 rows"):
            checkpoint.buffer("b", lo, hi)


def test_pages_are_let_go_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltakit.checkpoint.open._RESIDENT", 1)
    checkpoint = open_checkpoint(save_sharded(tmp_path, random_tensors(SPECS), 2))
    views = {name: checkpoint.buffer(name) for name in SPECS}
    for name in SPECS:
        checkpoint.prefetch(name)
    assert {name: bytes(view) for name, view in views.items()} == expected()


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    path = save(tmp_path / "x.safetensors", random_tensors(SPECS))
    script = (
        "import sys; from deltakit.checkpoint import open_checkpoint, fingerprint\n"
        f"fingerprint(open_checkpoint({str(path)!r}))\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub', 'safetensors'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "[]\n"


class Canary:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "x.pth", "x.ckpt", "weights.pkl"])
def test_pickles_are_never_loaded(tmp_path: Path, name: str) -> None:
    canary = tmp_path / "executed"
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    (folder / "config.json").write_text("{}")
    for where in (folder, folder / name):
        with pytest.raises(UnsafeError, match="never loaded") as caught:
            open_checkpoint(where)
        assert "save_pretrained" in caught.value.remedy
        assert name in str(caught.value)
    assert not canary.exists()


def test_pickles_beside_safetensors_are_ignored(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", random_tensors(SPECS))
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Canary(tmp_path / "executed")))
    assert whole(open_checkpoint(tmp_path)) == expected()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "no .safetensors file"),
        ({"model.gguf": b"GGUF"}, "only GGUF"),
        ({"a.safetensors": b"", "b.safetensors": b""}, "several weight files"),
        ({"adapter_model.safetensors": b"", "adapter_config.json": b"{}"}, "is an adapter"),
        ({"model.safetensors": b""}, "expected at least 8"),
        ({INDEX: b"{}"}, "weight_map"),
        ({INDEX: b'{"weight_map": {"a": "x.safetensors"}}'}, "1 of 1 shards are missing"),
        ({"a" + INDEX[5:]: b"{}", "b" + INDEX[5:]: b"{}"}, "no single index"),
    ],
)
def test_folders_that_are_no_checkpoint(tmp_path: Path, content: dict[str, bytes], said: str) -> None:
    for name, raw in content.items():
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=said):
        open_checkpoint(tmp_path)


def test_two_models_in_one_folder_are_not_guessed(tmp_path: Path) -> None:
    save_sharded(tmp_path, random_tensors(SPECS), 2)
    save(tmp_path / "model.safetensors", random_tensors(SPECS, seed=1))
    with pytest.raises(CheckpointError, match="two models"):
        open_checkpoint(tmp_path)
    assert whole(open_checkpoint(tmp_path / INDEX)) == expected()


def test_an_index_of_one_file_is_fine(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", random_tensors(SPECS))
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(SPECS, "model.safetensors")}))
    assert whole(open_checkpoint(tmp_path)) == expected()


def test_index_and_shards_that_disagree(tmp_path: Path) -> None:
    save_sharded(tmp_path, random_tensors(SPECS), 2)
    index = json.loads((tmp_path / INDEX).read_text())
    del index["weight_map"]["c"]
    index["weight_map"]["z"] = index["weight_map"]["b"]
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="disagree") as caught:
        open_checkpoint(tmp_path)
    assert len(caught.value.details) == 2


def test_odd_but_harmless_things_are_notes_or_with_strict_errors(tmp_path: Path) -> None:
    save_sharded(tmp_path, random_tensors(SPECS), 2)
    assert open_checkpoint(tmp_path, strict=True).notes == ()
    index = json.loads((tmp_path / INDEX).read_text())
    index["metadata"]["total_size"] = 7
    (tmp_path / INDEX).write_text(json.dumps(index))
    save(tmp_path / "consolidated.safetensors", random_tensors(SPECS))
    notes = open_checkpoint(tmp_path).notes
    assert len(notes) == 2
    assert "total_size says 7" in notes[0]
    assert "consolidated.safetensors" in notes[1]
    with pytest.raises(CheckpointError, match="not in order"):
        open_checkpoint(tmp_path, strict=True)


@pytest.mark.parametrize("target", ["model.safetensors", "config.json", INDEX])
def test_links_out_of_the_folder_are_unsafe(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "m"
    save(tmp_path / "outside", random_tensors(SPECS))
    save_sharded(folder, random_tensors(SPECS)) if target == INDEX else save(folder / "model.safetensors", {})
    (folder / target).unlink(missing_ok=True)
    (folder / target).symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeError, match="symlink"):
        open_checkpoint(folder)


def test_a_file_that_the_user_named_may_be_a_link(tmp_path: Path) -> None:
    save(tmp_path / "real.safetensors", random_tensors(SPECS))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").symlink_to(tmp_path / "real.safetensors")
    assert whole(open_checkpoint(tmp_path / "other" / "model.safetensors")) == expected()


def test_quantised_models_are_refused_unless_only_looked_at(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", random_tensors(SPECS))
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    with pytest.raises(CheckpointError, match="quantised .awq"):
        open_checkpoint(tmp_path)
    assert len(open_checkpoint(tmp_path, allow_quantised=True).specs) == 3


@pytest.mark.parametrize("where", ["/no/such/place", "no such", "", "nul\0nul", "a" * 5000, "./org/name"])
def test_what_does_not_exist(where: str) -> None:
    with pytest.raises(InputError) as caught:
        open_checkpoint(where)
    assert caught.value.exit_code == 3


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "model.safetensors", random_tensors(SPECS))

    def denied(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match="cannot read .*Permission denied") as caught:
        open_checkpoint(tmp_path)
    assert str(path) in caught.value.message


def test_a_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(CheckpointError, match="GGUF"):
        open_checkpoint(tmp_path / "m.gguf")


@pytest.mark.parametrize("name", ["with space", "Ünï-мир", "new\nline", os.fsdecode(b"\xff\xfe"), "x" * 200])
def test_odd_folders(tmp_path: Path, name: str) -> None:
    save(tmp_path / name / "model.safetensors", random_tensors(SPECS))
    assert whole(open_checkpoint(tmp_path / name)) == expected()


def test_an_empty_model(tmp_path: Path) -> None:
    raw_file(tmp_path / "model.safetensors", {})
    with pytest.raises(CheckpointError, match="no tensors"):
        open_checkpoint(tmp_path)


def test_real_models(shared_models: Path) -> None:
    checkpoint = open_checkpoint(shared_models / "babyllama-tok361", strict=True)
    assert sum(spec.numel for spec in checkpoint.specs.values()) == 969_216
    assert checkpoint.sidecar.config is not None
    assert checkpoint.sidecar.config["tie_word_embeddings"]
    assert "lm_head.weight" not in checkpoint.specs


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_reads_the_tiny_models_alike(tmp_path: Path, tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    folder = tiny_llama(tmp_path / "m", seed=3, dtype="F32", tied=tied, shards=2)
    checkpoint = open_checkpoint(folder)
    assert ("lm_head.weight" in checkpoint.specs) is not tied
    state = transformers.AutoModelForCausalLM.from_pretrained(folder).state_dict()
    for name in checkpoint.specs:
        assert state[name].numpy().tobytes() == bytes(checkpoint.buffer(name)), name


def test_the_reference_library_reads_the_test_files(tmp_path: Path) -> None:
    from safetensors.numpy import load

    specs = {name: spec for name, spec in SPECS.items() if spec.dtype != "BF16"}
    found = load(pack(random_tensors(specs)))
    assert {n: a.tobytes() for n, a in found.items()} == {n: raw for n, (_, raw) in random_tensors(specs).items()}
    assert llama_config()["vocab_size"] == 88


def test_a_recipe_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("merge_method: linear\n")
    with pytest.raises(CheckpointError, match="is a recipe") as caught:
        open_checkpoint(tmp_path / "config.yml")
    assert "deltakit merge config.yml" in (caught.value.remedy or "")
