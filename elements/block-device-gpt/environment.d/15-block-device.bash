if [ "${ARCH:-}" = arm64 ]; then
    echo "block-device-gpt: nothing starts an arm64 machine from it; take" \
        "block-device-efi" >&2
    exit 1
fi
export DIB_BLOCK_DEVICE=gpt
