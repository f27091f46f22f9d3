"""The study's artefacts: each a table or figure over the common generations, one per file."""
