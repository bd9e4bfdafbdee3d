"""How a table is read: cells, schema, target and their encoding as numbers."""
