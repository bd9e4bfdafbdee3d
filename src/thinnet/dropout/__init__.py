"""Layers that drop nodes at random while a network trains."""
