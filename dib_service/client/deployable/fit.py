"""Whether the machine is large enough and of the right kind."""

from collections.abc import Iterator
import re

from dib_service.client.deployable.case import (
    GIB,
    MIB,
    Case,
    Finding,
    gib,
    number,
    ok,
    problem,
    warning,
)

# Other words for the same machine.
SAME = {"amd64": "x86_64", "arm64": "aarch64"}
TRAIT = "trait:"


def root_device(case: Case) -> Iterator[Finding]:
    """What is written fits.

    Sources: nova.compute.api._validate_flavor_image_nostatus (size and
    min_disk against the flavor's disk, where that is not 0); Ironic writes a
    whole disk without asking its size, so that a small one fails in the
    agent; ironic_python_agent.extensions.standby._write_partition_image
    compares a partition image with the root partition, root_gb.
    """
    least = (number(case.image.get("min_disk")) or 0) * GIB
    disk = number(case.image.get("virtual_size"))
    need = max(least, disk or 0)
    if not need:
        yield warning("root device", "the image does not say how large it is")
        return
    if case.flavor is not None:
        yield _against_flavor(case, need, least)
    if case.node is not None:
        yield _against_node(case, need)
    if case.flavor is None and case.node is None:
        yield ok("root device", f"at least {gib(need)}")


def _against_flavor(case: Case, need: int, least: int) -> Finding:
    flavor = case.flavor or {}
    disk = (number(flavor.get("disk")) or 0) * GIB
    size = number(case.image.get("size")) or 0
    if not disk:
        return warning(
            "root device",
            "the flavor's disk is 0: nobody compares it, and servers of it "
            "are for admins by default",
        )
    if max(size, least) > disk:
        return problem(
            "root device",
            f"{gib(max(size, least))} are needed, the flavor has {gib(disk)}; "
            "Nova refuses it",
        )
    if need > disk:
        say = warning if case.whole_disk else problem
        return say(
            "root device",
            f"{gib(need)} when unpacked, the flavor has {gib(disk)}",
        )
    return ok("root device", f"{gib(need)} of the flavor's {gib(disk)}")


def _against_node(case: Case, need: int) -> Finding:
    hinted = _hinted_gib(case)
    local = number(case.node_properties.get("local_gb"))
    size = hinted if hinted is not None else local
    what = "root_device hint" if hinted is not None else "local_gb"
    if size is None:
        return warning("root device", f"{gib(need)} are needed; the node has "
                       "neither local_gb nor a size hint")  # fmt: skip
    if need > size * GIB:
        return problem("root device", f"{gib(need)} are needed, the node has "
                       f"{size} GiB ({what})")  # fmt: skip
    return ok("root device", f"{gib(need)} of the node's {size} GiB ({what})")


def _hinted_gib(case: Case) -> int | None:
    """The size of the disk that the operator points at.

    Source: ironic_python_agent.device_hints: a number of GiB with an
    operator before it; of those, one is a promise of how large it is at
    least.
    """
    hints = case.node_properties.get("root_device") or {}
    if not isinstance(hints, dict):
        return None
    match = re.fullmatch(
        r"\s*(?:==|=|>=|>|s==)?\s*(\d+)\s*", str(hints.get("size", ""))
    )
    return int(match[1]) if match else None


def memory(case: Case) -> Iterator[Finding]:
    """It fits into memory where it has to, and runs in what there is.

    Sources: ironic.drivers.modules.deploy_utils.check_image_size: raw is
    streamed to the disk (stream_raw_images), and so is what the conductor
    makes raw first (force_raw_images), both the default; other images must
    fit with the agent (memory_consumed_by_agent). min_ram is compared by
    nova.compute.api._validate_flavor_image_nostatus.
    """
    least = number(case.image.get("min_ram")) or 0
    ram = number((case.flavor or {}).get("ram"))
    if ram is not None and ram < least:
        yield problem(
            "memory",
            f"min_ram is {least} MiB, the flavor has {ram}; Nova refuses it",
        )
    has = number(case.node_properties.get("memory_mb"))
    if has is None:
        return
    size = number(case.image.get("size")) or 0
    if has < least:
        yield warning("memory", f"it was seen to need {least} MiB, the node "
                      f"has {has}")  # fmt: skip
    elif case.image.get("disk_format") == "raw":
        yield ok("memory", "raw is streamed to the disk")
    elif size <= has * MIB:
        yield ok("memory", f"{size // MIB} MiB of image fit into the node's "
                 f"{has}, if it is not streamed")  # fmt: skip
    else:
        yield warning(
            "memory",
            f"{size // MIB} MiB of image do not fit into the node's {has}: "
            "passes only while conductors make images raw and stream them "
            "(force_raw_images, stream_raw_images); a raw image always does",
        )


