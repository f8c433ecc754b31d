"""`python -m deltakit_eval.lm_eval`: lm-eval's own command line with our model and our task files known to it.

python -m deltakit_eval.lm_eval run --model deltakit --model_args pretrained="BASE + 0.6*DELTA" --tasks deltakit_gsm8k
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "register", "with_tasks"]


def register() -> None:
    """Make our model known to lm-eval as "deltakit"."""
    from lm_eval.api.registry import model_registry, register_model

    from deltakit_eval.model import DeltakitLM

    if "deltakit" not in model_registry:
        register_model("deltakit")(DeltakitLM)


def with_tasks(argv: Sequence[str]) -> list[str]:
    """The arguments with the folder of our task files, unless they name one themselves."""
    from deltakit_eval.tasks import FOLDER

    named = any(word.split("=")[0] == "--include_path" for word in argv)
    plain = not argv or argv[0] in ("-h", "--help") or named
    return list(argv) if plain else [*argv, "--include_path", str(FOLDER)]


def main() -> None:
    """Run lm-eval's command line."""
    from lm_eval.__main__ import cli_evaluate

    register()
    sys.argv[1:] = with_tasks(sys.argv[1:])
    cli_evaluate()


if __name__ == "__main__":
    main()
