"""IFEval's instructions about marks, parts and forms within a response."""

from __future__ import annotations

import json
import re

from deltakit.grade.ifeval.reading import Finding

__all__ = [
    "constrained_response",
    "json_format",
    "multiple_sections",
    "number_bullet_lists",
    "number_highlighted_sections",
    "number_placeholders",
    "postscript",
    "title",
]

_POSTSCRIPTS = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
_CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def number_placeholders(response: str, num_placeholders: int) -> Finding:
    """At least so many placeholders in square brackets."""
    found = len(re.findall(r"\[.*?\]", response))
    return Finding(found >= num_placeholders, f"{found} placeholders, at least {num_placeholders} wanted")


def postscript(response: str, postscript_marker: str) -> Finding:
    """A postscript that begins with the marker."""
    marker = postscript_marker.strip()
    pattern = _POSTSCRIPTS.get(marker, rf"\s*{re.escape(marker.lower())}.*$")
    found = re.search(pattern, response.lower(), re.MULTILINE)
    return Finding(bool(found), f"{marker} {'stands' if found else 'is not'} there")


def number_bullet_lists(response: str, num_bullets: int) -> Finding:
    """Exactly so many lines that begin with * or -."""
    stars = re.findall(r"^\s*\*[^\*].*$", response, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", response, re.MULTILINE)
    found = len(stars) + len(dashes)
    return Finding(found == num_bullets, f"{found} bullets, {num_bullets} wanted")


def constrained_response(response: str) -> Finding:
    """One of the three allowed answers occurs."""
    found = next((choice for choice in _CHOICES if choice in response), None)
    return Finding(found is not None, f"{found!r}" if found else "none of the three allowed answers")


def number_highlighted_sections(response: str, num_highlights: int) -> Finding:
    """At least so many parts *highlighted* in markdown, with one star or two."""
    single = [part for part in re.findall(r"\*([^\n\*]*)\*", response) if part.strip()]
    double = [part for part in re.findall(r"\*\*([^\n\*]*)\*\*", response) if part.strip()]
    found = len(single) + len(double)
    return Finding(found >= num_highlights, f"{found} highlighted parts, at least {num_highlights} wanted")


def multiple_sections(response: str, section_spliter: str, num_sections: int) -> Finding:
    """At least so many sections, each after the word and a number."""
    found = len(re.findall(rf"\s?{re.escape(section_spliter.strip())}\s?\d+\s?", response))
    return Finding(found >= num_sections, f"{found} of {section_spliter!r}, at least {num_sections} wanted")


def json_format(response: str) -> Finding:
    """The whole response is JSON, maybe in a fenced block."""
    text = re.sub(r"\A```(?:json)?|```\Z", "", response.strip(), flags=re.IGNORECASE).strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return Finding(False, f"no JSON: {error}")
    return Finding(True, "JSON")


def title(response: str) -> Finding:
    """A title in <<double angular brackets>>, on one line."""
    found = next((t for t in re.findall(r"<<[^\n]+>>", response) if t.lstrip("<").rstrip(">").strip()), None)
    return Finding(found is not None, found or "no <<title>>")
