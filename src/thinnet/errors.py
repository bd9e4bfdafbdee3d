"""The errors and warnings that thinnet raises by name."""


class NoEffectWarning(UserWarning):
    """A rule, a rate or a setting that changes nothing as it is given."""


class PlanWarning(UserWarning):
    """A finding about a plan: it works as written, and is probably not what was meant."""
