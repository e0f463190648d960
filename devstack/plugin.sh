# shellcheck shell=bash
# dib-service in a devstack: sourced by stack.sh, unstack.sh and clean.sh as
# "plugin.sh MODE [PHASE]". The bottom of the file says what happens when.
#
# The variables that are not ours are devstack's.
# shellcheck disable=SC2154

# A builder is root on its host and so has a configuration of its own, without
# the database and without a credential of the cloud.
DIB_SERVICE_CONF=$DIB_SERVICE_CONF_DIR/dib-service.conf
DIB_BUILDER_CONF=$DIB_SERVICE_CONF_DIR/dib-builder.conf
DIB_API_UWSGI=dib_service.wsgi.api:application
DIB_API_UWSGI_CONF=$DIB_SERVICE_CONF_DIR/dib-api-uwsgi.ini

function dib_service_bin {
    echo "$(get_python_exec_prefix)/$1"
}

function dib_service_url {
    echo "$SERVICE_PROTOCOL://$SERVICE_HOST/image-build"
}

# install_dib_service_packages() - What bindep.txt names for a builder host
function install_dib_service_packages {
    local names
    # In a shell of its own: host.sh has names of its own too.
    names=$(
        # shellcheck source=tools/host.sh
        source "$DIB_SERVICE_DIR/tools/host.sh"
        packages "$DIB_SERVICE_DIR/bindep.txt"
    )
    # shellcheck disable=SC2086
    install_package $names
}

# install_dib_service() - The service, its client and its elements
function install_dib_service {
    setup_develop "$DIB_SERVICE_DIR"
}

# create_dib_service_accounts() - The same users, projects and endpoint as
# tools/lab/accounts.py
function create_dib_service_accounts {
    # Changes the owner of finished images, which takes an admin's role.
    create_service_user dib admin
    # A member of the staging project and of nothing else.
    get_or_create_project "$DIB_SERVICE_STAGING_PROJECT" "$SERVICE_DOMAIN_NAME"
    get_or_create_user dib-upload "$SERVICE_PASSWORD" "$SERVICE_DOMAIN_NAME"
    get_or_add_user_project_role member dib-upload \
        "$DIB_SERVICE_STAGING_PROJECT" \
        "$SERVICE_DOMAIN_NAME" "$SERVICE_DOMAIN_NAME"
    get_or_create_service dib-service image-build "Image Build Service"
    get_or_create_endpoint image-build "$REGION_NAME" "$(dib_service_url)"
}

# configure_dib_service() - Write both configuration files
function configure_dib_service {
    sudo install -d -m 750 -o "$STACK_USER" "$DIB_SERVICE_CONF_DIR"
    sudo install -d -o "$STACK_USER" "$DIB_SERVICE_DATA_DIR"
    rm -f "$DIB_SERVICE_CONF" "$DIB_BUILDER_CONF"
    configure_dib_controller
    configure_dib_builder
    write_uwsgi_config "$DIB_API_UWSGI_CONF" "$DIB_API_UWSGI" "/image-build" \
        "" dib-api
    # uwsgi's command line is not ours: the API finds its file by this.
    iniset "$DIB_API_UWSGI_CONF" uwsgi env \
        "OS_DIB_SERVICE_CONFIG_DIR=$DIB_SERVICE_CONF_DIR"
}

function configure_dib_controller {
    local conf=$DIB_SERVICE_CONF
    configure_dib_process "$conf"
    iniset "$conf" database connection \
        "$(database_connection_url dib_service)"
    iniset "$conf" api auth_strategy keystone
    iniset "$conf" api public_endpoint "$(dib_service_url)"
    configure_keystone_authtoken_middleware "$conf" dib
    configure_keystoneauth "$conf" dib glance
    configure_keystoneauth "$conf" dib-upload glance_upload
    iniset "$conf" glance_upload project_name "$DIB_SERVICE_STAGING_PROJECT"
}

function configure_dib_builder {
    local conf=$DIB_BUILDER_CONF
    configure_dib_process "$conf"
    iniset "$conf" builder state_path "$DIB_SERVICE_DATA_DIR/builder"
    if [[ -n "$DIB_SERVICE_ELEMENT_PATH" ]]; then
        iniset "$conf" builder element_path "$DIB_SERVICE_ELEMENT_PATH"
    fi
}

# configure_dib_process() - What every process needs
function configure_dib_process {
    # Passwords will be in it.
    install -m 640 /dev/null "$1"
    iniset "$1" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$1" DEFAULT transport_url "$(get_transport_url)"
    setup_logging "$1"
}

# init_dib_service() - An empty database, with this host enrolled in it
function init_dib_service {
    local manage id secret
    manage="$(dib_service_bin dib-manage) --config-file $DIB_SERVICE_CONF"
    recreate_database dib_service
    $manage db sync
    read -r id secret < <($manage builder enrol "$(hostname)" --porcelain)
    iniset "$DIB_BUILDER_CONF" builder id "$id"
    iniset "$DIB_BUILDER_CONF" builder secret "$secret"
}

# start_dib_service() - Start what is enabled on this host
function start_dib_service {
    run_process dib-api "$(dib_service_bin uwsgi) --procname-prefix dib-api \
--ini $DIB_API_UWSGI_CONF"
    run_process dib-conductor "$(dib_service_bin dib-conductor) \
--config-file $DIB_SERVICE_CONF"
    # Mounts, chroots and loop devices: root's work.
    run_process dib-builder "$(dib_service_bin dib-builder) \
--config-file $DIB_BUILDER_CONF" root root
    if is_service_enabled dib-api; then
        wait_for_service "$SERVICE_TIMEOUT" "$(dib_service_url)/healthcheck" ||
            die $LINENO "dib-api did not start"
    fi
}

# check_dib_service() - Fail unless the builder registered what it can build:
# that no phase failed says little
function check_dib_service {
    local until=$((SECONDS + SERVICE_TIMEOUT))
    until openstack --os-cloud devstack image element list -f value -c Name |
        grep -qx debian; do
        [[ $SECONDS -lt $until ]] ||
            die $LINENO "dib-builder registered no elements"
        sleep 2
    done
}

# stop_dib_service() - End what start_dib_service started
function stop_dib_service {
    stop_process dib-api
    stop_process dib-builder
    stop_process dib-conductor
}

# cleanup_dib_service() - Remove what configure_dib_service made
function cleanup_dib_service {
    remove_uwsgi_config "$DIB_API_UWSGI_CONF" dib-api
    sudo rm -rf "$DIB_SERVICE_CONF_DIR" "$DIB_SERVICE_DATA_DIR"
}

case "$1 ${2:-}" in
    "stack pre-install")
        install_dib_service_packages
        ;;
    "stack install")
        install_dib_service
        ;;
    "stack post-config")
        # Keystone answers by now; Glance need not yet.
        create_dib_service_accounts
        configure_dib_service
        init_dib_service
        ;;
    "stack extra")
        start_dib_service
        ;;
    "stack test-config")
        if is_service_enabled dib-builder; then
            check_dib_service
        fi
        ;;
    "unstack ")
        stop_dib_service
        ;;
    "clean ")
        cleanup_dib_service
        ;;
esac
