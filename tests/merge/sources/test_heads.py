"""Models of one body with heads of their own: the bodies are merged, and every head's fate is said."""

import json

import numpy as np
import pytest

from deltakit.delta.file.extract import extract
from deltakit.errors import MismatchError, RecipeError
from deltakit.merge.sources.heads import body_of
from deltakit.merge.write import merge
from deltakit.tensors import TensorSpec
from support.cli import call
from support.merging import draw, plan, recipe, store, tune, values
from support.models import tiny_llama, tiny_tuned

BODY = {"embeddings.word_embeddings.weight": (20, 8), "encoder.layer.0.query.weight": (8, 8), "norm.weight": (8,)}
MASKED = {"cls.predictions.bias": (20,)}


@pytest.fixture
def world(tmp_path):
    """A base that predicts masked words, a fine-tune with 2 labels, one with 3, one that answers questions, whose
    names begin otherwise."""
    base = draw(0, shapes={**BODY, **MASKED})
    made = {"base": base}
    for i, (name, head) in enumerate({"two": (2, 8), "three": (3, 8)}.items()):
        body = {n: a for n, a in tune(base, i + 1).items() if n in BODY}
        made[name] = {**body, "classifier.weight": np.full(head, i + 1.0), "classifier.bias": np.full(head[0], i + 1.0)}
    body = {f"bert.{n}": a for n, a in tune(base, 3).items() if n in BODY}
    made["answers"] = {**body, "qa_outputs.weight": np.full((2, 8), 3.0)}
    folders = {}
    for name, arrays in made.items():
        folders[name] = store(tmp_path / name, arrays)
        config = {"model_type": "bert", "architectures": [f"For{name}"], "torch_dtype": "float32"}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    return folders, made


def items(folders, *names):
    return [{"model": folders[n], "name": n} for n in names]


def made_of(world, *names, method="task_arithmetic", **more):
    folders, _ = world
    return plan(method, folders["base"], items(folders, *names), **more)


def expected(arrays, *names):
    """The merged body, spelled out."""
    base = arrays["base"]
    models = [{n.removeprefix("bert."): a for n, a in arrays[m].items()} for m in names]
    return {n: base[n] + sum(np.float32(1) * (m[n] - base[n]) for m in models) for n in BODY}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert np.allclose(found[name], array, atol=1e-6), name


def test_without_a_choice_it_is_an_error_that_offers_one(world):
    with pytest.raises(MismatchError) as caught:
        made_of(world, "two", "three")
    assert "heads:" in caught.value.remedy
    assert "two: classifier.weight is not in the base" in caught.value.details
    assert "three: lacks cls.predictions.bias" in caught.value.details


def test_the_bases_heads(world):
    made = made_of(world, "two", "three", heads="base")
    same(values(made.tensors), {**expected(world[1], "two", "three"), **{n: world[1]["base"][n] for n in MASKED}})
    assert made.actions()["cls.predictions.bias"]["action"] == "kept from base"
    assert made.sidecar.config["architectures"] == ["Forbase"]
    assert made.notes == (
        "base: cls.predictions.bias [20] is no part of the body; kept",
        "two: classifier.bias [2] is no part of the body; dropped",
        "two: classifier.weight [2, 8] is no part of the body; dropped",
        "three: classifier.bias [3] is no part of the body; dropped",
        "three: classifier.weight [3, 8] is no part of the body; dropped",
    )


def test_a_models_heads(world):
    made = made_of(world, "two", "three", heads="three")
    heads = {n: a for n, a in world[1]["three"].items() if "classifier" in n}
    same(values(made.tensors), {**expected(world[1], "two", "three"), **heads})
    assert made.actions()["classifier.weight"]["action"] == "kept from three"
    assert made.actions()["norm.weight"]["action"] == "task_arithmetic"
    assert made.sidecar.config["architectures"] == ["Forthree"]
    assert "base: cls.predictions.bias [20] is no part of the body; dropped" in made.notes
    assert "three: classifier.weight [3, 8] is no part of the body; kept as it is" in made.notes


def test_no_heads(world):
    made = made_of(world, "two", "three", heads="drop")
    same(values(made.tensors), expected(world[1], "two", "three"))
    assert "architectures" not in made.sidecar.config
    assert len(made.notes) == 5


def test_bodies_meet_under_another_prefix_and_the_result_has_its_models_names(world):
    made = made_of(world, "two", "answers", heads="answers")
    body = {f"bert.{n}": a for n, a in expected(world[1], "two", "answers").items()}
    same(values(made.tensors), {**body, "qa_outputs.weight": world[1]["answers"]["qa_outputs.weight"]})
    assert "bert.embeddings.word_embeddings.weight is read as embeddings.word_embeddings.weight" in made.notes[0]
    assert sorted(made.order) == sorted(made.tensors.specs)
    assert made.actions()["bert.norm.weight"]["action"] == "task_arithmetic"
    same(values(made_of(world, "two", "answers", heads="drop").tensors), expected(world[1], "two", "answers"))


def test_a_prefix_alone_needs_no_choice(world, tmp_path):
    folders, arrays = world
    tuned = {f"roberta.{n}": a for n, a in tune(arrays["base"], 5).items()}
    folders["other"] = store(tmp_path / "other", tuned)
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    made = made_of(world, "other", scale=0.5)
    body = {n: a + np.float32(0.5) * (tuned[f"roberta.{n}"] - a) for n, a in arrays["base"].items()}
    same(values(made.tensors), body)
    assert len(made.notes) == 1
    merge(recipe("task_arithmetic", folders["base"], items(folders, "other"), scale=0.5), tmp_path / "x.delta")
    again = plan("task_arithmetic", folders["base"], [str(tmp_path / "x.delta")])
    same(values(again.tensors), body)


