"""A plan at work inside an optimizer's step."""
