# shellcheck shell=bash
# What a fresh Debian machine needs before Python can go on: packages from
# bindep.txt, virtual environments from constraints. Sourced, never run.

# Where virtual environments are kept that any checkout may share.
DIB_CACHE=${DIB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dib-service}

# say TEXT: one line to the person who waits.
say() {
    printf '%s  %s\n' "$(date +%T)" "$*"
}

# fail TEXT: end, saying why.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# logged LOG COMMAND…: run it quietly; on failure show the log's end.
logged() {
    local log=$1
    shift
    mkdir -p "${log%/*}"
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        fail "failed: $* (all of it is in $log)"
    fi
}

# packages FILE [PROFILE…]: the packages that FILE names for these profiles.
packages() {
    local file=$1
    shift
    awk -v profiles=" $* " '
        { sub(/#.*/, "") }
        NF {
            name = $1
            $1 = ""
            gsub(/[][]/, " ")
            $0 = $0
            wanted = (NF == 0)
            for (i = 1; i <= NF; i++)
                if (index(profiles, " " $i " "))
                    wanted = 1
            if (wanted)
                print name
        }' "$file"
}

# missing PACKAGE…: those that are not installed.
missing() {
    local package status
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
            2>/dev/null) || status=none
        [ "$status" = installed ] || printf '%s\n' "$package"
    done
}

# install_packages LOG FILE [PROFILE…]: install what is missing.
install_packages() {
    local log=$1
    shift
    command -v apt-get >/dev/null ||
        fail "this needs Debian's apt-get; on another system install what" \
            "bindep.txt names"
    local named wanted
    mapfile -t named < <(packages "$@")
    mapfile -t wanted < <(missing "${named[@]}")
    [ "${#wanted[@]}" -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "as root: apt-get install ${wanted[*]}"
    say "installing packages: ${wanted[*]}"
    logged "$log" apt-get update
    # A broker or database that starts by itself would hold ports that a
    # lab does not want; the lab starts its own.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        # shellcheck disable=SC2064
        trap "rm -f $policy" EXIT
    fi
    DEBIAN_FRONTEND=noninteractive logged "$log" \
        apt-get install --yes --no-install-recommends "${wanted[@]}"
    if [ "$(cat "$policy")" = $'#!/bin/sh\nexit 101' ]; then
        rm -f "$policy"
    fi
    trap - EXIT
}

# make_venv LOG DIR CONSTRAINTS REQUIREMENTS…: a virtual environment in DIR
# with what the requirement files name; made anew when any of them changed.
make_venv() {
    local log=$1 dir=$2 constraints=$3
    shift 3
    local stamp file options=()
    stamp=$(cat "$constraints" "$@" | sha256sum)
    if [ "$(cat "$dir/made-from" 2>/dev/null)" = "$stamp" ] &&
        "$dir/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    say "making the virtual environment $dir"
    rm -rf "$dir"
    mkdir -p "${dir%/*}"
    logged "$log" "${PYTHON:-python3}" -m venv "$dir"
    for file in "$@"; do
        options+=(-r "$file")
    done
    logged "$log" "$dir/bin/pip" install -c "$constraints" "${options[@]}"
    printf '%s\n' "$stamp" >"$dir/made-from"
}

# cloud_venv LOG: the path of the environment with Keystone and Glance, made
# when it is not there yet.
cloud_venv() {
    shared_venv "$1" cloud services cloud
    # For whoever sources this.
    # shellcheck disable=SC2034
    CLOUD_VENV=$SHARED_VENV
}

# services_venv LOG: the path of the one that has Ironic, Nova and their
# company as well.
services_venv() {
    shared_venv "$1" services services cloud services
    # shellcheck disable=SC2034
    SERVICES_VENV=$SHARED_VENV
}

# peer_venv LOG: the path of the environment with diskimage-builder, made
# when it is not there yet.
peer_venv() {
    shared_venv "$1" peer peer peer
    # shellcheck disable=SC2034
    PEER_VENV=$SHARED_VENV
}

# shared_venv LOG NAME CONSTRAINTS REQUIREMENTS…: the path of an environment
# that any checkout may use; the words name files of tools/. Others may be
# making it at the same time.
shared_venv() {
    local log=$1 name=$2 constraints=$TOP/tools/constraints-$3.txt hash word
    shift 3
    local files=()
    for word in "$@"; do
        files+=("$TOP/tools/requirements-$word.txt")
    done
    hash=$(cat "$constraints" "${files[@]}" | sha256sum)
    SHARED_VENV=$DIB_CACHE/$name-${hash:0:12}
    mkdir -p "$DIB_CACHE"
    exec 8>"$DIB_CACHE/lock"
    flock 8
    make_venv "$log" "$SHARED_VENV" "$constraints" "${files[@]}"
    exec 8>&-
}

# install_checkout LOG VENV: the commands and plugins of this checkout.
install_checkout() {
    local log=$1 venv=$2
    # pbr asks git for the version; a checkout of another user or an
    # unpacked archive has none to give.
    git -C "$TOP" describe --always >/dev/null 2>&1 ||
        export PBR_VERSION=${PBR_VERSION:-0.0.1}
    logged "$log" "$venv/bin/pip" install --no-deps --no-build-isolation \
        -e "$TOP"
}
