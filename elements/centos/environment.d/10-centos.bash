export DISTRO_NAME=centos
export DIB_RELEASE=${DIB_RELEASE:-10-stream}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/centos
export YUM=dnf
case $DIB_RELEASE in
    9-stream) export DIB_RPM_KEY_NAMES=centos/RPM-GPG-KEY-CentOS-Official ;;
    *) export DIB_RPM_KEY_NAMES=centos/RPM-GPG-KEY-CentOS-Official-SHA256 ;;
esac
export DIB_CLOUD_IMAGES=${DIB_CLOUD_IMAGES:-https://cloud.centos.org/centos/$DIB_RELEASE/$DIB_CLOUD_IMAGE_MACHINE/images}
export BASE_IMAGE_FILE=${BASE_IMAGE_FILE:-CentOS-Stream-GenericCloud-${DIB_RELEASE%%-*}-2*.qcow2}
export DIB_CLOUD_IMAGE_SUMS=${DIB_CLOUD_IMAGE_SUMS:-CHECKSUM}
# The image names its mirrors by metalinks alone; the variables are dnf's.
stream="(\\\$stream|$DIB_RELEASE)"
DIB_CLOUD_IMAGE_METALINKS="centos-baseos-$stream=$DIB_RELEASE/BaseOS/\$basearch/os"
DIB_CLOUD_IMAGE_METALINKS+=" centos-appstream-$stream=$DIB_RELEASE/AppStream/\$basearch/os"
DIB_CLOUD_IMAGE_METALINKS+=" centos-crb-$stream=$DIB_RELEASE/CRB/\$basearch/os"
DIB_CLOUD_IMAGE_METALINKS+=" centos-extras-sig-extras-common-$stream=SIGs/$DIB_RELEASE/extras/\$basearch/extras-common"
export DIB_CLOUD_IMAGE_METALINKS
unset stream
export DIB_CLOUD_IMAGE_SIGNATURE=${DIB_CLOUD_IMAGE_SIGNATURE:-CHECKSUM.asc}
