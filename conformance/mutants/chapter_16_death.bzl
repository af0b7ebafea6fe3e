"""Mutants of chapter 16: Death and reap."""

CHAPTER_16_DEATH = []
