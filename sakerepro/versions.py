"""Versions of the code behind the numbers. Raise one when its numbers change, and say why in CHANGELOG.md.

The golden test fails when a number changes while its version does not.
"""

TRAINING = 1  # weights: models, losses, batches, augmentation, optimisation, teachers
MEASURING = 1  # what is measured on given weights: embeddings, codes, ranking, metrics, probes
