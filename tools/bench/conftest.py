"""What pytest must leave alone here: programs that are no test files."""

collect_ignore = [
    "bench_growth.py",  # starts processes of its own
    "bench_native.py",  # needs torch and bjontegaard; see its text
]
