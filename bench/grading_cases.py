r"""Spellings of one answer, made by rules that know nothing of the grader: equal ones, and ones that are surely wrong.

Every rule takes a gold answer as MATH writes it and gives (kind, spelling) pairs, none where it does not apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

Case = tuple[str, str]
INTEGER = re.compile(r"-?\d+\Z")
FRAC = re.compile(r"(-?)\\[dt]?frac\{(-?\d+)\}\{(\d+)\}\Z")
MIXED = re.compile(r"(\d+)\s*\\frac\{(\d+)\}\{(\d+)\}\Z")
UNIT = re.compile(r"(-?[\d.,\\!{}a-z^]*?)\s*\\?[,;]?\s*\\(?:text|mbox)\s*\{\s*([a-z. ]+?)\s*\}(\^\d)?\Z")
WORD = re.compile(r"\\text\{([A-Za-z() ]+)\}\Z")
INTERVAL = re.compile(r"([(\[])\s*([^,()\[\]]+),\s*([^,()\[\]]+?)\s*([)\]])\Z")
TERMS = re.compile(r"(?<![\^{(,*])\s*(?=[+-])")


def decimal(value: Fraction) -> str | None:
    """The decimal of a fraction, where it ends within six places."""
    for places in range(1, 7):
        scaled = value * 10**places
        if scaled.denominator == 1:
            sign, digits = "-" if scaled < 0 else "", str(abs(scaled.numerator)).rjust(places + 1, "0")
            return f"{sign}{digits[:-places]}.{digits[-places:]}"
    return None


def top_level(text: str) -> list[str]:
    """The parts between commas outside brackets."""
    parts, depth = [""], 0
    for mark in text:
        depth += (mark in "([{") - (mark in ")]}")
        if mark == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts]


def numbers(gold: str) -> Iterator[Case]:
    if INTEGER.match(gold):
        value = int(gold)
        yield "decimal", f"{value}.0"
        yield "decimal", f"{value}.00"
        yield "fraction", rf"\frac{{{value * 3}}}{{3}}"
        yield "unit added", rf"{value}\text{{ cm}}"
        yield "unit added", f"{value} cm"
        yield "unit added", rf"{value}\text{{ square units}}"
        yield "dollar", rf"\${value}" if value >= 0 else rf"-\${-value}"
        yield "percent", rf"{value}\%"
        yield "name", f"x={value}"
        yield "name", f"n = {value}"
        if abs(value) >= 1000:
            yield "thousands", f"{value:,}"
            yield "thousands", f"{value:,}".replace(",", r"{,}")
            yield "thousands", f"{value:,}".replace(",", r",\!")
    found = FRAC.match(gold)
    if found:
        sign, top, bottom = found.groups()
        value = (
            Fraction(int(sign + top), int(bottom))
            if not (sign and top.startswith("-"))
            else -Fraction(int(top), int(bottom))
        )
        yield "fraction", f"{value.numerator}/{value.denominator}"
        yield "fraction", rf"{sign}\dfrac{{{top}}}{{{bottom}}}"
        yield "fraction", rf"{sign}\tfrac{{{top}}}{{{bottom}}}"
        yield "fraction", rf"\frac{{{2 * value.numerator}}}{{{2 * value.denominator}}}"
        yield "unit added", rf"{gold}\text{{ inches}}"
        yield "name", f"x = {gold}"
        if len(top) == len(bottom) == 1:
            yield "fraction", rf"{sign}\frac{top}{bottom}"
            yield "fraction", rf"{sign}\frac {top}{bottom}"
        ends = decimal(value)
        if ends:
            yield "decimal", ends
        whole, rest = divmod(abs(value.numerator), value.denominator)
        if whole and rest and value > 0:
            yield "mixed number", rf"{whole}\frac{{{rest}}}{{{value.denominator}}}"
            yield "mixed number", f"{whole} {rest}/{value.denominator}"
    if re.fullmatch(r"-?\d*\.\d+", gold):
        value = Fraction(gold)
        yield "decimal", gold + "0"
        yield "fraction", rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        yield "fraction", f"{value.numerator}/{value.denominator}"
        if gold.startswith("0."):
            yield "decimal", gold[1:]
    found = MIXED.match(gold)
    if found:
        whole, top, bottom = map(int, found.groups())
        value = whole + Fraction(top, bottom)
        yield "mixed number", rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        yield "mixed number", f"{whole} {top}/{bottom}"
        ends = decimal(value)
        if ends:
            yield "decimal", ends


def units(gold: str) -> Iterator[Case]:
    found = UNIT.match(gold)
    if found and found.group(1).strip() and "and" not in found.group(2):
        number, unit, power = found.groups()
        yield "unit dropped", number
        yield "unit spelled", f"{number} {unit}{power or ''}"
        yield "unit spelled", rf"{number}\,\mathrm{{{unit}}}{power or ''}"
    if re.search(r"\^\{?\\circ\}?\Z", gold) and "\\cos" not in gold and "," not in gold:
        bare = re.sub(r"\^\{?\\circ\}?\Z", "", gold)
        yield "degrees", bare
        yield "degrees", rf"{bare}^{{\circ}}"
        yield "degrees", rf"{bare}\text{{ degrees}}"
        yield "degrees", f"{bare} degrees"
        yield "degrees", f"{bare}°"
    if gold.endswith("\\%"):
        yield "percent", gold[:-2]
        yield "percent", gold[:-2] + "%"
        yield "percent", gold[:-2] + r"\text{ percent}"


def wholes(gold: str) -> Iterator[Case]:
    """Lists, sets, tuples, intervals, unions, matrices."""
    parts = top_level(gold)
    if gold.startswith(r"\$"):  # its comma groups digits
        parts = [gold]
    if (
        len(parts) > 1
        and "and" not in gold
        and not re.search(r",\\?[!,]|\\,", gold)
        and not re.fullmatch(r"[-\d,\\! .]+", gold.replace(r"\!", ""))
        or re.fullmatch(r"-?\d{1,2}(,\s*-?\d{1,2})+", gold)
    ):
        yield "order of a list", ", ".join(reversed(parts))
        yield "list as set", rf"\{{{', '.join(parts)}\}}"
        yield "list with words", r" \text{ and } ".join(parts)
        yield "list with words", ", ".join(parts[:-1]) + " and " + parts[-1]
        if r"\text" not in gold:
            yield "list with words", " or ".join(f"x = {part}" for part in parts)
    inner = re.sub(r"(?<![\w}^{])(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}(?![\w\\ ])", r"\1\2/\3", gold)
    if inner != gold and "," in gold:
        yield "fraction inside", inner
    if gold[:1] in "([" and gold[-1:] in ")]" and "," in gold:
        yield "left right", rf"\left{gold[:-1]}\right{gold[-1]}"
        yield "left right", rf"\bigl{gold[:-1]} \bigr{gold[-1]}"
    found = INTERVAL.match(gold)
    if found and (found.group(1) + found.group(4) != "()" or "infty" in gold):
        opening, low, high, closing = found.groups()
        yield "interval", rf"x \in {gold}"
        less, least = r"\le" if opening == "[" else "<", r"\leq" if closing == "]" else "<"
        if low.strip() == r"-\infty":
            yield "interval", rf"x {least} {high}"
        elif high.strip() == r"\infty":
            yield "interval", rf"x {'>' if less == '<' else chr(92) + 'ge'} {low}"
        else:
            yield "interval", rf"{low} {less} x {least} {high}"
    if r"\cup" in gold:
        pieces = [piece.strip() for piece in gold.split(r"\cup")]
        yield "order of a union", r" \cup ".join(reversed(pieces))
        yield "interval", rf"x \in {gold}"
    if "pmatrix" in gold:
        yield "matrix", gold.replace("pmatrix", "bmatrix")
        yield "matrix", re.sub(r"(?<![\w}])(-?)(\d+)/(\d+)", r"\1\\frac{\2}{\3}", gold)
        if "&" not in gold:
            cells = re.sub(r"\\(begin|end)\{pmatrix\}", "", gold).split(r"\\")
            yield "vector as tuple", f"({', '.join(cell.strip() for cell in cells)})"
    if r"\pm" in gold and "," not in gold:
        yield "plus or minus", ", ".join(gold.replace(r"\pm", sign) for sign in "+-")


def terms(gold: str) -> Iterator[Case]:
    """Roots, pi, products, sums, names."""
    if re.fullmatch(r"(-?)\\frac\{\\pi\}\{(\d+)\}", gold):
        yield "pi", re.sub(r"\\frac\{\\pi\}\{(\d+)\}", r"\\pi/\1", gold)
        yield "pi", re.sub(r"\\frac\{\\pi\}\{(\d+)\}", r"\\frac{1}{\1}\\pi", gold)
    found = re.fullmatch(r"\\frac\{(\d+)\s*\\pi\}\{(\d+)\}", gold)
    if found:
        yield "pi", rf"\frac{{{found.group(1)}}}{{{found.group(2)}}}\pi"
        yield "pi", rf"{found.group(1)}\pi/{found.group(2)}"
    if re.fullmatch(r"\d+\s*\\pi", gold):
        yield "pi", gold.replace(r"\pi", r" \cdot \pi")
        yield "pi", gold.replace(r"\pi", "π")
    found = re.fullmatch(r"(\d+)\s*\\sqrt\{(\d+)\}", gold)
    if found:
        k, n = map(int, found.groups())
        yield "root", rf"\sqrt{{{k * k * n}}}"
        yield "root", rf"{k}*sqrt({n})"
        yield "root", rf"\sqrt{{{n}}} \cdot {k}"
    found = re.fullmatch(r"\\frac\{(\d*)\s*\\sqrt\{(\d+)\}\}\{(\d+)\}", gold)
    if found:
        k, n, d = int(found.group(1) or 1), int(found.group(2)), int(found.group(3))
        yield "root", rf"\frac{{{k * n}}}{{{d}\sqrt{{{n}}}}}"
        yield "root", rf"\frac{{{k}}}{{{d}}}\sqrt{{{n}}}"
        yield "root", f"{k}sqrt({n})/{d}"
    single = re.sub(r"\\sqrt\{(\d)\}", r"\\sqrt\1", gold)
    if single != gold:
        yield "root", single
    if re.fullmatch(r"[-+\d a-z^{}]+", gold) and re.search("[a-z]", gold):
        pieces = [piece.strip() for piece in TERMS.split(gold) if piece.strip()]
        if len(pieces) > 1 and all(piece not in "+-" for piece in pieces):
            turned = [piece if piece[0] in "+-" else "+" + piece for piece in reversed(pieces)]
            yield "order of a sum", "".join(turned).removeprefix("+")
        yield "spaces", re.sub(r"([+-])", r" \1 ", gold)
        braced = re.sub(r"\^(\d)", r"^{\1}", gold)
        if braced != gold:
            yield "braces", braced
    found = re.fullmatch(r"([a-z]) ?= ?(.*)", gold)
    if found and "=" not in found.group(2):
        yield "name dropped", found.group(2)
    found = WORD.match(gold)
    if found:
        yield "words", found.group(1)
        yield "words", rf"\textbf{{{found.group(1)}}}"
        yield "words", rf"\mathrm{{{found.group(1)}}}"
        if len(found.group(1).strip("()")) > 1:
            yield "words", found.group(1).lower()
        elif "(" not in found.group(1):
            yield "words", f"({found.group(1)})"


def dress(gold: str) -> Iterator[Case]:
    """What stands around any answer."""
    yield "wrapped", f"${gold}$"
    yield "wrapped", rf"\({gold}\)"
    yield "spaces", f" {gold} ".replace(",", ", ") if "!" not in gold and not re.search(r"\d,\d{3}|\{,", gold) else gold
    if r"\frac{" in gold:
        yield "dfrac", gold.replace(r"\frac{", r"\dfrac{")
        yield "dfrac", gold.replace(r"\frac{", r"\tfrac{")


def rewrites(gold: str) -> list[Case]:
    """All equal spellings that the rules give, each once."""
    made = [case for rule in (numbers, units, wholes, terms, dress) for case in rule(gold)]
    return list({text: (kind, text) for kind, text in reversed(made) if text != gold}.values())


def damages(gold: str) -> list[Case]:
    """Spellings that are surely wrong: another sign, one number changed, two numbers of a tuple exchanged."""
    made: list[Case] = []
    digits = re.search(r"\d+", gold)
    if digits:
        more = str(int(digits.group()) + 1)
        made.append(("a number more", gold[: digits.start()] + more + gold[digits.end() :]))
    if re.fullmatch(r"-?[\d.]*[1-9][\d.]*|\\frac\{\d+\}\{\d+\}|\d*\\sqrt\{\d+\}|\d*\\pi", gold):
        made.append(("sign", gold[1:] if gold.startswith("-") else "-" + gold))
    found = re.fullmatch(r"\(([-\d]+), ?([-\d]+)\)", gold)
    if found and found.group(1) != found.group(2):
        made.append(("exchanged", f"({found.group(2)},{found.group(1)})"))
    return made
