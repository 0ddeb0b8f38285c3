"""Exercises by lesson: `lesson_NN.EXERCISES`."""
