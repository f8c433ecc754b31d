"""Terms in memory, as tensors on the device: what a bank holds once, however many tenants use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deltakit.delta.terms.lowrank import LowRank
from deltakit.delta.terms.matrix import matrix_shape
from deltakit.delta.terms.sign import Sign
from deltakit.errors import MismatchError

if TYPE_CHECKING:
    from deltakit.delta.terms.base import Term

__all__ = ["Differences", "Factors", "Held", "PackedFactors", "PackedTerm", "Signs", "resident"]


_FEW = 64  # tokens up to which signs are looked up, packed, and not unpacked and multiplied
_LARGE = 1 << 12  # elements from which that is worth a compiled loop


class Held(ABC):
    """One summand of a tensor's change. `shape` is the tensor's; products and rows are for tensors of two dimensions,
    in the dtype that the model computes in."""

    shape: tuple[int, ...]

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that it takes while it is held; what is unpacked for one product is not among them."""

    @abstractmethod
    def dense(self) -> torch.Tensor:
        """The change, element by element, in `shape`."""

    @property
    def rank(self) -> int:
        """How many factors it has; 0 for what is not factored."""
        return 0

    def times(self, x: torch.Tensor, flipped: bool = False) -> torch.Tensor:
        """x (..., columns) @ Δᵀ, giving (..., rows); flipped: x (..., rows) @ Δ, giving (..., columns)."""
        whole = self.dense()
        return x @ (whole if flipped else whole.T)

    def gather(self, ids: torch.Tensor) -> torch.Tensor:
        """Single rows, (len(ids), columns)."""
        return self.dense()[ids]

    @property
    def scales(self) -> torch.Tensor | None:
        """What may be trained while all else stays: singular values, the scales of signs. None: nothing."""
        return None

    def stored(self) -> Term:
        """The term as a delta file holds it, with the scales as they now are."""
        raise MismatchError("this term has no scales of its own", remedy="write the delta's own term")


class Factors(Held):
    """U diag(s) Vᵀ as floats: `ut` (rank, rows), `vt` (rank, columns), `s` (rank,). A stack, whose owner is named, may
    own the memory."""

    owner: object = None

    def __init__(self, term: LowRank, dtype: torch.dtype, device: str) -> None:
        u, s, v = term.factors()
        self.shape, self.term = term.spec.shape, term
        self.ut, self.vt = (torch.from_numpy(side.T.copy()).to(device, dtype) for side in (u, v))
        self.s = torch.from_numpy(np.array(s, np.float32)).to(device, dtype)

    @property
    def rank(self) -> int:
        return len(self.s)

    @property
    def nbytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.ut, self.vt, self.s))

    def dense(self) -> torch.Tensor:
        return ((self.ut.T * self.s) @ self.vt).reshape(self.shape)

    def times(self, x: torch.Tensor, flipped: bool = False) -> torch.Tensor:
        shrink, expand = (self.ut, self.vt) if flipped else (self.vt, self.ut)
        return ((x @ shrink.T) * self.s) @ expand

    def gather(self, ids: torch.Tensor) -> torch.Tensor:
        return (self.ut[:, ids].T * self.s) @ self.vt

    @property
    def scales(self) -> torch.Tensor:
        return self.s

    def stored(self) -> Term:
        return self.term.with_scales(_numpy(self.s))


class PackedFactors(Factors):
    """The same, held as the codes of the file and unpacked for every product."""

    def __init__(self, term: LowRank, dtype: torch.dtype, device: str) -> None:
        self.shape, self.term, self._as = term.spec.shape, term, (device, dtype)
        self.s = torch.from_numpy(np.array(term.s, np.float32)).to(device, dtype)

    @property
    def nbytes(self) -> int:
        return self.term.nbytes

    @property
    def ut(self) -> torch.Tensor:  # type: ignore[override]
        return self._side(0)

    @property
    def vt(self) -> torch.Tensor:  # type: ignore[override]
        return self._side(2)

    def _side(self, which: int) -> torch.Tensor:
        return torch.from_numpy(self.term.factors()[which]).to(*self._as).T


