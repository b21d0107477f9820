"""The Guide: a tour, experiments, a plan for a class."""
