"""The notebooks as a suite: discovery, parameters, execution, audit, hygiene.

    notebooks = find(["01"])
    result = run(notebooks, profile="smoke")
    print(result.as_json())

Heavy libraries (papermill, jupytext) are imported when a function needs them.
"""

from utils.suite.audit import AuditResult, Problem, audit
from utils.suite.discovery import Notebook, claims_of, discover, find
from utils.suite.execution import Progress, run
from utils.suite.parameters import parse_parameters
from utils.suite.results import NotebookResult, SuiteResult, shown

__all__ = [
    "AuditResult",
    "Notebook",
    "NotebookResult",
    "Problem",
    "Progress",
    "SuiteResult",
    "audit",
    "claims_of",
    "discover",
    "find",
    "parse_parameters",
    "run",
    "shown",
]
