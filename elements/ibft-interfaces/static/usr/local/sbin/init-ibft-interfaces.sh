#!/bin/bash
# Bring up the interfaces that the firmware's iBFT describes.

if [ "${DIB_DEBUG_TRACE:-0}" -gt 0 ]; then
    set -x
fi
set -eu
set -o pipefail

iscsistart -v
if ! iscsistart -f; then
    echo "This machine did not boot by iSCSI: there is nothing to do"
    exit 0
fi
iscsistart -N
udevadm settle
