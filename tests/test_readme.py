"""The README's commands, run in its order on tiny models: what a newcomer copies works."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import pytest

from deltakit_cli.main import VERBS
from support.cli import call
from support.models import tiny_llama, tiny_tuned

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def commands() -> list[list[str]]:
    """Every `deltakit ...` line of the README's shell blocks, as words."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.S)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in blocks.splitlines() if line.startswith("deltakit ")]


def longer(folder: Path) -> None:
    """Raise a tiny model's context, so that a whole GSM8K item fits."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 2048}))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """models/{base,math,chat}, two GSM8K items, and a file of MetaMathQA's schema, in a folder of their own."""
    base = tiny_llama(tmp_path / "models" / "base", seed=1)
    for name, seed in (("math", 2), ("chat", 3)):
        tiny_tuned(base, tmp_path / "models" / name, seed=seed)
    for name in ("base", "math", "chat"):
        longer(tmp_path / "models" / name)
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    for split, numbers in {"train": (3, 4), "test": (1, 2)}.items():
        items = [{"question": f"What is {i} + 1?", "answer": f"It is {i + 1}.\n#### {i + 1}"} for i in numbers]
        (tmp_path / "data" / "gsm8k" / f"{split}.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    record = {"query": "What is 1 + 1?", "response": "The answer is: 2", "type": "GSM_AnsAug", "original_question": "?"}
    (tmp_path / "MetaMathQA-395K.json").write_text(json.dumps([record] * 3))
    (tmp_path / "math.train.jsonl").write_text("".join(json.dumps(record) + "\n" for _ in range(8)))
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))  # what is said in `deltakit chat`
    monkeypatch.setenv("DELTAKIT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_readme_runs(world):
    found = commands()
    assert len(found) >= 9
    assert {"extract", "apply", "merge", "sparsify", "compress", "generate", "export", "eval", "init", "sft"} <= {
        words[1] for words in found
    }
    for words in found:
        done = call(*words[1:])
        assert done.code == 0, (words, done.err)
    assert (world / "models" / "math-restored" / "model.safetensors").is_file()
    assert (world / "math-16x.delta").is_file()
    assert (world / "archives" / "chat.archive").is_file()
    assert (world / "math-lora" / "adapter_config.json").is_file()
    assert (world / "math-curve" / "curve.html").is_file()
    assert not (world / "models" / "mine").exists()


def test_every_verb_that_the_text_names_exists():
    assert {v for v in re.findall(r"`deltakit ([a-z]+)", README) if v not in VERBS} == set()


def test_every_page_it_links_exists():
    folder = Path(__file__).resolve().parent.parent
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_demo_s_table_is_a_real_one():
    table = README.partition("<!-- demo table -->")[2].partition("<!-- /demo table -->")[0]
    assert "svd_mixed" in table
    assert "±" in table
