"""IFEval's 25 kinds of instructions: name -> rule."""

from __future__ import annotations

from collections.abc import Callable

from deltakit.grade.ifeval import counts, forms, wholes
from deltakit.grade.ifeval.reading import Finding

__all__ = ["RULES"]

RULES: dict[str, Callable[..., Finding]] = {
    "change_case:capital_word_frequency": counts.capital_word_frequency,
    "change_case:english_capital": wholes.english_capital,
    "change_case:english_lowercase": wholes.english_lowercase,
    "combination:repeat_prompt": wholes.repeat_prompt,
    "combination:two_responses": wholes.two_responses,
    "detectable_content:number_placeholders": forms.number_placeholders,
    "detectable_content:postscript": forms.postscript,
    "detectable_format:constrained_response": forms.constrained_response,
    "detectable_format:json_format": forms.json_format,
    "detectable_format:multiple_sections": forms.multiple_sections,
    "detectable_format:number_bullet_lists": forms.number_bullet_lists,
    "detectable_format:number_highlighted_sections": forms.number_highlighted_sections,
    "detectable_format:title": forms.title,
    "keywords:existence": counts.existence,
    "keywords:forbidden_words": counts.forbidden_words,
    "keywords:frequency": counts.frequency,
    "keywords:letter_frequency": counts.letter_frequency,
    "language:response_language": wholes.response_language,
    "length_constraints:nth_paragraph_first_word": counts.nth_paragraph_first_word,
    "length_constraints:number_paragraphs": counts.number_paragraphs,
    "length_constraints:number_sentences": counts.number_sentences,
    "length_constraints:number_words": counts.number_words,
    "punctuation:no_comma": wholes.no_comma,
    "startend:end_checker": wholes.end_checker,
    "startend:quotation": wholes.quotation,
}
