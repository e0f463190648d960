# What package-installs asks about has to be set, also where no layout is.
export DIB_BLOCK_DEVICE=${DIB_BLOCK_DEVICE:-}
