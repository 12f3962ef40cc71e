"""Reports on runs: JSON, JUnit XML, Markdown, a page of HTML; claims, and comparisons of two runs."""
