"""The errors a person sees: what is wrong, where, and what to do; each kind has an exit code."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "CheckpointError",
    "DeltakitError",
    "InputError",
    "MismatchError",
    "NoEffectError",
    "NonFiniteError",
    "RecipeError",
    "ResourceError",
    "UnsafeError",
    "VerificationError",
]


class DeltakitError(Exception):
    """Base of all expected errors.

    `message` says what is wrong and where; `remedy` says what to do; `details` lists every single
    problem when there are several, so that nothing has to be found one run at a time.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = tuple(details)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {d}" for d in self.details)]
        return "\n".join(lines + ([f"hint: {self.remedy}"] if self.remedy else []))


class RecipeError(DeltakitError):
    """Wrong usage: a recipe, an option, a name or a parameter (exit code 2)."""

    exit_code = 2


class InputError(DeltakitError):
    """Bad or missing input: files, data, models (exit code 3)."""

    exit_code = 3


class CheckpointError(InputError):
    """A weight file or an archive that breaks its format (exit code 3)."""


class MismatchError(InputError):
    """Two inputs that do not belong together: names, shapes, base, vocabulary (exit code 3)."""


class NonFiniteError(InputError):
    """NaN or infinite values where numbers are needed (exit code 3)."""


class UnsafeError(DeltakitError):
    """Refused as unsafe: pickles, paths that leave a folder, code in configs (exit code 4)."""

    exit_code = 4


class ResourceError(DeltakitError):
    """Not enough disk, memory or device (exit code 5)."""

    exit_code = 5


class VerificationError(DeltakitError):
    """A digest or a promise does not hold (exit code 6)."""

    exit_code = 6


class NoEffectError(VerificationError):
    """The output would equal the base (exit code 6)."""
