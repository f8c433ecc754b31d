"""`python -m deltakit_cli`, which launchers such as accelerate need."""

from deltakit_cli.main import main

if __name__ == "__main__":
    main()
