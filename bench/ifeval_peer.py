"""Our IFEval checks beside lm-eval's own on the same texts: where the verdicts differ.

    pip install nltk immutabledict      # what lm-eval's checks need; none of it is needed by deltakit
    python bench/ifeval_peer.py --data ../shared/data

Texts are answers of people and models, changed at random (case, quotes, dividers, bullets, ...), so that rules are met
now and then. The two kinds whose counts come from a trained splitter of sentences, which must be downloaded, are left
out.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

LEFT_OUT = ("length_constraints:number_sentences", "change_case:capital_word_frequency")
SLOW = ("language", "english")  # kinds that detect a language


def changed(text: str, rng: random.Random) -> str:
    """One of twelve changes."""
    ways = [
        text.upper(), text.lower(), f'"{text}"', f"{text}\n\nP.S. Bye", f"<<Title>>\n{text}", text.replace(",", ""),
        f"{text}\n******\n{text[::-1]}", text.replace(". ", ".\n\n***\n\n"), text.replace(". ", ".\n\n"),
        "\n".join(f"* {part}" for part in text.split(". ")),
        f"SECTION 1\n{text}\nSection 2\n*one* **two**\nDay 3 [x] [y]", text,
    ]  # fmt: skip
    return rng.choice(ways)


def met(text: str, name: str, given: dict[str, Any], rng: random.Random) -> str:
    """Now and then a text that follows a rule which chance would not."""
    if rng.random() < 0.5:
        return text
    if name.endswith("repeat_prompt"):
        return given["prompt_to_repeat"] + text
    if name.endswith("end_checker"):
        return f"{text} {given['end_phrase']}"
    if name.endswith("existence"):
        return " ".join([text, *given["keywords"]])
    if name.endswith("multiple_sections"):
        return "\n".join(f"{given['section_spliter']} {i}\n{text}" for i in range(rng.randint(1, 8)))
    if name.endswith("first_word"):
        word = rng.choice([given["first_word"], f'"{given["first_word"].title()},"'])
        return "\n\n".join(f"{word} {text.split()[0]}" for _ in range(rng.randint(1, given["num_paragraphs"])))
    if name.endswith("constrained_response"):
        return "My answer is no."
    return '```json\n{"a": 1}\n```' if name.endswith("json_format") else text


def texts(data: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Answers and prompts, none empty."""
    files = {"chat/dolly_subset_2k.jsonl": "output", "chat/rasbt_preference_1100.jsonl": "chosen"}
    found = [row["prompt"] for row in rows]
    for name, field in files.items():
        found += [json.loads(line)[field] for line in (data / name).read_text(encoding="utf-8").splitlines()]
    return [text for text in found if text.strip()]


def compare(data: Path, each: int, seed: int) -> tuple[Counter[str], Counter[str], dict[str, list[str]]]:
    """By kind: pairs, those we call followed, and the differences in words."""
    import langdetect
    import nltk

    nltk.download = lambda *_, **__: True  # the sentence splitter's data: only LEFT_OUT need them
    from lm_eval.tasks.ifeval import instructions_registry

    from deltakit.grade.ifeval import check

    langdetect.DetectorFactory.seed = 0
    random.seed(seed)
    rng = random.Random(seed)
    rows = [json.loads(line) for line in (data / "ifeval/input_data.jsonl").read_text(encoding="utf-8").splitlines()]
    pool = texts(data, rows)
    pairs, followed, differ = Counter[str](), Counter[str](), dict[str, list[str]]()
    for name, given in ((n, g) for row in rows for n, g in zip(row["instruction_id_list"], row["kwargs"], strict=True)):
        if name in LEFT_OUT:
            continue
        peer = instructions_registry.INSTRUCTION_DICT[name](name)
        peer.build_description(**given)
        for _ in range(4 if any(word in name for word in SLOW) else each):
            text = met(changed(rng.choice(pool), rng), name, given, rng)
            theirs, (ours,) = bool(peer.check_following(text)), check(text, [name], [given])
            pairs[name] += 1
            followed[name] += ours.strict
            if theirs != ours.strict:
                differ.setdefault(name, []).append(f"{given}: theirs {theirs}, ours {ours.strict} ({ours.why})")
    return pairs, followed, differ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--each", type=int, default=25, help="texts per instruction")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    pairs, followed, differ = compare(asked.data, asked.each, asked.seed)
    print("| kind | pairs | followed | verdicts that differ |\n|---|---|---|---|")
    for name in sorted(pairs):
        print(f"| {name} | {pairs[name]:,} | {followed[name]:,} | {len(differ.get(name, []))} |")
    print(f"| all | {pairs.total():,} | {followed.total():,} | {sum(map(len, differ.values()))} |\n")
    for name, cases in differ.items():
        for case, times in Counter(cases).most_common(4):
            print(f"- {name} {case}, {times} times")


if __name__ == "__main__":
    main()
