"""Rate and quality over networks, layers, coders and rates; tables and plots."""
