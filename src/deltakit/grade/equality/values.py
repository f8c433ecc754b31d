"""What expressions are worth: exactly where they are rational, else to 60 digits, at a few fixed points.

Two expressions that differ at a point are different; two that agree at all points are taken for equal. Rational ones
are compared exactly (2^2005 is not 2^2005 + 1). Letters are given real values of both signs; a point at which a root or
logarithm of something negative depends on a letter says nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from deltakit.grade.equality.terms import Call, Number, Symbol, Term

__all__ = ["DIGITS", "POINTS", "proportional", "same_value", "symbols"]

DIGITS = 60  # decimal digits of irrational values
POINTS = 9  # values tried for each letter; a third of them negative, a third up to 40
LARGEST = 1 << 16  # bits of an exact number; powers and factorials beyond are not computed
STEEPEST = 64  # bits before the point of a function's argument
_AGREE, _APART = 40, 25  # digits that must agree for equal; fewer than that many for different
CONSTANTS = frozenset({"i", "e", r"\pi"})


class _Unknown(ArithmeticError):
    """The expression has no usable value at this point."""


@lru_cache(maxsize=1)
def _mp() -> Any:
    import mpmath

    made = mpmath.mp.clone()
    made.dps = DIGITS
    return made


def symbols(term: Term) -> frozenset[str]:
    """The letters of a term that are no constants."""
    if isinstance(term, Symbol):
        return frozenset() if term.name in CONSTANTS else frozenset({term.name})
    return frozenset().union(*(symbols(a) for a in term.args)) if isinstance(term, Call) else frozenset()


def _point(name: str, index: int) -> Fraction:
    """The value of a letter at a point: a fixed fraction from 1 to 4, or to 40, of either sign, other for each name."""
    size = 1 + Fraction(zlib.crc32(f"{name}/{index}".encode()) % 303, 101) * (13 if index % 3 == 2 else 1)
    return -size if index % 3 == 1 else size


def _mpf(value: Any) -> Any:
    mp = _mp()
    return mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def _power(base: Any, exponent: Any, free: bool) -> Any:
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        return _whole_power(base, int(exponent))
    if base == 0:
        if isinstance(exponent, Fraction) and exponent > 0:
            return Fraction(0)
        raise _Unknown
    negative = _mp().im(_mpf(base)) == 0 and _mp().re(_mpf(base)) < 0
    if negative and isinstance(exponent, Fraction) and exponent.denominator % 2:
        return _sign(exponent) * _power(-base, exponent, free)  # a real odd root
    if negative and free:
        raise _Unknown
    if abs(_mpf(exponent)) > 10**5:
        raise _Unknown
    if exponent == Fraction(1, 2) and isinstance(base, Fraction) and base > 0:
        top, bottom = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if top * top == base.numerator and bottom * bottom == base.denominator:
            return Fraction(top, bottom)
    return _mp().power(_mpf(base), _mpf(exponent))


def _sign(exponent: Fraction) -> int:
    return -1 if exponent.numerator % 2 else 1


def _whole_power(base: Any, exponent: int) -> Any:
    if isinstance(base, Fraction):
        if base == 0 and exponent <= 0:
            raise _Unknown
        if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent) > LARGEST:
            if abs(base) == 1:
                return base ** (exponent % 2)
            raise _Unknown
        return base**exponent
    if abs(exponent) > 10**5:
        raise _Unknown
    return _mp().power(base, exponent)


def _divided(top: Any, bottom: Any) -> Any:
    if bottom == 0:
        raise _Unknown
    if isinstance(top, Fraction) and isinstance(bottom, Fraction):
        return top / bottom
    return _mpf(top) / _mpf(bottom)


def _factorial(value: Any, other: Any = None) -> Any:
    """n!, or with `other` the binomial coefficient n over k."""
    for number in (value, other):
        if number is not None and not (
            isinstance(number, Fraction) and number.denominator == 1 and 0 <= number <= 2500
        ):
            raise _Unknown
    return Fraction(math.factorial(int(value)) if other is None else math.comb(int(value), int(other)))


def _logarithm(value: Any, base: Any) -> Any:
    if value == 0 or (_mp().im(_mpf(value)) == 0 and _mp().re(_mpf(value)) < 0):
        raise _Unknown
    bottom = _mp().log(_mpf(base)) if base is not None else _mp().log(10)
    return _divided(_mp().log(_mpf(value)), bottom)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b if type(a) is type(b) else _mpf(a) + _mpf(b),
    "*": lambda a, b: a * b if type(a) is type(b) else _mpf(a) * _mpf(b),
    "/": _divided,
    "binom": _factorial,
}


def _applied(name: str, args: list[Any], free: bool) -> Any:
    if name in _ARITHMETIC:
        made = _ARITHMETIC[name](args[0], args[1])
        if isinstance(made, Fraction) and max(made.numerator.bit_length(), made.denominator.bit_length()) > 2 * LARGEST:
            raise _Unknown
        return made
    if name == "^":
        return _power(args[0], args[1], free)
    if name == "neg":
        return -args[0]
    if name == "sqrt":
        return _power(args[0], Fraction(1, 2), free)
    if name == "!":
        return _factorial(args[0])
    if name == "abs":
        return abs(args[0])
    if name == "deg":
        return _mpf(args[0]) * _mp().pi / 180
    if name == "log":
        return _logarithm(args[0], args[1] if len(args) > 1 else None)
    if args[0] and _mp().mag(_mpf(args[0])) > STEEPEST:
        raise _Unknown  # sine and exponential of towers would take for ever
    function = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}.get(name, name)
    return getattr(_mp(), function)(_mpf(args[0]))


def _worth(term: Term, index: int) -> tuple[Any, bool]:
    """The value at a point, and whether a letter is in it."""
    if isinstance(term, Number):
        return term.value, False
    if isinstance(term, Symbol):
        constants = {"i": lambda: _mp().j, "e": lambda: +_mp().e, r"\pi": lambda: +_mp().pi}
        if term.name in constants:
            return constants[term.name](), False
        return _point(term.name, index), True
    parts = [_worth(a, index) for a in term.args]
    free = any(f for _, f in parts)
    return _applied(term.name, [value for value, _ in parts], free), free


def _value(term: Term, index: int) -> Any:
    """The value at a point, or None where it has no usable one."""
    try:
        value, _ = _worth(term, index)
        return value if isinstance(value, Fraction) or _mp().isfinite(value) else None
    except (ArithmeticError, ValueError, TypeError, NotImplementedError):
        return None


def _differ(one: Any, other: Any) -> bool | None:
    """True: certainly; False: exactly equal, or to the digits kept; None: too near to tell."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one != other
    one, other = _mpf(one), _mpf(other)
    mp = _mp()
    apart = mp.fabs(one - other)
    scale = max(mp.fabs(one), mp.fabs(other), mp.mpf(1))
    if apart <= scale * mp.mpf(10) ** -_AGREE:
        return False
    return True if apart > scale * mp.mpf(10) ** -_APART else None


