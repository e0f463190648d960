# The name that each distribution's own cloud image gives to its user.
case ${DISTRO_NAME:-} in
    centos | centos7 | rhel | rhel7) dib_default_user=cloud-user ;;
    *) dib_default_user=${DISTRO_NAME:-cloud-user} ;;
esac
case ${DISTRO_NAME:-} in
    almalinux | centos* | fedora | opensuse | rhel* | rocky | sles)
        dib_default_network=networkmanager
        ;;
    *)
        dib_default_network=networkd
        ;;
esac
export DIB_METADATA_INIT_USER=${DIB_METADATA_INIT_USER:-$dib_default_user}
export DIB_METADATA_INIT_NETWORK=${DIB_METADATA_INIT_NETWORK:-$dib_default_network}
export DIB_METADATA_INIT_SECONDS=${DIB_METADATA_INIT_SECONDS:-60}
