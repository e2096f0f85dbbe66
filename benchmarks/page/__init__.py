"""The page docs/benchmarks.md: ours beside what one would write or use instead."""
