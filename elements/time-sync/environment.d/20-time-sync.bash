case ${DISTRO_NAME:-} in
    debian | ubuntu) export DIB_TIME_SYNC=${DIB_TIME_SYNC:-timesyncd} ;;
    *) export DIB_TIME_SYNC=${DIB_TIME_SYNC:-chrony} ;;
esac
export DIB_NTP_SERVERS=${DIB_NTP_SERVERS:-}
