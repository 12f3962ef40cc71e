"""``python -m refcodec.cli``."""

from refcodec.cli import main

main()
