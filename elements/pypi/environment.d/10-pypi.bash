# Where the hooks are seen from inside the image, and from there only. What is
# exported counts more with pip than what stands in its file, and with the
# library below it REQUESTS_CA_BUNDLE counts more than either: a person's build
# has that person's, names of files that are not those of the image.
if [ -e /tmp/in_target.d/pypi/pip.conf ]; then
    export PIP_CONFIG_FILE=/tmp/in_target.d/pypi/pip.conf
fi
if [ -e /tmp/in_target.d/pypi/cert.pem ]; then
    export PIP_CERT=/tmp/in_target.d/pypi/cert.pem
    export REQUESTS_CA_BUNDLE=$PIP_CERT
fi
