"""All measurements, one after the other: `python -m bench`."""

from bench import decoders, stages


def main() -> None:
    """Run them."""
    stages.main()
    decoders.main()


if __name__ == "__main__":
    main()
