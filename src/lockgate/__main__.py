"""``python -m lockgate``"""

from lockgate.cli.main import main

if __name__ == "__main__":
    main()
