"""All benchmarks with their defaults: `python -m benchmarks [--data DIR] [--seeds N] [--resume]`."""

import argparse
import sys
from pathlib import Path

from benchmarks import latency, overhead, policies, waiting


def main() -> int:
    """Run all; arguments are those of `benchmarks.policies`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    options, rest = parser.parse_known_args()
    code = policies.main([*rest, "--pictures", str(options.pictures)])
    return code or latency.main(["--pictures", str(options.pictures)]) or overhead.main([]) or waiting.main([])


if __name__ == "__main__":
    sys.exit(main())
