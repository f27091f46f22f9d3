"""Models from elsewhere: what `edt fetch` knows, how it brings them, and whether files are still what was fetched."""
