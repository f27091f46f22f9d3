"""The rules inside other people's tools."""
