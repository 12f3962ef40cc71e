"""The native coder with static tables: made for real time (clause 8.3.11)."""
