export DISTRO_NAME=rhel
export DIB_RELEASE=${DIB_RELEASE:-10}
export EFI_BOOT_DIR=EFI/redhat
export DIB_RPM_KEY_NAMES="redhat/RPM-GPG-KEY-redhat${DIB_RELEASE%%.*}-release RPM-GPG-KEY-redhat-release"
