"""Mutants of chapter 14: Exec."""

CHAPTER_14 = []
