"""The study's experiments: each a table or figure over the common generations, one per file."""
