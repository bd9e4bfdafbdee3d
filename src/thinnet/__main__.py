"""Run the command line: python -m thinnet."""

from thinnet.cli import main

if __name__ == "__main__":
    main()
