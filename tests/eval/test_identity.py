"""What must change a model's identity does, and what must not does not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from deltakit.delta.expression import Lineage
from deltakit.delta.file.extract import extract
from deltakit.delta.file.write import write_sum
from deltakit.delta.open import open_model
from deltakit_eval.identity import identity
from support.running import write_folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "base", 0)


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tuned", 1)


def of(text: object) -> str:
    return identity(open_model(str(text)))


def test_a_moved_model_is_the_same(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "elsewhere" / "copy")
    assert of(base) == of(tmp_path / "elsewhere" / "copy")


def test_one_bit_of_weights_and_every_file_beside_them_count(base: Path) -> None:
    before = of(base)
    (weights,) = base.glob("*.safetensors")
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    second = of(base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "rope_theta": 7.0}))
    third = of(base)
    (base / "chat_template.jinja").write_text("{{ messages }}")
    assert len({before, second, third, of(base)}) == 4


def test_coefficients_signs_and_order_count(base: Path, tuned: Path) -> None:
    sums = [f"{base} + {tuned}", f"{base} + 0.5*{tuned}", f"{base} - 0.5*{tuned}", f"{tuned} + 0.5*{base}", str(tuned)]
    assert len({of(s) for s in sums}) == len(sums)
    assert of(f"{base} + 0.50*{tuned}") == of(sums[1])


def test_a_delta_file_and_a_stored_sum_count_with_what_they_name(base: Path, tuned: Path, tmp_path: Path) -> None:
    extract(str(base), str(tuned), tmp_path / "x.delta")
    one = of(f"{base} + {tmp_path / 'x.delta'}")
    write_folder(tuned, 2)
    extract(str(base), str(tuned), tmp_path / "x.delta", overwrite=True)
    assert of(f"{base} + {tmp_path / 'x.delta'}") != one


def test_a_stored_sum_counts_with_sources_from_elsewhere(
    base: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sums").mkdir()
    write_sum(tmp_path / "sums" / "s.delta", [{"coef": 0.5, "of": "tuned"}], Lineage())
    monkeypatch.chdir(tmp_path)  # as a hub id, "tuned" lies not beside the file
    before = of(f"{base} + sums/s.delta")
    write_folder(tuned, 2)
    assert of(f"{base} + sums/s.delta") != before


def test_of_an_adapter_weights_and_settings_count(base: Path, tmp_path: Path) -> None:
    folder, at = tmp_path / "lora", "base_model.model.model.layers.0.self_attn.q_proj"
    (folder / "adapter_old").mkdir(parents=True)  # a folder beside them is none of its files
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    factors = {f"{at}.lora_A.weight": torch.ones(2, 48), f"{at}.lora_B.weight": torch.ones(48, 2)}
    save_file(factors, folder / "adapter_model.safetensors")
    before = of(f"{base} + {folder}")
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "lora_alpha": 3}))
    assert of(f"{base} + {folder}") != before


def test_a_recipe_counts_with_the_text_that_it_looks_at(base: Path, tuned: Path, tmp_path: Path) -> None:
    text, recipe = tmp_path / "calibration.txt", tmp_path / "merge.yaml"
    recipe.write_text(
        f"deltakit: 1\nmethod: regmean\nbase: {base}\nallow_unrelated: true\nmodels:\n  - model: {tuned}\n"
        f"calibration: {{text: {text}, samples: 1, length: 8}}\n"
    )
    found = []
    for words in ("one two three ", "two one three "):
        text.write_text(words * 30)
        found.append(of(recipe))
    assert found[0] != found[1]


def test_a_recipe_counts_with_its_text_and_the_models_in_it(base: Path, tuned: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "merge.yaml"
    text = (
        "deltakit: 1\nmethod: linear\nbase: {base}\nallow_unrelated: true\n"
        "models:\n  - {{model: {tuned}, weight: {weight}}}\n"
    )
    found = []
    for weight, seed in ((1.0, 1), (0.5, 1), (0.5, 3)):
        write_folder(tuned, seed)
        recipe.write_text(text.format(base=base, tuned=tuned, weight=weight))
        found.append(of(recipe))
    assert len(set(found)) == 3
