export DIB_INIT_SYSTEM=systemd
export YUM=${YUM:-dnf}
export DIB_RPM_KERNEL=${DIB_RPM_KERNEL:-kernel}
