"""Base and archives in one process: each row computes what its tenant's restored model computes.

Run: pytest tests/tenants/test_resident.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deltakit.errors import InputError, MismatchError, RecipeError
from deltakit.tenants import ResidentBase
from deltakit.tensors import TensorSpec
from support.models import save
from support.tenants import World, alone, error, folder, together, world, written

TOLERANCE = 1e-5  # of the largest logit, float32 on the CPU, against the unrounded sum; 3e-6 is the most that was seen
ROUNDED = 0.1  # against weights that were rounded to bfloat16 on the way; 6e-2 is the most that was seen
KINDS = ["llama", "qwen2", "gpt2", "gemma3", "phi3", "qwen3_moe", "olmo2"]
ROWS = ["svd_mixed", None, "sign", "exact", "mix", "lowrank", "svd_mixed", "exact"]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    return {}


@pytest.fixture
def made(request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> World:
    kind = request.param
    if kind not in worlds:
        dtype = "BF16" if kind == "llama" else "F32"
        worlds[kind] = world(tmp_path_factory.mktemp(kind), kind, dtype)
    return worlds[kind]


def resident(made: World, **settings: str) -> ResidentBase:
    found = ResidentBase.open(str(made.base), **settings)
    for name, text in made.texts.items():
        if name is not None:
            found.attach(name, text)
    return found


def ids(rows: int = len(ROWS), tokens: int = 9, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, 88, (rows, tokens), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("made", KINDS, indirect=True)
def test_each_row_computes_what_its_tenant_alone_computes(made: World) -> None:
    found, asked = resident(made), ids()
    asked[3, 4] = 91  # a token that the base does not know
    models = {name: written(text, rounded=False) for name, text in made.texts.items()}
    for form in ("auto", "terms", "rows"):
        found.form = form
        logits = together(found, ROWS, asked)
        for row, name in enumerate(ROWS):
            assert error(logits[row], alone(models[name], asked[row])) < TOLERANCE, (form, name)


@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_the_written_models_agree_within_their_rounding(made: World) -> None:
    found, asked = resident(made), ids()
    logits = together(found, ROWS, asked)
    for row, name in enumerate(ROWS):
        assert error(logits[row], alone(written(made.texts[name]), asked[row])) < ROUNDED, name


@pytest.mark.parametrize("made", ["llama", "gpt2"], indirect=True)
def test_rows_do_not_depend_on_their_neighbours(made: World) -> None:
    found, asked = resident(made), ids()
    first = together(found, ROWS, asked)
    texts = ids(seed=1)
    for row, name in enumerate(ROWS):
        apart = together(found, [name], asked[row : row + 1])[0]
        assert error(first[row][:, : apart.shape[-1]], apart) < 1e-6
        others = texts.clone()
        others[row] = asked[row]
        tenants = [name if i == row else ROWS[i - 3] for i in range(len(ROWS))]
        beside = together(found, tenants, others)[row]
        width = min(beside.shape[-1], first.shape[-1])
        assert error(first[row][:, :width], beside[:, :width][:, : found.width(name)]) < 1e-6


@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_row_by_row_not_a_bit_depends_on_the_neighbours(made: World) -> None:
    found, asked = resident(made), ids()
    found.form = "rows"
    first = together(found, ROWS, asked)
    others = ids(seed=1)
    others[0] = asked[0]
    again = together(found, [ROWS[0], *reversed(ROWS[1:])], others)
    assert torch.equal(first[0], again[0])


@pytest.mark.parametrize("hold", ["packed", "factors"])
@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_however_terms_are_held_the_numbers_are_the_same(made: World, hold: str) -> None:
    want, found = resident(made), resident(made, hold=hold)
    asked = ids()
    assert (
        error(together(found, ROWS, asked).nan_to_num(neginf=0), together(want, ROWS, asked).nan_to_num(neginf=0))
        < TOLERANCE
    )
    if hold == "packed":
        assert found.bank.nbytes < want.bank.nbytes


@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_terms_are_held_once_whatever_expressions_name_them(made: World) -> None:
    found = resident(made)
    before = found.bank.nbytes
    left, right = (made.texts[n].partition(" + ")[2] for n in ("svd_mixed", "lowrank"))
    names: list[str | None] = []
    for i in range(30):
        name = f"mix{i}"
        found.attach(name, f"{made.base} + {0.1 * i}*{left} + {1 - 0.1 * i}*{right}")
        names.append(name)
    assert found.bank.nbytes == before
    logits = together(found, names, ids(1).expand(30, -1))
    want = written(f"{made.base} + {0.1 * 7}*{left} + {1 - 0.1 * 7}*{right}", rounded=False)
    assert error(logits[7], alone(want, ids(1)[0])) < TOLERANCE
    for name in names:
        found.detach(str(name))
    assert found.bank.nbytes == before


@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_the_last_tenant_leaves_the_base_as_it_was(made: World) -> None:
    found, asked = resident(made), ids(2)
    kinds = [type(m) for m in found.model.modules()]
    for name in list(found.tenants):
        found.detach(name)
    assert [type(m) for m in found.model.modules()] != kinds
    assert not any("Tenant" in type(m).__name__ for m in found.model.modules())
    assert len(found.bank) == 0
    assert torch.equal(together(found, [None, None], asked)[0], together(found, [None], asked[:1])[0])


@pytest.mark.parametrize("made", ["llama"], indirect=True)
def test_memory_is_told(made: World) -> None:
    found = resident(made, hold="packed")
    told = found.memory()
    assert told["terms"] == found.bank.nbytes > 0
    assert told["tenants"]["mix"]["uses"] > told["tenants"]["mix"]["own"] > 0
    assert told["tenants"]["sign"]["uses"] < told["base"]
    assert found.tenant("exact").vocabulary == found.width("exact") == found.width(None) + 5


def test_heads_may_be_tied_in_the_base_and_not_in_the_tenant(tmp_path: Path) -> None:
    tied = folder(tmp_path / "base", "llama", 0, tie_word_embeddings=True)
    apart = folder(tmp_path / "apart", "llama", 1, tied, tie_word_embeddings=False, extra=3)
    for base, tenant in (
        (tied, apart),
        (
            folder(tmp_path / "wide", "llama", 2, apart, extra=0),
            folder(tmp_path / "t", "llama", 3, tied, tie_word_embeddings=True),
        ),
    ):
        found = ResidentBase.open(str(base))
        found.attach("other", f"{base} + {tenant}")
        asked = ids(2)
        logits = together(found, ["other", None], asked)
        assert error(logits[0], alone(written(str(tenant)), asked[0])) < TOLERANCE
        assert error(logits[1], alone(written(str(base)), asked[1])) < TOLERANCE


def test_a_checkpoint_or_the_base_itself_may_be_a_tenant(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    found = ResidentBase.open(str(base))
    found.attach("tuned", str(tuned))
    found.attach("base", str(base))
    asked = ids(2)
    logits = together(found, ["tuned", "base"], asked)
    assert error(logits[0], alone(written(str(tuned)), asked[0])) < TOLERANCE
    assert torch.equal(logits[1], together(found, [None, None], asked)[1])


def test_adapters_and_recipes_may_be_tenants(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    rng = np.random.default_rng(0)
    lora = {
        f"base_model.model.model.layers.{i}.self_attn.q_proj.lora_{side}.weight": rng.standard_normal(shape)
        for i in range(2)
        for side, shape in (("A", (2, 16)), ("B", (16, 2)))
    }
    specs = {n: (TensorSpec(v.shape, "F32"), v.astype(np.float32).tobytes()) for n, v in lora.items()}
    save(tmp_path / "lora" / "adapter_model.safetensors", specs)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps(config))
    ties = f"deltakit: 1\nmethod: ties\nbase: {base}\nmodels:\n  - model: {tuned}\n"
    (tmp_path / "ties.yaml").write_text(ties)
    texts = [f"{base} + 0.5*{tmp_path / 'lora'}", str(tmp_path / "ties.yaml")]
    found = ResidentBase.open(str(base))
    for text in texts:
        found.attach(text, text)
    asked = ids(2)
    logits = together(found, [*texts], asked)
    for row, text in enumerate(texts):
        assert error(logits[row], alone(written(text), asked[row])) < TOLERANCE


def test_a_base_of_finer_dtype_than_its_tenant(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "llama", 0)
    tuned = folder(tmp_path / "tuned", "llama", 1, base, "BF16")
    found = ResidentBase.open(str(base))
    found.attach("tuned", f"{base} + {tuned}")
    asked = ids(1)
    assert error(together(found, ["tuned"], asked)[0], alone(written(str(tuned)), asked[0])) < TOLERANCE


def test_what_cannot_be_served_row_by_row_is_refused_by_name(tmp_path: Path) -> None:
    base = folder(tmp_path / "base", "gpt_oss", 0)
    tuned = folder(tmp_path / "tuned", "gpt_oss", 1, base)
    found = ResidentBase.open(str(base))
    with pytest.raises(MismatchError, match="cannot be a tenant") as refused:
        found.attach("tuned", str(tuned))
    assert any("self_attn.sinks" in line for line in refused.value.details)
    assert "alone" in refused.value.remedy
    assert not found.tenants


def test_another_base_another_config_and_unknown_names_are_refused(tmp_path: Path) -> None:
    base, other = folder(tmp_path / "base", "llama", 0), folder(tmp_path / "other", "llama", 5)
    tuned = folder(tmp_path / "tuned", "llama", 1, base)
    found = ResidentBase.open(str(base))
    with pytest.raises(MismatchError, match="another base"):
        found.attach("x", f"{other} + {tuned}")
    config = json.loads((tuned / "config.json").read_text())
    (tuned / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    with pytest.raises(MismatchError, match="computes otherwise") as refused:
        found.attach("x", f"{base} + {tuned}")
    assert any("rms_norm_eps" in line for line in refused.value.details)
    with pytest.raises(InputError, match="no tenant 'y'"), found.rows(["y"]):
        pass
    with pytest.raises(RecipeError, match="form"):
        found.form = "fast"
    with pytest.raises(RecipeError, match="held as"):
        ResidentBase.open(str(base), hold="tight")
    found.attach("base", str(base))
    with pytest.raises(RecipeError, match="only once"):
        found.attach("base", str(base))
