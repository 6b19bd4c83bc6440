"""The course of a generation around its runner: who may write it, how it may end, what it has cost."""
