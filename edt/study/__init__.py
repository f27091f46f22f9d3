"""The study's statistics: families of settings, choice on dev, comparison on test. Pure, without torch."""