def _points(*terms: Term) -> Iterator[list[Any]]:
    """The values of all terms at each point at which all have one; one point is enough where there are no letters."""
    free = any(symbols(term) for term in terms)
    for index in range(POINTS if free else 1):
        values = [_value(term, index) for term in terms]
        if all(v is not None for v in values):
            yield values


def _settled(verdicts: list[bool | None], needed: int) -> bool | None:
    """Same (True), different (False), or not to be told (None), from one `_differ` a point."""
    if any(verdicts):
        return False
    return True if len(verdicts) >= needed and None not in verdicts else None


def same_value(one: Term, other: Term) -> bool | None:
    """Are two expressions equal wherever both have a value? None: this cannot tell."""
    if isinstance(one, Number) and isinstance(other, Number):
        return one.value == other.value
    verdicts = [_differ(a, b) for a, b in _points(one, other)]
    return _settled(verdicts, 2 if symbols(one) | symbols(other) else 1)


def proportional(one: Term, other: Term) -> bool | None:
    """Are two expressions equal but for a constant factor other than zero (so that their zeros are the same)?"""
    factors = [_divided(a, b) if b and a else None for a, b in _points(one, other)]
    if None in factors:
        return False if any(f is not None for f in factors) else None
    return _settled([_differ(factors[0], f) for f in factors[1:]], 1) if factors else None
