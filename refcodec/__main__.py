"""``python -m refcodec``, as the command ``refcodec``."""

from refcodec.cli import main

if __name__ == "__main__":
    main()