def architecture(case: Case) -> Iterator[Finding]:
    """The image is for that kind of machine.

    Sources: nova.scheduler.filters.image_props_filter; the node says its own
    in properties/cpu_arch, which boot configuration is chosen by.
    """
    image = str(case.image.get("architecture") or "")
    node = str(case.node_properties.get("cpu_arch") or "")
    if not node:
        return
    if not image:
        yield warning(
            "architecture", f"the image does not say; the node is {node}"
        )
    elif _machine(image) == _machine(node):
        yield ok("architecture", image)
    elif (_machine(image), _machine(node)) == ("i686", "x86_64"):
        yield warning("architecture", "i686 on x86_64: in BIOS mode only")
    else:
        yield problem(
            "architecture", f"the image is for {image}, the node is {node}"
        )


def _machine(name: str) -> str:
    return SAME.get(name.lower(), name.lower())


def hypervisor(case: Case) -> Iterator[Finding]:
    """The image is not kept for virtual machines.

    Sources: nova.scheduler.filters.image_props_filter, where a cloud uses it,
    and nova.virt.ironic.driver _get_nodes_supported_instances: what counts is
    baremetal, though Nova shows such a host's hypervisor_type as ironic.
    Ironic itself does not ask.
    """
    say = warning if case.flavor is None else problem
    kind = case.image.get("hypervisor_type") or case.image.get("img_hv_type")
    if kind and str(kind).lower() != "baremetal":
        yield say(
            "hypervisor",
            f"hypervisor_type={kind} keeps it off bare metal where Nova "
            "filters by image properties",
        )


def traits(case: Case) -> Iterator[Finding]:
    """The node has what the image asks for.

    Sources: nova.virt.ironic.patcher and nova.scheduler.utils: trait:NAME
    with the value required; ironic.conductor.utils
    validate_instance_info_traits, which sees those that Nova hands over:
    without Nova nobody asks what the image wants.
    """
    asked = {
        key.removeprefix(TRAIT): value
        for key, value in case.image.items()
        if key.startswith(TRAIT)
    }
    for name in sorted(n for n, value in asked.items() if value != "required"):
        yield warning(
            "traits", f"trait:{name}={asked[name]}: Nova knows required only"
        )
    needed = sorted(
        {n for n, value in asked.items() if value == "required"}
        | _flavor_traits(case)
    )
    if not needed:
        return
    forbidden = [
        name
        for name in needed
        if case.extra_specs.get(f"{TRAIT}{name}") == "forbidden"
    ]
    lacking = set(needed) - set((case.node or {}).get("traits") or ())
    if forbidden:
        yield problem("traits", f"the flavor forbids {', '.join(forbidden)}")
    elif case.node is None:
        yield ok("traits", f"the node must have {', '.join(needed)}")
    elif lacking:
        yield _lacking(case, sorted(lacking))
    else:
        yield ok("traits", f"the node has {', '.join(needed)}")


def _lacking(case: Case, names: list[str]) -> Finding:
    words = f"the node lacks {', '.join(names)}"
    if case.flavor is None:
        return warning(
            "traits", f"{words}: Nova would pass it over, Ironic does not ask"
        )
    return problem("traits", words)


def _flavor_traits(case: Case) -> set[str]:
    """The flavor's own, of every group of resources (``trait1:NAME``)."""
    return {
        key.partition(":")[2]
        for key, value in case.extra_specs.items()
        if re.match(r"trait\w*:", key) and value == "required"
    }


def capabilities(case: Case) -> Iterator[Finding]:
    """The node has the capabilities that the flavor asks for.

    Source: nova.scheduler.filters.compute_capabilities_filter; values with
    an operator in them (``s== …``, ``<in> …``) are left to it.
    """
    if case.flavor is None or case.node is None:
        return
    for name, value in sorted(case.asked_capabilities.items()):
        if name == "boot_mode" or " " in value:
            continue
        has = case.node_capabilities.get(name)
        if has != value:
            yield problem(
                "capabilities",
                f"the flavor asks for {name}:{value}, the node has "
                f"{has or 'none'}",
            )


def resource_class(case: Case) -> Iterator[Finding]:
    """The flavor finds the node in placement.

    Source: nova.virt.ironic.driver: a node is one CUSTOM_<its resource
    class>, spelled as nova.utils.normalize_rc_name does.
    """
    if case.flavor is None or case.node is None:
        return
    own = case.node.get("resource_class")
    if not own:
        yield problem(
            "resource class", "the node has none: no flavor finds it"
        )
        return
    name = "CUSTOM_" + re.sub(r"[^0-9A-Za-z]+", "_", str(own)).upper()
    if f"resources:{name}" in case.extra_specs:
        yield ok("resource class", name)
    else:
        yield problem(
            "resource class",
            f"the node is one {name}, and the flavor does not ask for "
            f"resources:{name}=1",
        )
