export DISTRO_NAME=centos
export DIB_RELEASE=${DIB_RELEASE:-10-stream}
export EFI_BOOT_DIR=EFI/centos
case $DIB_RELEASE in
    9-stream) DIB_RPM_KEY_NAMES=centos/RPM-GPG-KEY-CentOS-Official ;;
    *) DIB_RPM_KEY_NAMES=centos/RPM-GPG-KEY-CentOS-Official-SHA256 ;;
esac
# What extras-common is signed with.
DIB_RPM_KEY_NAMES+=" centos/RPM-GPG-KEY-CentOS-SIG-Extras-SHA512"
DIB_RPM_KEY_NAMES+=" centos/RPM-GPG-KEY-CentOS-SIG-Extras"
export DIB_RPM_KEY_NAMES
