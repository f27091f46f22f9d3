"""Quality, diversity and their combination, each with a signature and an interval; no torch here."""
