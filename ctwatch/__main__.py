"""Run ctwatch as `python -m ctwatch`."""

from ctwatch.cli import main

if __name__ == "__main__":
    main()
