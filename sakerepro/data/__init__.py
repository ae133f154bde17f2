"""Data sets, from files or from the generated world, to augmented batches (:mod:`.augmentation`, which needs torch)."""
