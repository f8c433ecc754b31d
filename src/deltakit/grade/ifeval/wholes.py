"""IFEval's instructions about a response as a whole: its case, language, beginning and end."""

from __future__ import annotations

from deltakit.grade.ifeval.reading import Finding, language_of

__all__ = [
    "end_checker",
    "english_capital",
    "english_lowercase",
    "no_comma",
    "quotation",
    "repeat_prompt",
    "response_language",
    "two_responses",
]


def response_language(response: str, language: str) -> Finding:
    """All in one language. A text in which no language can be told (digits, say) counts as followed, as in the paper's
    code."""
    found = language_of(response)
    return Finding(found in (None, language), f"reads as {found}, {language} wanted")


def english_capital(response: str) -> Finding:
    """English, in capital letters only."""
    return _cased(response, response.isupper(), "capital")


def english_lowercase(response: str) -> Finding:
    """English, in small letters only."""
    return _cased(response, response.islower(), "small")


def _cased(response: str, cased: bool, what: str) -> Finding:
    if not cased:
        return Finding(False, f"not only {what} letters")
    found = language_of(response)
    return Finding(found in (None, "en"), f"{what} letters only, reads as {found}")


def two_responses(response: str) -> Finding:
    """Exactly two different responses with ****** between them."""
    parts = response.split("******")
    given = [part.strip() for part in parts if part.strip()]
    if any(not part.strip() for part in parts[1:-1]):
        return Finding(False, "an empty response between two dividers")
    return Finding(len(given) == 2 and given[0] != given[1], f"{len(given)} responses, {len(set(given))} different")


def repeat_prompt(response: str, prompt_to_repeat: str) -> Finding:
    """Begins with the request, word for word, in any case."""
    followed = response.strip().lower().startswith(prompt_to_repeat.strip().lower())
    return Finding(followed, f"{'begins' if followed else 'does not begin'} with the request")


def end_checker(response: str, end_phrase: str) -> Finding:
    """Ends with the phrase and nothing behind it but a quotation mark, in any case."""
    followed = response.strip().strip('"').lower().endswith(end_phrase.strip().lower())
    return Finding(followed, f"{'ends' if followed else 'does not end'} with {end_phrase.strip()!r}")


def no_comma(response: str) -> Finding:
    """No comma at all."""
    return Finding("," not in response, f"{response.count(',')} commas")


def quotation(response: str) -> Finding:
    """All of it between double quotation marks."""
    text = response.strip()
    followed = len(text) > 1 and text[0] == text[-1] == '"'
    return Finding(followed, f"{'all' if followed else 'not all'} between double quotation marks")
