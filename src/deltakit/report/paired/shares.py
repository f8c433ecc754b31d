"""Right against wrong: what discordant pairs say about two models."""

from __future__ import annotations

import math

from deltakit.grade.interval import Z, wilson

__all__ = ["POWER", "Z_POWER", "mcnemar", "minimal_difference", "newcombe"]

POWER = 0.8
Z_POWER = 0.8416212335729143  # Phi^-1(0.8)


def mcnemar(lost: int, gained: int) -> tuple[float, float]:
    """Two-sided p-values from the discordant pairs: exact (binomial, p = 1/2) and mid-p.

    The exact test never rejects more often than it says and so often less; mid-p takes half of the observed table's
    probability off (Fagerland, Lydersen, Laake, BMC Med. Res. Methodol. 13:91, 2013). No discordant pair: both 1.
    """
    from scipy.stats import binom

    n = lost + gained
    if n == 0:
        return 1.0, 1.0
    here = float(binom.pmf(lost, n, 0.5))
    if lost == gained:
        return 1.0, 1.0 - here / 2
    exact = min(1.0, 2 * float(binom.cdf(min(lost, gained), n, 0.5)))
    return exact, exact - here


def newcombe(both: int, lost: int, gained: int, neither: int) -> tuple[float, float]:
    """95 % interval of share(second) - share(first) on the same items.

    Newcombe's hybrid score interval for paired shares, his method 10 (Statist. Med. 17, 1998, 2635-2650): Wilson's
    intervals of both shares, squared and added with the shares' correlation phi. `lost`: only the first is right.
    """
    n = both + lost + gained + neither
    first, second = (both + lost) / n, (both + gained) / n
    (l1, u1), (l2, u2) = wilson(both + lost, n), wilson(both + gained, n)
    phi, delta = _phi(both, lost, gained, neither), second - first
    down = math.sqrt(max(0.0, (second - l2) ** 2 - 2 * phi * (second - l2) * (u1 - first) + (u1 - first) ** 2))
    up = math.sqrt(max(0.0, (u2 - second) ** 2 - 2 * phi * (u2 - second) * (first - l1) + (first - l1) ** 2))
    return delta - down, delta + up


def _phi(both: int, lost: int, gained: int, neither: int) -> float:
    """The correlation, with Newcombe's continuity correction where it is positive; 0 where a margin is empty."""
    margins = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if margins == 0:
        return 0.0
    cross, n = both * neither - lost * gained, both + lost + gained + neither
    return (max(cross - n / 2, 0.0) if cross > 0 else cross) / math.sqrt(margins)


def minimal_difference(discordant: float, n: int) -> float | None:
    """The smallest true difference of shares that McNemar's test at 5 % finds with 80 % power.

    Connor (Biometrics 43, 1987): d sqrt(n) = z sqrt(psi) + z_power sqrt(psi - d^2) with psi the share of discordant
    pairs, as observed, but at least d (a difference needs that many). None where no difference is large enough.
    """
    from scipy.optimize import brentq

    def short(d: float) -> float:
        psi = max(discordant, d)
        return Z * math.sqrt(psi) + Z_POWER * math.sqrt(psi - d * d) - d * math.sqrt(n)

    return None if short(1.0) > 0 else float(brentq(short, 1e-12, 1.0))
