"""Many fine-tunes over one base in memory: rows of one batch belong to different tenants."""

from deltakit.tenants.resident import ResidentBase
from deltakit.tenants.tenant import Tenant

__all__ = ["ResidentBase", "Tenant"]
