"""Tools that vectors are made with: definitions, short forms of edits, chosen payloads, drawn edits."""
