case ${DIB_INIT_SYSTEM:-} in
    systemd | upstart | openrc | sysv) ;;
    *)
        echo "DIB_INIT_SYSTEM is '${DIB_INIT_SYSTEM:-}': the base distribution" \
            "element has to set systemd, upstart, openrc or sysv" >&2
        exit 1
        ;;
esac
