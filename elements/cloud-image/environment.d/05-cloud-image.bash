# What a processor is called in the names of images.
case $ARCH in
    amd64) export DIB_CLOUD_IMAGE_MACHINE=x86_64 ;;
    arm64) export DIB_CLOUD_IMAGE_MACHINE=aarch64 ;;
    *) export DIB_CLOUD_IMAGE_MACHINE=$ARCH ;;
esac
