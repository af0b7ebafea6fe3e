"""Mutants of chapter 17: SIGKILL comes first."""

CHAPTER_17 = []
