"""Whether models of equal shapes run their weights alike: what their configurations say beside names and sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from deltakit.errors import MismatchError

__all__ = ["check_drift", "drift"]

Config: TypeAlias = Mapping[str, Any]

# Keys that change no number a model computes: who made it, how it is stored, trained or sampled from, and what the
# tensors' own shapes say. Everything else counts.
HARMLESS = (
    "_*", "name_or_path", "architectures", "auto_map", "transformers_version", "dtype", "torch_dtype",
    "quantization_config", "*attn_implementation", "use_flash_attn*", "use_cache*", "torchscript", "return_dict*",
    "output_attentions", "output_hidden_states", "output_router_logits", "gradient_checkpointing", "unsloth_*",
    "*_token_id", "*_token_index", "image_token*", "tokenizer_class", "*vocab_size*", "max_position_embeddings",
    "model_max_length", "seq_length", "label2id", "id2label", "num_labels", "problem_type", "finetuning_task",
    "task_specific_params", "*dropout*", "*_pdrop", "*drop_path*", "initializer_*", "init_*", "*_init_std",
    "pretraining_tp", "router_aux_loss_coef", "router_z_loss_coef", "router_jitter_noise", "language", "license",
    "do_sample", "temperature", "top_k", "top_p", "typical_p", "min_length", "max_length", "num_beams*",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "early_stopping", "bad_words_ids", "prefix",
    "num_return_sequences", "encoder_no_repeat_ngram_size", "diversity_penalty", "suppress_tokens",
    "begin_suppress_tokens", "forced_*", "remove_invalid_values", "exponential_decay_length_penalty",
    "pruned_heads", "cross_attention_hidden_size", "chunk_size_feed_forward", "tf_legacy_loss", "use_bfloat16",
    "output_scores", "return_dict_in_generate",
)  # fmt: skip
_TOWERS = ("text_config", "llm_config")  # where a model of several towers says what its language model is like
_THETA = 10000.0  # what a configuration without rope_theta means
_ROPE = ("rope_theta", "rope_scaling", "rope_parameters")


def check_drift(
    base: Config | None,
    models: Sequence[tuple[str, Config | None]],
    *,
    base_label: str = "the base",
    allow: bool = False,
    ignore: Sequence[str] = (),
) -> tuple[str, ...]:
    """A line for each setting in which a labelled model differs from the base: MismatchError with all of them, or with
    `allow` the lines as warnings. Models without a configuration say nothing."""
    if base is None:
        return ()
    lines = [
        f"{label}: {key} is {_say(theirs)}, in {base_label} {_say(ours)}"
        for label, config in models
        if config is not None
        for key, (ours, theirs) in drift(base, config, ignore).items()
    ]
    if lines and not allow:
        raise MismatchError(
            "the models are to be run with different settings, of which a merge has but one",
            remedy="merge fine-tunes of one base; or keep the base's settings by --allow-config-drift (in a recipe: "
            "allow_config_drift: true)",
            details=lines,
        )
    return tuple(lines)


def drift(base: Config, model: Config, ignore: Sequence[str] = ()) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (base's value, model's value) where two configurations would compute differently.

    Absent, null and false are one; any other value counts as different only where both have one: older configurations
    lack keys that newer ones spell out. Rotary settings, heads and their sizes are brought to one form first.
    """
    ours, theirs = _settings(*_towers(base, model))
    return {
        key: (ours.get(key), theirs.get(key))
        for key in sorted({*ours, *theirs})
        if key not in ignore and _differ(key, ours.get(key), theirs.get(key))
    }


def _towers(base: Config, model: Config) -> tuple[Config, Config]:
    """Where one of two is a language model and the other holds one: the two language models."""

    def tower(config: Config) -> Config | None:
        return next((config[k] for k in _TOWERS if isinstance(config.get(k), Mapping)), None)

    ours, theirs = tower(base), tower(model)
    if ours is not None and theirs is None:
        return _unnamed(ours), _unnamed(model)
    return (_unnamed(base), _unnamed(theirs)) if theirs is not None and ours is None else (base, model)


def _unnamed(config: Config) -> Config:
    return {k: v for k, v in config.items() if k != "model_type"}


def _settings(base: Config, model: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both as flat maps of dotted keys without the harmless ones."""
    made = [_flat(_plain(c)) for c in (base, model)]
    if not any(c.get("use_sliding_window") for c in (base, model)) and "use_sliding_window" in {**base, **model}:
        made = [{k: v for k, v in c.items() if k not in ("sliding_window", "max_window_layers")} for c in made]
    return made[0], made[1]


def _plain(config: Config) -> dict[str, Any]:
    """With rotary settings, number of heads and size of heads in one form, at every depth."""
    out = {k: _plain(v) if isinstance(v, Mapping) and k not in _ROPE else v for k, v in config.items()}
    rope = _rope(config)
    if rope:
        out = {k: v for k, v in out.items() if k not in _ROPE} | rope
    heads, width = config.get("num_attention_heads"), config.get("hidden_size")
    if isinstance(heads, int) and isinstance(width, int) and heads > 0:
        out.setdefault("num_key_value_heads", heads)
        out["head_dim"] = config.get("head_dim") or width // heads
    return out


def _rope(config: Config) -> dict[str, Any]:
    """Rotary settings of the older form (rope_theta, rope_scaling) and the newer one (rope_parameters) alike."""
    newer, scaling = config.get("rope_parameters"), config.get("rope_scaling")
    found = {**(scaling if isinstance(scaling, Mapping) else {}), **(newer if isinstance(newer, Mapping) else {})}
    if any(isinstance(v, Mapping) for v in found.values()):  # one set for each kind of layer
        return {}
    kind = found.pop("type", "default")
    kind = found.pop("rope_type", kind)
    theta = found.pop("rope_theta", config.get("rope_theta"))
    if theta is None and not found:
        return {}
    return {"rope_theta": theta, "rope_type": kind, **{f"rope_scaling.{k}": v for k, v in found.items()}}


def _flat(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if any(fnmatchcase(key, pattern) for pattern in HARMLESS):
            continue
        if isinstance(value, Mapping):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def _differ(key: str, ours: Any, theirs: Any) -> bool:
    if ours in (None, False) and theirs in (None, False):
        return False
    if ours is None or theirs is None:
        given = theirs if ours is None else ours
        return given is True or "rope_scaling." in key or (key.endswith("rope_theta") and given != _THETA)
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return not math.isclose(ours, theirs, rel_tol=1e-9)
    return bool(ours != theirs)


def _say(value: Any) -> str:
    text = "not given" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
