export DISTRO_NAME=ubuntu
export DIB_RELEASE=${DIB_RELEASE:-noble}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/ubuntu
# The agent's elements of a ramdisk set Debian's own for whichever it is.
case ${DIB_DEBIAN_COMPONENTS:-} in
    '' | *contrib* | *non-free*) DIB_DEBIAN_COMPONENTS=main,universe ;;
esac
export DIB_DEBIAN_COMPONENTS=${DIB_UBUNTU_COMPONENTS:-$DIB_DEBIAN_COMPONENTS}
export DIB_DEBIAN_KERNEL=${DIB_UBUNTU_KERNEL:-linux-image-generic}
case $DIB_DEBIAN_KERNEL:$DIB_RELEASE in
    linux-image-hwe:jammy) DIB_DEBIAN_KERNEL=linux-image-generic-hwe-22.04 ;;
    linux-image-hwe:noble) DIB_DEBIAN_KERNEL=linux-image-generic-hwe-24.04 ;;
    linux-image-hwe:resolute) DIB_DEBIAN_KERNEL=linux-image-generic-hwe-26.04 ;;
esac
