export DISTRO_NAME=rocky
export DIB_RELEASE=${DIB_RELEASE:-10}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/rocky
export YUM=dnf
export DIB_RPM_KEY_NAMES=rocky/RPM-GPG-KEY-Rocky-${DIB_RELEASE%%.*}
export DIB_CLOUD_IMAGES=${DIB_CLOUD_IMAGES:-https://download.rockylinux.org/pub/rocky/$DIB_RELEASE/images/$DIB_CLOUD_IMAGE_MACHINE}
export BASE_IMAGE_FILE=${BASE_IMAGE_FILE:-Rocky-${DIB_RELEASE%%.*}-GenericCloud-Base-*.qcow2}
export DIB_CLOUD_IMAGE_SUMS=${DIB_CLOUD_IMAGE_SUMS:-CHECKSUM}
export DIB_CLOUD_IMAGE_SIGNATURE=${DIB_CLOUD_IMAGE_SIGNATURE:-CHECKSUM.sig}
# The variable is dnf's.
export DIB_CLOUD_IMAGE_MIRRORED="https?://dl\\.rockylinux\\.org/\\\$contentdir"
