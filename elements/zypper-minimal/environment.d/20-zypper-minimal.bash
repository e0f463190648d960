export DIB_INIT_SYSTEM=systemd
export DIB_RPM_KERNEL=${DIB_RPM_KERNEL:-kernel-default}
