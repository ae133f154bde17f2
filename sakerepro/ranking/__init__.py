"""Compiled loops behind metrics, search and ITQ. README.md says why they exist and how to enter."""
