"""A fitted model of tables: what predicts, saves, compacts and exports."""
