"""Schedules of dropout rates."""

from thinnet.schedules._curves import cosine_ramp, curriculum, linear_ramp, off_after, on_after
from thinnet.schedules._rate_schedule import RateSchedule

__all__ = ["RateSchedule", "cosine_ramp", "curriculum", "linear_ramp", "off_after", "on_after"]
