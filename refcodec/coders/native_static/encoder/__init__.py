"""The encoder of the native coder with static tables. Nothing here is normative."""
