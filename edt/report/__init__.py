"""Write tables, figures and HTML pages from scores."""
