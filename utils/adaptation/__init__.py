"""Ways to adapt a pre-trained model to a task, behind one interface (`METHODS`)."""

from utils.adaptation.method import Method, Outcome, Problem
from utils.adaptation.registry import METHODS, get_method, methods_for

__all__ = ["METHODS", "Method", "Outcome", "Problem", "get_method", "methods_for"]
