export DISTRO_NAME=rhel
export DIB_RELEASE=${DIB_RELEASE:-9}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/redhat
export YUM=dnf
export DIB_RPM_KEY_NAMES="redhat/RPM-GPG-KEY-redhat${DIB_RELEASE%%.*}-release RPM-GPG-KEY-redhat-release"
