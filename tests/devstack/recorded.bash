# shellcheck shell=bash
# devstack's functions for unit tests: all are written down in $CALLS, those
# that answer something answer, those that write files write them.

for name in apache_site_config_for configure_keystone_authtoken_middleware \
    create_service_user define_plugin enable_service \
    get_or_add_user_project_role get_or_create_endpoint \
    get_or_create_project get_or_create_service get_or_create_user \
    initialize_database_backends install_package recreate_database \
    remove_uwsgi_config restart_apache_server rpc_backend_add_vhost \
    run_process setup_develop setup_logging stop_process wait_for_service \
    write_uwsgi_config; do
    eval "function stand_in_$name {
        echo $name \"\$*\" >>\"\$CALLS\"
        answer_$name \"\$@\"
    }
    function answer_$name { :; }"
done

function sudo { "$@"; }

for name in rabbitmqctl mysql psql; do
    eval "function $name { echo $name \"\$*\" >>\"\$CALLS\"; }"
done

function stand_in_die {
    echo "$*" >&2
    exit 1
}

function answer_enable_service {
    local name
    for name in "$@"; do
        ENABLED_SERVICES+=,$name
    done
}

function stand_in_is_service_enabled {
    local name
    for name in "$@"; do
        if [[ ,$ENABLED_SERVICES, == *,$name,* ]]; then
            return 0
        fi
    done
    return 1
}

function answer_initialize_database_backends {
    # shellcheck disable=SC2034
    DATABASE_TYPE=postgresql DATABASE_HOST=db DATABASE_USER=root
}

function answer_apache_site_config_for { echo "$DEST/sites/$1.conf"; }

function stand_in_get_python_exec_prefix { echo "$DEST/bin"; }

function stand_in_database_connection_url {
    echo "postgresql://root:secret@db/$1"
}

function stand_in_iniset {
    printf '[%s]\n%s = %s\n' "$2" "$3" "$4" >>"$1"
}

function stand_in_iniset_rpc_backend {
    stand_in_iniset "$2" "$3" transport_url "rabbit://secret@broker/$4"
}

function stand_in_configure_keystoneauth {
    stand_in_iniset "$1" "$3" interface public
    stand_in_iniset "$1" "$3" username "$2"
    stand_in_iniset "$1" "$3" password secret
    stand_in_iniset "$1" "$3" project_name service
}

function answer_configure_keystone_authtoken_middleware {
    stand_in_configure_keystoneauth "$1" "$2" keystone_authtoken
}

function answer_write_uwsgi_config {
    stand_in_iniset "$1" uwsgi module "$2"
}

function answer_remove_uwsgi_config { rm -f "$1"; }
