"""Every merging method on the demo's two experts, side by side: accuracy on both toy tasks.

    deltakit demo -o demo-out
    python bench/merge_accuracy/run.py demo-out -o merge-accuracy

Each merge is a recipe file and is evaluated as a model that is computed while it is read; nothing is written but the
recipes, the results and a table. Lambdas (weights, for methods without lambda) are tried as listed, none is chosen by
looking at the test: the table shows them all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LAMBDAS = (0.5, 0.7, 1.0, 1.5, 2.5)

# method -> its parameters; two lines of one method differ in them
METHODS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("task_arithmetic", "task_arithmetic", {}),
    ("linear", "linear", {}),
    ("ties, density 0.2", "ties", {"density": 0.2}),
    ("ties, density 0.5", "ties", {"density": 0.5}),
    ("dare_linear, density 0.5", "dare_linear", {"density": 0.5}),
    ("dare_ties, densities 0.5", "dare_ties", {"density": 0.5, "trim_density": 0.5}),
    ("della, density 0.5", "della", {"density": 0.5}),
    ("della_linear, density 0.5", "della_linear", {"density": 0.5}),
    ("breadcrumbs", "breadcrumbs", {}),
    ("breadcrumbs_ties", "breadcrumbs_ties", {}),
    ("sce, 0.2", "sce", {"select_topk": 0.2}),
    ("ram", "ram", {}),
    ("ramplus_tl", "ramplus_tl", {}),
    ("magmax", "magmax", {}),
    ("consensus", "consensus", {}),
    ("lines, 0.5 to 1.5", "lines", {"alpha": 0.5, "beta": 1.0}),
    ("slerp, t 0.5", "slerp", {"t": 0.5}),
    ("nuslerp", "nuslerp", {}),
    ("multislerp", "multislerp", {}),
    ("karcher", "karcher", {}),
    ("model_stock", "model_stock", {}),
    ("nearswap, t 0.001", "nearswap", {"t": 0.001}),
    ("arcee_fusion", "arcee_fusion", {}),
    ("tsv_m", "tsv_m", {}),
    ("iso_c", "iso_c", {}),
    ("iso_cts", "iso_cts", {}),
    ("regmean", "regmean", {}),
    ("regmean_pp", "regmean_pp", {}),
    ("darex, density 0.2", "darex", {"density": 0.2}),
    ("task_arithmetic + aim", "task_arithmetic", {"post": "aim(omega=0.4)"}),
    ("task_arithmetic + lines", "task_arithmetic", {"post": "lines(alpha=0.2, beta=0.8)"}),
)


def recipes(
    demo: Path, out: Path, base: Path, vocabulary: str | None = None, scales: tuple[float, ...] = LAMBDAS
) -> dict[str, Path]:
    """Label to recipe file; a method that has no lambda appears once. Methods that this version lacks are left out."""
    from deltakit.merge import METHODS as known

    made: dict[str, Path] = {}
    for label, method, given in METHODS:
        if method not in known.names():
            print(f"no method {method}", file=sys.stderr)
            continue
        made_of = known.make(method, **{k: v for k, v in given.items() if k != "post"})
        for scale in scales if made_of.reduce.scaled else (1.0,):
            name = f"{label}, lambda {scale:g}" if made_of.reduce.scaled else label
            text = {"deltakit": 1, "method": method, **given, "models": models(demo, made_of.reduce.needs)}
            if made_of.reduce.needs not in ("pair", "models"):
                text["base"] = str(base)
            if vocabulary:
                text["vocabulary"] = vocabulary
            if made_of.calibrated:
                text["calibration"] = {"samples": 64, "length": 128}
            if made_of.reduce.scaled:
                text["lambda"] = scale
            path = out / "recipes" / f"{len(made):03}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(text, indent=1))
            made[name] = path
    return made


def models(demo: Path, needs: str) -> list[dict[str, object]]:
    """The two experts, by name."""
    return [{"model": str(demo / n), "name": n} for n in ("math", "chat")]


def main() -> None:
    """Write recipes, evaluate, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="The folder that `deltakit demo` made.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--items", type=int, default=200)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    base = ROOT / "recipes/demo/base"
    made = recipes(given.demo.resolve(), given.output, base)
    named = {"base": base, "expert: math": given.demo / "math", "expert: chat": given.demo / "chat", **made}
    results = given.output / "results.json"
    words = [f"{label}={path}" for label, path in named.items()]
    command = [sys.executable, "-m", "deltakit_cli", "eval", *words, "--tasks", "toy_math,toy_chat",
               "--limit", str(given.items), "-o", str(results)]  # fmt: skip
    if (code := subprocess.run(command).returncode) != 0:
        sys.exit(code)
    table = rows(json.loads(results.read_text()))
    (given.output / "table.md").write_text(table)
    print(table)


def rows(found: dict[str, object]) -> str:
    """The table, in the order of the methods above, with the smaller of both accuracies as what is shared."""
    lines = ["| merge | math, % | chat, % | smaller of both |", "|---|---:|---:|---:|"]
    for model in found["models"]:  # type: ignore[attr-defined]
        scores = [100 * model["tasks"][task]["accuracy"] for task in ("toy_math", "toy_chat")]
        lines.append(f"| {model['name']} | {scores[0]:.1f} | {scores[1]:.1f} | {min(scores):.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
