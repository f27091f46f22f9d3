"""Inject faults into commands and files of `edt`, and check that nothing is lost and nothing silently wrong."""
