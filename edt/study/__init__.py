"""Run the study: decode families of settings, choose on dev, compare on test."""
