case ${DISTRO_NAME:-} in
    almalinux | centos | fedora | rocky)
        export DIB_SIMPLE_INIT_NETWORKMANAGER=${DIB_SIMPLE_INIT_NETWORKMANAGER:-1}
        ;;
    *)
        export DIB_SIMPLE_INIT_NETWORKMANAGER=${DIB_SIMPLE_INIT_NETWORKMANAGER:-0}
        ;;
esac
# The repository is fetched only if glean is to come from it.
if [ "${DIB_INSTALLTYPE_simple_init:-}" = repo ]; then
    export DIB_INSTALLTYPE_glean=source
else
    export DIB_INSTALLTYPE_glean=package
fi
