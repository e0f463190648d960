# Appended to initramfs-tools' hook-functions while the initramfs is made.
#
# The function of that name starts some ten programs for every module, ten
# thousand in all. This one asks once for a whole list of modules and copies
# once; what is in the initramfs in the end is the same.
manual_add_modules()
{
    if [ $# -eq 0 ]; then
        return
    fi

    dib_wanted=
    for dib_module in $({
        modprobe --all --set-version="${version:?}" --ignore-install \
            --quiet --show-depends "$@"
        modprobe --all --set-version="${version:?}" \
            --quiet --show-depends "$@"
    } | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'); do
        if [ ! -f "$dib_module" ]; then
            continue
        elif [ -h "$dib_module" ]; then
            # Whoever built it elsewhere gets the link and what it points to.
            copy_file module "$dib_module" || continue
        fi
        case $dib_module in
            /lib/*) dib_module=/usr$dib_module ;;
        esac
        if [ ! -e "${DESTDIR:?}$dib_module" ]; then
            dib_wanted="$dib_wanted $dib_module"
        fi
    done
    if [ -z "$dib_wanted" ]; then
        return
    fi

    # Paths of modules have no blanks in them.
    # shellcheck disable=SC2086
    cp --preserve=all --no-dereference --parents --target-directory="$DESTDIR" \
        $dib_wanted
    # shellcheck disable=SC2086
    for dib_firmware in $(modinfo -k "$version" -F firmware $dib_wanted \
        | sort -u); do
        add_firmware "$dib_firmware" || true
    done
}
