"""A look at a corpus before hours are spent on it: its figures, its faults, a cleaned copy."""
