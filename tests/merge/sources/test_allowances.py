"""Nothing is allowed unless somebody says so."""

from deltakit.merge.sources.allowances import Allowances


def test_nothing_is_allowed_by_default():
    made = Allowances()
    assert not any((made.unrelated, made.config_drift, made.nonfinite, made.strict))
