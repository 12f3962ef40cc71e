"""The learned coder: integer latents under an entropy model (clause 8.3.9)."""
