export DISTRO_NAME=rocky
export DIB_RELEASE=${DIB_RELEASE:-10}
export EFI_BOOT_DIR=EFI/rocky
export DIB_RPM_KEY_NAMES="rocky/RPM-GPG-KEY-Rocky-${DIB_RELEASE%%.*}"
