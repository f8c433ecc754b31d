r"""Expressions as trees: a small reader of the LaTeX (and plain text) in which answers are written.

It reads numbers, letters, \pi, + - * / ^ !, juxtaposition, fractions, mixed numbers, roots, binomials, absolute values,
degrees, and the usual functions. What it does not know it refuses (`Unread`), so nothing is misread in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["DEEPEST", "FUNCTIONS", "LONGEST", "Call", "Number", "Symbol", "Term", "Unread", "read_term"]

DEEPEST = 60  # levels of brackets
LONGEST = 1000  # characters of an expression
FUNCTIONS = frozenset(
    ("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp")
)  # of one argument; a logarithm may have a base
_TOKENS = re.compile(r"\d+(?:\.\d+)?|\.\d+|\\[a-zA-Z]+|\\[{}|]|[^\s]", re.ASCII)
_PLAIN = re.compile(rf"(?<![\\a-zA-Z])({'|'.join(sorted(FUNCTIONS, key=len, reverse=True))}|sqrt|pi)(?![a-zA-Z])")
_DIGITS = frozenset("0123456789")
_CLOSERS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}


def _numeric(token: str) -> bool:
    return token[:1] in _DIGITS if token[:1] != "." else token[1:2] in _DIGITS


class Unread(ValueError):
    """The text is no expression that this reader knows."""


@dataclass(frozen=True)
class Number:
    """An exact number as written."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    r"""A letter (with its subscript), or a constant such as \pi and \infty."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operation or function applied to terms: "+", "*", "/", "^", "neg", "sqrt", "sin", ..."""

    name: str
    args: tuple[Term, ...]


Term = Number | Symbol | Call


