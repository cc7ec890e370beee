"""Tables in files of this installation: CSV, TSV, JSON and Excel."""
