# Where the hooks are seen from inside the image, and from there only.
if [ -e /tmp/in_target.d/pypi/pip.conf ]; then
    export PIP_CONFIG_FILE=/tmp/in_target.d/pypi/pip.conf
fi
