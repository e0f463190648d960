export DISTRO_NAME=opensuse
export DIB_RELEASE=${DIB_RELEASE:-15.6}
export DIB_RELEASE=${DIB_RELEASE,,}
export EFI_BOOT_DIR=EFI/opensuse
export DIB_RPM_KEY_NAMES="opensuse/RPM-GPG-KEY-openSUSE-${DIB_RELEASE} opensuse/RPM-GPG-KEY-openSUSE"