class Signs(Held):
    """scale * sign: signs and mask packed as in the file, the scales a tensor."""

    def __init__(self, term: Sign, dtype: torch.dtype, device: str) -> None:
        self.shape, self.term, self._as = term.spec.shape, term, (device, dtype)
        self._bare = replace(term, scales=np.ones_like(term.scales))
        self._scales = torch.from_numpy(np.array(term.scales, np.float32)).to(device, dtype)

    @property
    def nbytes(self) -> int:
        return self.term.nbytes

    def dense(self) -> torch.Tensor:
        signs = torch.from_numpy(self._bare.rows(0, self._bare.spec.rows)).to(*self._as)
        return (signs.reshape(-1, self.shape[-1]) * self._scales).reshape(self.shape)

    def times(self, x: torch.Tensor, flipped: bool = False) -> torch.Tensor:
        rows, columns = self.shape if len(self.shape) == 2 else (0, 1)
        tokens = x.shape[:-1].numel()
        trained = torch.is_grad_enabled() and (x.requires_grad or self._scales.requires_grad)
        whole = self.term.mask is None and columns % 8 == 0
        pays = tokens <= _FEW and rows * columns >= _LARGE
        if flipped or trained or not whole or not pays or x.dtype != torch.float32 or x.device.type != "cpu":
            return super().times(x, flipped)
        from deltakit.tenants.kernels.signs import signed_sums

        scales, out = self._scales, np.empty((tokens, rows), np.float32)
        scaled = x * scales[0] if self.term.axis == "column" else x
        packed = np.frombuffer(self.term.signs, np.uint8).reshape(rows, columns // 8)
        signed_sums(out, scaled.reshape(tokens, columns).contiguous().numpy(), packed)
        made = torch.from_numpy(out).reshape(*x.shape[:-1], rows)
        return made if self.term.axis == "column" else made * scales.reshape(-1)

    def gather(self, ids: torch.Tensor) -> torch.Tensor:
        signs = torch.from_numpy(self._bare.gather(ids.cpu().numpy())).to(*self._as)
        return signs * (self._scales[ids] if self.term.axis == "row" else self._scales)

    @property
    def scales(self) -> torch.Tensor:
        return self._scales

    def stored(self) -> Term:
        return self.term.with_scales(_numpy(self._scales))


class PackedTerm(Held):
    """Any other term, held as its payload and unpacked for every product."""

    def __init__(self, term: Term, dtype: torch.dtype, device: str) -> None:
        self.shape, self.term, self._as = term.spec.shape, term, (device, dtype)

    @property
    def nbytes(self) -> int:
        return self.term.nbytes

    def dense(self) -> torch.Tensor:
        return torch.from_numpy(self.term.rows(0, self.term.spec.rows)).to(*self._as).reshape(self.shape)

    def gather(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.term.gather(ids.cpu().numpy())).to(*self._as)


class Differences(Held):
    """Float differences; where most rows of a matrix did not change, the others alone."""

    def __init__(self, values: np.ndarray[Any, Any], shape: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
        self.shape = shape
        self._at: torch.Tensor | None = None
        changed = np.flatnonzero(values.any(axis=1)) if len(shape) == 2 else np.arange(len(values))
        if 2 * len(changed) < len(values):
            values = values[changed]
            at = torch.full((shape[0],), len(changed))
            at[torch.from_numpy(changed)] = torch.arange(len(changed))
            self._at, self._changed = at.to(device), torch.from_numpy(changed).to(device)
        self._values = torch.from_numpy(np.ascontiguousarray(values)).to(device, dtype)

    @property
    def nbytes(self) -> int:
        index = 0 if self._at is None else 8 * (self._at.numel() + self._changed.numel())
        return self._values.numel() * self._values.element_size() + index

    def dense(self) -> torch.Tensor:
        if self._at is None:
            return self._values.reshape(self.shape)
        return self._values.new_zeros(self.shape).index_copy_(0, self._changed, self._values)

    def times(self, x: torch.Tensor, flipped: bool = False) -> torch.Tensor:
        if self._at is None:
            return super().times(x, flipped)
        if flipped:
            return x[..., self._changed] @ self._values
        out = x.new_zeros(*x.shape[:-1], self.shape[0])
        out[..., self._changed] = x @ self._values.T
        return out

    def gather(self, ids: torch.Tensor) -> torch.Tensor:
        if self._at is None:
            return self._values[ids]
        at = self._at[ids]
        there = at < len(self._values)
        out = self._values.new_zeros(len(ids), self.shape[1])
        out[there] = self._values[at[there]]
        return out


def resident(term: Term, hold: str, dtype: torch.dtype, device: str) -> Held:
    """A stored term in memory, `hold` as `Bank` has it."""
    narrow = isinstance(term, LowRank) and term.rank * sum(matrix_shape(term.spec)) < term.spec.numel
    looked = isinstance(term, Sign) and term.mask is None and term.spec.row_size % 8 == 0 and device == "cpu"
    if hold == "fast" and not narrow and not looked:
        return Differences(term.rows(0, term.spec.rows), term.spec.shape, dtype, device)
    if isinstance(term, LowRank):
        return (PackedFactors if hold == "packed" else Factors)(term, dtype, device)
    return Signs(term, dtype, device) if isinstance(term, Sign) else PackedTerm(term, dtype, device)


def _numpy(scales: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return scales.detach().float().cpu().numpy()
