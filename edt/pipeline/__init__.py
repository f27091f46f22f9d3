"""The stages generate, score and report: orchestration only, no maths."""
