"""Print what the builds of test_elements came to, element by element."""

import json

import yaml

from tests.conformance import test_elements


def main() -> None:
    """Print the table, or nothing if no build came to anything."""
    rows: dict[str, str] = {}
    missing = []
    for name in yaml.safe_load(test_elements.BUILDS.read_text()):
        path = test_elements.RESULTS / f"{name}.json"
        if not path.exists():
            missing.append(name)
            continue
        result = json.loads(path.read_text())
        for element in result["elements"]:
            rows[element] = _verdict(element, result, rows.get(element))
    if not rows:
        return
    width = max(map(len, rows))
    for element in sorted(rows):
        print(f"{element:{width}}  {rows[element]}")
    same = sum(verdict == "same" for verdict in rows.values())
    print(f"{len(rows)} elements of diskimage-builder built, {same} the same")
    if missing:
        print(f"not built in this run: {', '.join(missing)}")


def _verdict(
    element: str, result: dict[str, dict[str, str]], before: str | None
) -> str:
    if result["unexplained"]:
        found = ", ".join(
            f"{path} ({how})"
            for path, how in list(result["unexplained"].items())[:3]
        )
        return f"DIFFERENT TREE in {result['name']}: {found}"
    if element in result["explained"]:
        return f"differs because {result['explained'][element]}"
    return before or "same"


if __name__ == "__main__":
    main()
