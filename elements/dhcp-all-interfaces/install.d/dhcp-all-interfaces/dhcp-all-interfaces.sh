#!/bin/bash
# dhcp-all-interfaces.sh INTERFACE: have ifupdown bring it up by DHCP.

if [ "${DIB_DEBUG_TRACE:-0}" -gt 0 ]; then
    set -x
fi
set -eu
set -o pipefail

interface=$1
sys=/sys/class/net/$interface
stanzas=/etc/network/interfaces.d/dhcp-$interface

skip() {
    echo "$interface: $1"
    exit 0
}

# Its address is its own, or it is a VLAN of one that has such an address.
real() {
    local lower=${interface%%.*}
    [ "$(cat "$sys/addr_assign_type")" = 0 ] && return
    [ "$lower" != "$interface" ] && [ -e "/sys/class/net/$lower" ] \
        && [ "$(cat "/sys/class/net/$lower/addr_assign_type")" = 0 ]
}

link() {
    local tries
    for ((tries = DIB_DHCP_TIMEOUT; tries > 0; tries--)); do
        ip link set dev "$interface" up
        [ "$(cat "$sys/carrier" 2>/dev/null)" = 1 ] && return
        sleep 1
    done
    return 1
}

advertised() {
    grep -q "$1.*: *Yes" <<<"$advertisement"
}

# Only what the router's advertisement, if there is one, says.
inet6() {
    advertisement=$(rdisc6 --retry 3 --single "$interface" 2>/dev/null) \
        || return 0
    if advertised 'Stateful address conf'; then
        echo "iface $interface inet6 dhcp"
    elif advertised 'Stateful other conf'; then
        printf 'iface %s inet6 auto\n    dhcp 1\n' "$interface"
    else
        echo "iface $interface inet6 auto"
    fi
}

if systemctl is-enabled --quiet systemd-networkd 2>/dev/null; then
    skip "systemd-networkd does it"
fi
real || skip "no interface of the hardware"
ifquery "$interface" >/dev/null 2>&1 && skip "is configured already"
link || skip "no link"

{
    printf 'auto %s\niface %s inet dhcp\n' "$interface" "$interface"
    inet6
} >"$stanzas"
ifup "$interface"
