"""Mutants of chapter 15: Job control."""

CHAPTER_15 = []
