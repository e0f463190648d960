export DISTRO_NAME=opensuse
export DIB_RELEASE=${DIB_RELEASE:-16.0}
export DIB_RELEASE=${DIB_RELEASE,,}
export EFI_BOOT_DIR=EFI/opensuse
DIB_RPM_KEY_NAMES="opensuse/RPM-GPG-KEY-openSUSE opensuse/RPM-GPG-KEY-openSUSE-2022"
# Leap has packages of SUSE Linux Enterprise, and of its backports.
case $DIB_RELEASE in
    15.*)
        DIB_RPM_KEY_NAMES+=" opensuse/RPM-GPG-KEY-openSUSE-Backports"
        DIB_RPM_KEY_NAMES+=" opensuse/RPM-GPG-KEY-openSUSE-Backports-2023"
        DIB_RPM_KEY_NAMES+=" suse/RPM-GPG-KEY-SuSE-SLE-15"
        DIB_RPM_KEY_NAMES+=" suse/RPM-GPG-KEY-SuSE-SLE-Main-2023"
        ;;
    16.*)
        DIB_RPM_KEY_NAMES+=" opensuse/RPM-GPG-KEY-openSUSE-16-Backports"
        DIB_RPM_KEY_NAMES+=" suse/RPM-GPG-KEY-SuSE-ALP-Main"
        ;;
esac
export DIB_RPM_KEY_NAMES
