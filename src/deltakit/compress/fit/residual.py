"""The spectrum of what signs leave behind, from the spectrum of the delta, without another decomposition.

For nearly Gaussian elements a * sign(x) = (1 - e) x + noise that is not correlated with x (Bussgang), where e is the
share of energy that signs lose. So they leave e * x and white noise of energy e (1 - e): a spiked matrix. A singular
value s of the signal in noise of variance v (m x n) shows as (s² + v m)(s² + v n) / s² if s⁴ > v² m n, and is lost in
the noise's own spectrum (Marchenko and Pastur) if not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltakit.compress.offer import Study

__all__ = ["noise_spectrum", "residual_spectrum"]

Float64 = NDArray[np.float64]


def residual_spectrum(study: Study) -> Float64:
    """Squared singular values, descending, in units of `study.energy`, of the delta less its best scaled signs. Where
    the delta has a strong spectrum the estimate is high (by two fifths at 0.9 of the energy); with a Hessian it is
    measured, by a decomposition."""
    rows = study.rows
    if study.hessian is not None:
        signs = np.where(rows > 0, np.float32(1), np.float32(-1)) * np.float32(np.abs(rows).mean() if rows.size else 0)
        return Study(study.spec, rows - signs, study.hessian).spectrum
    energy, count = study.energy, min(rows.shape)
    if not count or not energy > 0:
        return np.zeros(count)
    lost = 1.0 - float(np.abs(rows).sum(dtype=np.float64)) ** 2 / rows.size / energy
    left, variance = lost * energy, lost * (1.0 - lost) * energy / rows.size
    signal = lost**2 * study.spectrum[:count]
    signal = signal[signal > variance * np.sqrt(rows.size)]
    seen = (signal + variance * rows.shape[0]) * (signal + variance * rows.shape[1]) / np.maximum(signal, 1e-300)
    bulk = noise_spectrum(*rows.shape)[: count - len(seen)]
    rest = max(0.0, left - float(seen.sum()))
    return np.concatenate([seen, bulk * (rest / bulk.sum() if len(bulk) else 0.0)])


def noise_spectrum(rows: int, columns: int) -> Float64:
    """The expected squared singular values of Gaussian noise of variance 1, descending: quantiles of the law of
    Marchenko and Pastur."""
    count = min(rows, columns)
    low, high = (np.sqrt(rows) - np.sqrt(columns)) ** 2, (np.sqrt(rows) + np.sqrt(columns)) ** 2
    edges = (low + high) / 2 + (high - low) / 2 * np.cos(np.linspace(0, np.pi, 4097))
    x = (edges[1:] + edges[:-1]) / 2
    mass = np.sqrt(np.maximum((high - x) * (x - low), 0)) / np.maximum(x, 1e-300) * (edges[:-1] - edges[1:])
    below = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(np.interp((np.arange(count) + 0.5) / max(1, count) * below[-1], below, edges))
