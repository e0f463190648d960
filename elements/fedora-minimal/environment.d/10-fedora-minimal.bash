export DISTRO_NAME=fedora
export DIB_RELEASE=${DIB_RELEASE:-43}
export EFI_BOOT_DIR=EFI/fedora
export DIB_RPM_KEY_NAMES="fedora/RPM-GPG-KEY-fedora-${DIB_RELEASE}-primary"
