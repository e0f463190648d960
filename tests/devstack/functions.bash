# shellcheck shell=bash
# The functions of devstack that its plugins may use: nothing else can be
# called, and none with too few or too many words. Each call is written down in
# $CALLS. What the function does is in the file that $STAND_INS names, as
# "stand_in_NAME".

# refuse TEXT: keep what the plugin did wrong, for its caller may hide that it
# failed; and end.
function refuse {
    printf '%s\n' "$*" >>"$REFUSED"
    printf 'refused: %s\n' "$*" >&2
    exit 1
}

function command_not_found_handle {
    printf '%s is neither a program nor a function of devstack\n' "$1" \
        >>"$REFUSED"
    return 127
}

# accept NAME LEAST MOST WHERE COUNT: only so many words, and only where
# devstack has read the file that has this function.
function accept {
    local name=$1 least=$2 most=$3 where=$4 count=$5
    if [[ $count -lt $least || ($most != any && $count -gt $most) ]]; then
        refuse "$name takes $least to $most words and was given $count"
    fi
    if [[ $where != any && $where != *$MODE* ]]; then
        refuse "$name does not exist in $MODE.sh"
    fi
}

# Each function with the least and the most words that it takes, and the
# scripts (stack, unstack, clean) in which there is one.
while read -r name least most where; do
    eval "function $name {
        accept $name $least $most $where \$#
        echo $name \"\$*\" >>\"\$CALLS\"
        stand_in_$name \"\$@\"
    }"
done <<'TABLE'
apache_site_config_for 1 1 any
configure_keystone_authtoken_middleware 2 4 any
configure_keystoneauth 3 3 any
create_service_user 1 2 any
database_connection_url 1 1 any
define_plugin 1 1 any
die 2 any any
enable_service 1 any any
get_or_add_user_project_role 3 5 any
get_or_create_endpoint 3 5 any
get_or_create_project 2 2 any
get_or_create_service 3 3 any
get_or_create_user 3 4 any
get_python_exec_prefix 0 0 any
iniset 4 5 any
iniset_rpc_backend 2 4 stack,clean
initialize_database_backends 0 0 any
install_package 1 any any
is_service_enabled 1 any any
recreate_database 1 1 any
remove_uwsgi_config 2 2 any
restart_apache_server 0 0 any
rpc_backend_add_vhost 1 1 stack,clean
run_process 2 5 any
setup_develop 1 3 any
setup_logging 1 1 any
stop_process 1 1 any
wait_for_service 2 2 any
write_uwsgi_config 3 5 any
TABLE

# What is the same in all tests.

function stand_in_define_plugin { :; }

function stand_in_die {
    printf '%s\n' "$*" >&2
    exit 1
}

function stand_in_enable_service {
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

# The tests are root already.
function sudo { "$@"; }
