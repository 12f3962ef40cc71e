"""What pytest must leave alone here: programs that are no test files."""

collect_ignore = ["bench_native.py"]  # needs torch and bjontegaard; see its text
