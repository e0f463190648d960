# Where the hooks are seen from inside the image, and from there only. What is
# exported counts more with pip than what stands in its file: a person's build
# has that person's PIP_CERT, the name of a file that is not in the image.
if [ -e /tmp/in_target.d/pypi/pip.conf ]; then
    export PIP_CONFIG_FILE=/tmp/in_target.d/pypi/pip.conf
fi
if [ -e /tmp/in_target.d/pypi/cert.pem ]; then
    export PIP_CERT=/tmp/in_target.d/pypi/cert.pem
fi
