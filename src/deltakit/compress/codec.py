"""What a codec is: it turns one matrix of a delta into a sum of packed terms within a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from deltakit.compress.hessian import Hessian
from deltakit.delta.site import Site
from deltakit.delta.terms.base import Float32, Term
from deltakit.recipe.parameters import parse_checked
from deltakit.registry import Registry
from deltakit.tensors import TensorSpec

__all__ = ["CODECS", "Codec", "Context", "parse_codec"]

CODECS = Registry(
    "codec",
    {
        "delta_come": "deltakit.compress.codecs.delta_come:DeltaCome",
        "dare": "deltakit.compress.codecs.dare:Dare",
        "group_quant": "deltakit.compress.codecs.group_quant:GroupQuant",
        "lowrank": "deltakit.compress.codecs.lowrank:Lowrank",
        "rows": "deltakit.compress.codecs.rows:RowsCodec",
        "sign": "deltakit.compress.codecs.sign:SignCodec",
        "sign_lowrank": "deltakit.compress.codecs.sign_lowrank:SignLowrank",
        "svd_mixed": "deltakit.compress.codecs.svd_mixed:SvdMixed",
    },
    group="deltakit.codecs",
)


@dataclass(frozen=True)
class Context:
    """All that a codec may know besides the numbers: where they live, the spec of the term to make, the payload bytes
    it may take (None: what its own parameters say), the inputs' Hessian where it is known (None: all inputs count
    alike), and the device that linear algebra may run on."""

    site: Site
    spec: TensorSpec
    budget: int | None = None
    hessian: Hessian | None = None
    device: str = "cpu"


class Codec(Protocol):
    """A frozen dataclass with JSON-able fields. The matrix of a tensor is the view of `matrix_shape`."""

    name: ClassVar[str]

    @property
    def fixed(self) -> bool:
        """True when its parameters alone decide the size, so that it cannot follow a budget."""
        ...

    def least(self, spec: TensorSpec) -> int:
        """The fewest payload bytes in which it stores any such tensor at all."""
        ...

    def nbytes(self, spec: TensorSpec, budget: int | None) -> int:
        """Payload bytes for a delta without structure (a low rank or zeros may take fewer). A budget under `least`
        counts as `least`."""
        ...

    def encode(self, rows: Float32, ctx: Context) -> tuple[Term, ...]:
        """The terms whose sum stands for the matrix `rows` (rows, columns), finite; together at most
        nbytes(ctx.spec, ctx.budget). A codec may also have `offers(study) -> Iterator[Offer]`: then `auto` may choose
        it."""
        ...


def parse_codec(text: str) -> Codec:
    """A codec from "sign" or "svd_mixed(bands='8:2,3:32,2:968')"."""
    made: Any = parse_checked(CODECS, text)
    codec: Codec = made
    return codec
