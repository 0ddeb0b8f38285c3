"""`python -m utils.cli` is the `course` command."""

from utils.cli import main

main()
