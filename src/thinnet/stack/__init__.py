"""Many regularized networks of one architecture, trained as one."""
