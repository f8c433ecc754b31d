"""Pipelines: public commands one after the other, each echoed before it runs, none run twice without need."""

from deltakit.pipeline.claims import Verdict, check_claims
from deltakit.pipeline.plan import Plan, Step, load_plan, make_plan
from deltakit.pipeline.recipe import PipelineRecipe
from deltakit.pipeline.run import Done, Outcome, run_plan

__all__ = [
    "Done",
    "Outcome",
    "PipelineRecipe",
    "Plan",
    "Step",
    "Verdict",
    "check_claims",
    "load_plan",
    "make_plan",
    "run_plan",
]
