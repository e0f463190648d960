"""What a builder costs where there is next to nothing to build.

As root, in a checkout: ``python3 -m benchmarks.trivial``.
"""

import sys

from benchmarks import side_by_side

BUILD = side_by_side.Build(
    name="trivial",
    words=("-n", "-t", "raw,qcow2", "--checksum", "trivial"),
    environment={
        "ELEMENTS_PATH": str(side_by_side.CHECKOUT / "benchmarks/elements")
    },
)

if __name__ == "__main__":
    sys.exit(side_by_side.main(BUILD, rounds=5))
