"""What a machine with the elements mellanox and rdma-report has to say."""

import re

MODULES = (
    *("mlx4_core", "mlx4_en", "mlx4_ib", "mlx5_core", "mlx5_ib", "ib_ipoib"),
    *("ib_umad", "ib_uverbs", "rdma_cm", "rdma_ucm"),
)

# Exit status and words of each tool, in a machine without a card.
TOOLS = {
    "ibv_devinfo": r"255: No IB devices found",
    # What it lists is nothing.
    "ibstat": r"0:.*",
    "mstflint": r"0: mstflint.*",
}


def problems(report: str) -> list[str]:
    """What is wrong with what it said, one sentence each."""
    lines = re.findall(r"rdma: ([^\r\n]*)", report)
    wanted = [f"{module} is loaded" for module in MODULES]
    found = [f"not said: {line}" for line in wanted if line not in lines]
    for tool, words in TOOLS.items():
        pattern = f"{tool} exits {words}"
        if not any(re.fullmatch(pattern, line) for line in lines):
            found.append(f"not like {pattern!r}: {lines}")
    return found
