"""Does an answer say that its question lacks something? For GSM-Plus's critical thinking (arXiv:2402.19255).

The rule is a list of phrases, so it errs on both sides; what it goes by is returned, to be read.
"""

from __future__ import annotations

import re

from deltakit.grade.answers import extract

__all__ = ["abstains", "marked_abstains"]

_NOTHING = re.compile(r"\A\W*(?:none|n/?a|null|unknown|undefined|undetermined|indeterminate|\?)\W*\Z", re.IGNORECASE)
_SAYS = re.compile(
    r"(?:can(?:no|['’])?t|can not|unable to|impossible to|not possible to|no way to|not enough \w+ to|hard to) "
    r"(?:be )?(?:accurately |exactly |precisely |definitively )?"
    r"(?:determine|answer|calculate|compute|solve|find|say|know|tell|work(?:ed)? out)\w*"
    r"|(?:in|not )(?:sufficient|enough|adequate) (?:information|data|details)"
    r"|(?:is|are|was|were) (?:missing|unspecified|unknown|not (?:given|specified|provided|stated|known|mentioned))"
    r"|\b(?:we|i|it|question|problem|text|story) (?:do|does|did)(?:n['’]t| not) "
    r"(?:know|say|specify|state|mention|tell us|provide|give us)"
    r"|(?:lacks?|lacking|missing) (?:the )?(?:necessary |required |needed )?(?:information|data|details)"
    r"|more information (?:is|would be) (?:needed|required|necessary)",
    re.IGNORECASE,
)


def abstains(text: str) -> str | None:
    """The words by which a text says that the question cannot be answered; None if it does not."""
    if found := _NOTHING.search(text):
        return found.group().strip()
    said = _SAYS.search(text)
    return said.group() if said else None


def marked_abstains(completion: str) -> str | None:
    """As `abstains`, of the marked answer where there is one (a marked number is an answer), else of the whole text."""
    marked = re.split(r"(?:\banswer is\b\s*:?|####)", completion, flags=re.IGNORECASE)
    if len(marked) > 1:
        line = (marked[-1].strip().splitlines() or [""])[0]
        return abstains(line)
    return None if extract(completion, "marked", "number") else abstains(completion)
