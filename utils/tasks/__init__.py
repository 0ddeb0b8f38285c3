"""Tasks: from the columns of a data set to examples, labels and metrics."""
