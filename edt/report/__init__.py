"""Tables from scores."""
