export PIP_CACHE_DIR=/tmp/pip
