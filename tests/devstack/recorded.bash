# shellcheck shell=bash
# devstack's functions for unit tests: those that answer something answer,
# those that write files write them, the others do nothing.

for name in create_service_user get_or_add_user_project_role \
    get_or_create_endpoint get_or_create_project get_or_create_service \
    get_or_create_user install_package recreate_database \
    restart_apache_server rpc_backend_add_vhost run_process setup_develop \
    setup_logging stop_process wait_for_service; do
    eval "function stand_in_$name { :; }"
done

for name in rabbitmqctl mysql psql; do
    eval "function $name { echo $name \"\$*\" >>\"\$CALLS\"; }"
done

function stand_in_initialize_database_backends {
    # shellcheck disable=SC2034
    DATABASE_TYPE=postgresql DATABASE_HOST=db DATABASE_USER=root
}

function stand_in_apache_site_config_for { echo "$DEST/sites/$1.conf"; }

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

function stand_in_configure_keystone_authtoken_middleware {
    stand_in_configure_keystoneauth "$1" "$2" keystone_authtoken
}

function stand_in_write_uwsgi_config {
    stand_in_iniset "$1" uwsgi module "$2"
}

function stand_in_remove_uwsgi_config { rm -f "$1"; }
