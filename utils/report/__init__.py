"""From records to tables, figures, sentences and published pages. Nothing here is typed by hand."""
