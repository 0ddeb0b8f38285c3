"""Shared module of the course: sources, tasks, adaptation, experiments, reports, lessons, suite."""
