from pathlib import Path

import pytest

from deltakit.data.asked import read_prompts
from deltakit.errors import InputError


def test_prompts_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("one\n\ntwo\n")
    (tmp_path / "p.jsonl").write_text('{"prompt": "a\\nb"}\n{"prompt": "c"}\n')
    assert read_prompts(tmp_path / "p.txt") == ["one", "two"]
    assert read_prompts(tmp_path / "p.jsonl") == ["a\nb", "c"]


def test_bad_prompt_files_are_named_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"text": "c"}\nnot json\n')
    with pytest.raises(InputError, match=r"p\.jsonl") as caught:
        read_prompts(tmp_path / "p.jsonl")
    assert len(caught.value.details) == 2
    with pytest.raises(InputError, match="no file"):
        read_prompts(tmp_path / "nothing.txt")
