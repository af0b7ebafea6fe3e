"""The mutants, by chapters of the specification, and what becomes of them."""

load(":chapter_02.bzl", "CHAPTER_02")
load(":chapter_03.bzl", "CHAPTER_03")
load(":chapter_04.bzl", "CHAPTER_04")
load(":chapter_05.bzl", "CHAPTER_05")
load(":chapter_06.bzl", "CHAPTER_06")
load(":chapter_07.bzl", "CHAPTER_07")
load(":chapter_08.bzl", "CHAPTER_08")
load(":chapter_09.bzl", "CHAPTER_09")
load(":chapter_10.bzl", "CHAPTER_10")
load(":chapter_11.bzl", "CHAPTER_11")
load(":chapter_12_actions.bzl", "CHAPTER_12_ACTIONS")
load(":chapter_12_reports.bzl", "CHAPTER_12_REPORTS")
load(":chapter_13.bzl", "CHAPTER_13")
load(":chapter_14.bzl", "CHAPTER_14")
load(":chapter_15.bzl", "CHAPTER_15")
load(":chapter_16_exit.bzl", "CHAPTER_16_EXIT")
load(":chapter_16_death.bzl", "CHAPTER_16_DEATH")
load(":chapter_17.bzl", "CHAPTER_17")
load(":chapter_18.bzl", "CHAPTER_18")
load(":chapter_19.bzl", "CHAPTER_19")
load(":chapter_20.bzl", "CHAPTER_20")

MUTANTS = (CHAPTER_02 +
           CHAPTER_03 +
           CHAPTER_04 +
           CHAPTER_05 +
           CHAPTER_06 +
           CHAPTER_07 +
           CHAPTER_08 +
           CHAPTER_09 +
           CHAPTER_10 +
           CHAPTER_11 +
           CHAPTER_12_ACTIONS +
           CHAPTER_12_REPORTS +
           CHAPTER_13 +
           CHAPTER_14 +
           CHAPTER_15 +
           CHAPTER_16_EXIT +
           CHAPTER_16_DEATH +
           CHAPTER_17 +
           CHAPTER_18 +
           CHAPTER_19 +
           CHAPTER_20)

# Clauses of level MUST without a mutant that a test could catch on this machine, and why. The report
# prints them apart; none of them counts as caught.
NOT_TOLD_APART = {
}

# Those that every `bazel test //...` runs: quick ones, from as many places as there are.
REPRESENTATIVE = [
    "lookup_ignores_ops",
    "exclusive_is_ebusy",
    "failed_attach_releases",
    "own_task_is_in_progress",
    "detach_in_callback_is_zero",
    "barrier_does_not_wait",
    "prepare_of_a_sleeper_is_zero",
    "entry_in_attach_order",
    "action_so_far_is_the_last",
    "quiesce_without_quiesce",
    "repeat_inherits_abort",
    "signal_action_is_not_passed_on",
    "leader_is_the_last",
    "blank_instead_of_tab",
]
