"""Programs that a model wrote, run where they can do no harm: a process of its own, in namespaces of its own."""

from deltakit.sandbox.isolation import Isolation
from deltakit.sandbox.limits import Limits
from deltakit.sandbox.outcome import Outcome
from deltakit.sandbox.pool import Sandbox, check_allowed, open_sandbox

__all__ = ["Isolation", "Limits", "Outcome", "Sandbox", "check_allowed", "open_sandbox"]
