"""IFEval's instructions about words and lengths."""

from __future__ import annotations

import re

from deltakit.grade.ifeval.reading import Finding, capital_words, compared, sentences, words

__all__ = [
    "capital_word_frequency",
    "existence",
    "forbidden_words",
    "frequency",
    "letter_frequency",
    "nth_paragraph_first_word",
    "number_paragraphs",
    "number_sentences",
    "number_words",
]


def existence(response: str, keywords: list[str]) -> Finding:
    """Every keyword occurs, in any case, also inside a word."""
    missing = [word for word in keywords if word.lower() not in response.lower()]
    return Finding(not missing, f"missing: {', '.join(missing)}" if missing else "all keywords occur")


def frequency(response: str, keyword: str, frequency: int, relation: str) -> Finding:
    """A keyword occurs so often, in any case, also inside a word."""
    return compared(response.lower().count(keyword.lower()), relation, frequency, f"of {keyword!r}")


def forbidden_words(response: str, forbidden_words: list[str]) -> Finding:
    """None of the words occurs as a word of its own, in any case."""
    found = [w for w in forbidden_words if re.search(rf"\b{re.escape(w)}\b", response, re.IGNORECASE)]
    return Finding(not found, f"found: {', '.join(found)}" if found else "none occurs")


def letter_frequency(response: str, letter: str, let_frequency: int, let_relation: str) -> Finding:
    """A letter (or another sign) occurs so often, in any case."""
    return compared(response.lower().count(letter.lower()), let_relation, let_frequency, f"of {letter!r}")


def number_sentences(response: str, num_sentences: int, relation: str) -> Finding:
    """So many sentences."""
    return compared(len(sentences(response)), relation, num_sentences, "sentences")


def number_words(response: str, num_words: int, relation: str) -> Finding:
    """So many words."""
    return compared(len(words(response)), relation, num_words, "words")


def number_paragraphs(response: str, num_paragraphs: int) -> Finding:
    """Exactly so many paragraphs with *** between them; an empty one between two others is none that counts."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", response)]
    inner = parts[(not parts[0]) : len(parts) - (len(parts) > 1 and not parts[-1])]
    if not all(inner):
        return Finding(False, "an empty paragraph between two dividers")
    return Finding(len(inner) == num_paragraphs, f"{len(inner)} paragraphs, {num_paragraphs} wanted")


def nth_paragraph_first_word(response: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> Finding:
    """Exactly so many paragraphs with a blank line between, and the nth begins with the word."""
    parts = re.split(r"\n\n", response)
    count = sum(bool(part.strip()) for part in parts)
    paragraph = parts[nth_paragraph - 1].strip() if nth_paragraph <= len(parts) else ""
    if not paragraph or nth_paragraph > count:
        return Finding(False, f"{count} paragraphs, none is number {nth_paragraph}")
    begins = re.split(r"[.,?!'\"]", paragraph.split()[0].lstrip("'").lstrip('"'))[0].lower()
    followed = count == num_paragraphs and begins == first_word.lower()
    return Finding(
        followed, f"{count} paragraphs, {num_paragraphs} wanted; number {nth_paragraph} begins with {begins!r}"
    )


def capital_word_frequency(response: str, capital_frequency: int, capital_relation: str) -> Finding:
    """So many words in capital letters."""
    return compared(len(capital_words(response)), capital_relation, capital_frequency, "words in capitals")