def test_heads_of_equal_names_and_other_shapes(world, tmp_path):
    """A base with a head of 3 labels, models with 3 and 2: nobody's head is merged, also not the one that would fit."""
    folders, arrays = world
    made = plan("task_arithmetic", folders["three"], items(folders, "three", "two")[1:], heads="base")
    assert np.all(values(made.tensors)["classifier.weight"] == 2.0)
    again = store(tmp_path / "again", {n: a + 0.25 for n, a in arrays["three"].items()})
    (tmp_path / "again" / "config.json").write_text('{"model_type": "bert"}')
    models = [*items(folders, "two"), {"model": again, "name": "again"}]
    made = plan("linear", folders["three"], models, heads="base")
    assert np.all(values(made.tensors)["classifier.weight"] == 2.0)
    made = plan("linear", folders["three"], models, heads="again")
    assert np.all(values(made.tensors)["classifier.weight"] == 2.25)


def test_added_vocabulary_is_no_head(tmp_path):
    base = tiny_llama(tmp_path / "base")
    grown = tiny_tuned(base, tmp_path / "grown", extra_rows=2)
    models = [{"model": str(grown), "name": "grown"}, {"model": str(tiny_tuned(base, tmp_path / "b", 2)), "name": "b"}]
    with pytest.raises(MismatchError, match="the base lacks"):
        plan("task_arithmetic", str(base), models, heads="base")
    made = plan("task_arithmetic", str(base), models, heads="base", vocabulary="grown")
    assert made.tensors.specs["model.embed_tokens.weight"].rows == 90


def test_without_a_base_a_models_heads_or_none(world):
    folders, arrays = world
    mean = {n: (arrays["two"][n] + arrays["three"][n]) / 2 for n in BODY}
    for choice, heads in [("drop", {}), ("two", {n: a for n, a in arrays["two"].items() if "classifier" in n})]:
        made = plan("linear", None, items(folders, "two", "three"), heads=choice)
        same(values(made.tensors), {**mean, **heads})
    with pytest.raises(RecipeError, match="heads 'base'"):
        plan("linear", None, items(folders, "two", "three"), heads="base")


def test_deltas_and_their_heads(world, tmp_path):
    """A stored delta with a classifier of its own is merged by its body."""
    folders, arrays = world
    extract(folders["base"], folders["two"], tmp_path / "two.delta")
    made = plan(
        "task_arithmetic", folders["base"], [str(tmp_path / "two.delta"), *items(folders, "three")], heads="base"
    )
    same(values(made.tensors), {**expected(arrays, "two", "three"), **{n: arrays["base"][n] for n in MASKED}})


def test_a_choice_that_names_nobody(world):
    with pytest.raises(RecipeError, match="heads 'thre'") as caught:
        made_of(world, "two", "three", heads="thre")
    assert "three" in caught.value.remedy


def test_models_without_a_common_body(world, tmp_path):
    folders, _ = world
    folders["odd"] = store(tmp_path / "odd", {"x.weight": np.ones((2, 2))})
    with pytest.raises(MismatchError, match="share no tensor"):
        made_of(world, "odd", heads="base")


def test_the_body_is_what_all_have_in_one_shape():
    def spec(*shape, dtype="F32"):
        return TensorSpec(shape, dtype)

    base = {
        "a": spec(2, 3),
        "b": spec(2, 3),
        "c": spec(2),
        "d": spec(2, dtype="I64"),
        "x.wte.weight": spec(9, 2),
        "e": spec(9, 2),
    }
    other = {**base, "a": spec(3, 2), "d": spec(2), "x.wte.weight": spec(11, 2), "e": spec(11, 2), "new": spec(1)}
    assert body_of(base, [other, base]) == {"b", "c", "x.wte.weight", "e"}
    assert body_of(base, [{**base, "b": spec(2, 3, dtype="BF16"), "c": spec(3)}]) == {
        "a",
        "b",
        "d",
        "x.wte.weight",
        "e",
    }


def test_encoders_of_glue_tasks_merge_and_run(tmp_path):
    """As in DARE's experiments: BERT classifiers of two tasks, one body, the head of the task that is asked for."""
    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 40,
    }
    BertForMaskedLM(BertConfig(**small)).save_pretrained(tmp_path / "base")
    bodies = []
    for task, labels in [("mnli", 3), ("sst2", 2)]:
        net = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=labels)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        net.save_pretrained(tmp_path / task)
        bodies.append(net.bert.state_dict())
    argv = ["merge", "--base", tmp_path / "base", "--model", f"mnli={tmp_path / 'mnli'}:0.5"]
    argv += ["--model", f"sst2={tmp_path / 'sst2'}:0.5", "-o", tmp_path / "out"]
    done = call(*argv)
    assert done.code == 3
    assert "set heads:" in done.err
    done = call(*argv, "--heads", "sst2", "--format", "json")
    assert done.code == 0, done.err
    notes = json.loads(done.out)["notes"]
    assert any(n.startswith("mnli: classifier.weight [3, 16]") and n.endswith("dropped") for n in notes)
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    oracle = AutoModelForSequenceClassification.from_pretrained(tmp_path / "sst2")
    mean = {n: (bodies[0][n] + bodies[1][n]) / 2 for n in bodies[0]}
    pooler = {n: t for n, t in oracle.bert.state_dict().items() if n.startswith("pooler.")}
    oracle.bert.load_state_dict({**mean, **pooler})
    ids = torch.arange(5, 17)[None]
    with torch.no_grad():
        assert torch.allclose(merged(ids).logits, oracle(ids).logits, atol=1e-5)
        assert merged.config.num_labels == 2