class _Reader:
    """A recursive descent over tokens; each method reads one kind of phrase."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKENS.findall(_PLAIN.sub(r"\\\1 ", text))
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            raise Unread(f"{token or 'the end'} where {wanted or 'more'} was expected")
        self.at += 1
        return token

    def whole(self) -> Term:
        term = self.sum()
        if self.next:
            raise Unread(f"{self.next} after the expression")
        return term

    def sum(self) -> Term:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unread("brackets too deep")
        term = self.product()
        while self.next in ("+", "-"):
            sign = self.take()
            other = self.product()
            term = Call("+", (term, other if sign == "+" else Call("neg", (other,))))
        self.depth -= 1
        return term

    def product(self) -> Term:
        if self.next in ("+", "-"):
            return self.product() if self.take() == "+" else Call("neg", (self.product(),))
        term = self.power()
        while True:
            if self.next in ("*", "/"):
                term = Call(self.take(), (term, self.signed()))
            elif self._begins():
                term = Call("*", (term, self.power()))
            else:
                return term

    def signed(self) -> Term:
        if self.next in ("+", "-"):
            return self.signed() if self.take() == "+" else Call("neg", (self.signed(),))
        return self.power()

    def _begins(self) -> bool:
        """May a factor stand here without a sign of multiplication? A number only after something that is none."""
        token = self.next
        if not token:
            return False
        if _numeric(token):
            return self.tokens[self.at - 1][-1] not in _DIGITS
        if token == "|":
            return self.depth == 1
        return token.isalpha() or token in _CLOSERS or (token[0] == "\\" and token not in (r"\}", r"\|", r"\circ"))

    def power(self) -> Term:
        base = self.atom()
        while self.next in ("^", "!"):
            if self.take() == "!":
                base = Call("!", (base,))
            elif self.next == r"\circ":
                self.take()
                base = Call("deg", (base,))
            else:
                base = Call("^", (base, self.exponent()))
        return base

    def exponent(self) -> Term:
        if self.next == "-":  # 2^-3, as plain text has it
            self.take()
            return Call("neg", (self.exponent(),))
        return self.group() if self.next == "{" else self.single()

    def group(self) -> Term:
        opening = self.take()
        term = self.sum()
        self.take(_CLOSERS[opening])
        return term

    def argument(self) -> Term:
        r"""What LaTeX takes as an argument: a group, or one digit, letter or command."""
        if self.next == "{":
            return self.group()
        token = self.take()
        if _numeric(token) and token[0] != "." and len(token) > 1:
            self.at -= 1
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
            token = self.take()
        self.at -= 1
        return self.single()

    def single(self) -> Term:
        """One number, letter or command, read alone: no mixed number begins here."""
        if _numeric(self.next):
            return Number(Fraction(self.take()))
        return self.atom()

    def atom(self) -> Term:
        token = self.next
        if token in _CLOSERS:
            return self.group()
        if token == "|":
            self.take()
            term = self.sum()
            self.take("|")
            return Call("abs", (term,))
        self.take()
        if _numeric(token):
            return self.mixed(Fraction(token))
        if token.isalpha() and token.isascii():
            return Symbol(token + self.subscript())
        if token[0] == "\\":
            return self.command(token[1:])
        raise Unread(f"{token} begins no expression")

    def mixed(self, whole: Fraction) -> Term:
        r"""A number, or where a fraction of two whole numbers follows ("3\frac{1}{8}", "3 1/8"), their sum."""
        before = self.at
        if whole.denominator == 1 and self.next == r"\frac":
            part = self.command(self.take()[1:])
            if isinstance(part, Call) and all(isinstance(a, Number) and a.value.denominator == 1 for a in part.args):
                return Call("+", (Number(whole), part))
            self.at = before
        after = self.tokens[self.at : self.at + 3]
        if whole.denominator == 1 and len(after) == 3 and after[1] == "/" and set(after[0] + after[2]) <= _DIGITS:
            self.at += 3
            if int(after[2]):
                return Number(whole + Fraction(int(after[0]), int(after[2])))
        return Number(whole)

    def subscript(self) -> str:
        if self.next != "_":
            return ""
        self.take()
        if self.next != "{":
            return "_" + self.take()
        end = self.tokens.index("}", self.at) if "}" in self.tokens[self.at :] else len(self.tokens)
        name = "".join(self.tokens[self.at + 1 : end])
        self.at = end
        self.take("}")
        return "_" + name

    def command(self, name: str) -> Term:
        if name == "frac":
            return Call("/", (self.argument(), self.argument()))
        if name in ("binom", "dbinom", "tbinom"):
            return Call("binom", (self.argument(), self.argument()))
        if name == "sqrt":
            if self.next == "[":
                degree = self.group()
                return Call("^", (self.argument(), Call("/", (Number(Fraction(1)), degree))))
            return Call("sqrt", (self.group() if self.next == "(" else self.argument(),))
        if name in FUNCTIONS:
            return self.function(name)
        if name in ("pi", "infty", "theta", "alpha", "beta", "gamma", "phi", "omega", "lambda", "mu", "sigma", "rho"):
            return Symbol("\\" + name + self.subscript())
        raise Unread(f"\\{name} is not known")

    def function(self, name: str) -> Term:
        r"""\sin x, \sin(x), \sin^2 x, \log_2 8: without brackets the argument is a product up to the next sign."""
        base = self.base() if name == "log" else None
        power = None
        if self.next == "^":
            self.take()
            power = self.exponent()
        if self.next in ("(", "{"):
            argument = self.group()
        else:
            argument = self.power()
            while self._begins() and self.next[1:] not in FUNCTIONS:
                argument = Call("*", (argument, self.power()))
        inverse = power == Call("neg", (Number(Fraction(1)),))
        if inverse and name in ("sin", "cos", "tan"):
            return Call("arc" + name, (argument,))
        made = Call(name, (argument,) if base is None else (argument, base))
        return made if power is None else Call("^", (made, power))

    def base(self) -> Term | None:
        if self.next != "_":
            return None
        self.take()
        return self.argument()


def read_term(text: str) -> Term:
    """The tree of an expression; Unread where the text is none or holds something unknown."""
    if len(text) > LONGEST:
        raise Unread("too long")
    return _Reader(text).whole()
