"""Columns of a table: cells, schema and target, and their encoding as numbers."""
