export DISTRO_NAME=opensuse
export DIB_RELEASE=${DIB_RELEASE:-16.0}
export DIB_RELEASE=${DIB_RELEASE,,}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/opensuse
export DIB_RPM_KEY_NAMES="opensuse/RPM-GPG-KEY-openSUSE-2022 opensuse/RPM-GPG-KEY-openSUSE"
case $DIB_RELEASE:$DIB_CLOUD_IMAGE_MACHINE in
    tumbleweed:aarch64) DIB_CLOUD_IMAGES=${DIB_CLOUD_IMAGES:-https://download.opensuse.org/ports/aarch64/tumbleweed/appliances} ;;
    tumbleweed:*) DIB_CLOUD_IMAGES=${DIB_CLOUD_IMAGES:-https://download.opensuse.org/tumbleweed/appliances} ;;
    *) DIB_CLOUD_IMAGES=${DIB_CLOUD_IMAGES:-https://download.opensuse.org/distribution/leap/$DIB_RELEASE/appliances} ;;
esac
# Since Leap 16 it is not called openSUSE there.
case $DIB_RELEASE in
    tumbleweed) BASE_IMAGE_FILE=${BASE_IMAGE_FILE:-openSUSE-Tumbleweed-Minimal-VM.$DIB_CLOUD_IMAGE_MACHINE-Cloud.qcow2} ;;
    15.*) BASE_IMAGE_FILE=${BASE_IMAGE_FILE:-openSUSE-Leap-$DIB_RELEASE-Minimal-VM.$DIB_CLOUD_IMAGE_MACHINE-Cloud.qcow2} ;;
    *) BASE_IMAGE_FILE=${BASE_IMAGE_FILE:-Leap-$DIB_RELEASE-Minimal-VM.$DIB_CLOUD_IMAGE_MACHINE-Cloud.qcow2} ;;
esac
export BASE_IMAGE_FILE DIB_CLOUD_IMAGES
export DIB_CLOUD_IMAGE_SUMS=${DIB_CLOUD_IMAGE_SUMS:-$BASE_IMAGE_FILE.sha256}
export DIB_CLOUD_IMAGE_SIGNATURE=${DIB_CLOUD_IMAGE_SIGNATURE:-$BASE_IMAGE_FILE.sha256.asc}
export DIB_CLOUD_IMAGE_MIRRORED='https?://(download|cdn)\.opensuse\.org'
