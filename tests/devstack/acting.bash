# shellcheck shell=bash
# devstack's functions on real servers: Keystone (through identity.py, which
# answers on $IDENTITY_PORT), RabbitMQ, PostgreSQL, Apache and uwsgi. They
# write the same files as devstack's. In place of systemd's units there is a
# pid file for each process, in $DEST/status.
#
# The variables that are not ours are set by the test or by devstack.
# shellcheck disable=SC2154

# clean.sh has run "unstack.sh -a" before: these servers do not answer.
if [[ $MODE == clean ]]; then
    for name in openstack mysql psql rabbitmqctl; do
        eval "function $name { refuse \"$name has no server in clean.sh\"; }"
    done
fi

# Packages and programs

function stand_in_install_package { dpkg-query --show "$@"; }

# The tests have installed the checkout; this looks whether it is this one.
function stand_in_setup_develop {
    local found
    found=$("$DEVSTACK_VENV/bin/python" -c \
        'import dib_service; print(*dib_service.__path__)')
    [[ $found == "$1/dib_service" ]]
}

function stand_in_get_python_exec_prefix { echo "$DEVSTACK_VENV/bin"; }

# Configuration files

function stand_in_iniset {
    local new
    [[ -e $1 ]] || touch "$1"
    new=$(SECTION="[$2]" OPTION=$3 VALUE=$4 awk '
        function put() { print ENVIRON["OPTION"] " = " ENVIRON["VALUE"] }
        /^\[/ {
            if (inside && !done) { put(); done = 1 }
            inside = ($0 == ENVIRON["SECTION"])
        }
        inside && $1 == ENVIRON["OPTION"] {
            if (!done) put()
            done = 1
            next
        }
        { print }
        END {
            if (!done) {
                if (!inside) print "\n" ENVIRON["SECTION"]
                put()
            }
        }' "$1")
    printf '%s\n' "$new" >"$1"
}

function stand_in_setup_logging {
    local format="%(color)s%(levelname)s %(name)s [-%(color)s] \
%(instance)s%(color)s%(message)s"
    stand_in_iniset "$1" DEFAULT logging_default_format_string "$format"
    stand_in_iniset "$1" DEFAULT logging_context_format_string "$format"
    stand_in_iniset "$1" DEFAULT log_color False
}

# Keystone

# ask VERB WORD…: what identity.py answers.
function ask {
    local answer IFS=$'\t'
    exec 3<>"/dev/tcp/127.0.0.1/$IDENTITY_PORT"
    printf '%s\n' "$*" >&3
    answer=$(cat <&3)
    exec 3>&-
    [[ $answer == ok* ]] || refuse "Keystone: $answer"
    printf '%s\n' "${answer#ok }"
}

function stand_in_get_or_create_project { ask project "$@"; }

function stand_in_get_or_create_user { ask user "$@"; }

function stand_in_get_or_add_user_project_role { ask role "$@"; }

function stand_in_get_or_create_service { ask service "$@"; }

function stand_in_get_or_create_endpoint { ask endpoint "$@"; }

function stand_in_create_service_user {
    local role domain=$SERVICE_DOMAIN_NAME
    ask user "$1" "$SERVICE_PASSWORD" "$domain"
    for role in service ${2:-}; do
        ask role "$role" "$1" "$SERVICE_PROJECT_NAME" "$domain" "$domain"
    done
}

function stand_in_configure_keystoneauth {
    local option
    for option in "auth_type password" "interface public" \
        "auth_url $KEYSTONE_SERVICE_URI" "username $2" \
        "password $SERVICE_PASSWORD" \
        "user_domain_name $SERVICE_DOMAIN_NAME" \
        "project_name $SERVICE_PROJECT_NAME" \
        "project_domain_name $SERVICE_DOMAIN_NAME"; do
        stand_in_iniset "$1" "$3" "${option%% *}" "${option#* }"
    done
}

function stand_in_configure_keystone_authtoken_middleware {
    local section=${3:-keystone_authtoken}
    stand_in_configure_keystoneauth "$1" "$2" "$section"
    stand_in_iniset "$1" "$section" www_authenticate_uri \
        "$KEYSTONE_SERVICE_URI"
}

# RabbitMQ

function stand_in_rpc_backend_add_vhost {
    if ! sudo rabbitmqctl list_vhosts | grep -qxF "$1"; then
        sudo rabbitmqctl add_vhost "$1"
        sudo rabbitmqctl set_permissions -p "$1" "$RABBIT_USERID" \
            ".*" ".*" ".*"
    fi
}

function stand_in_iniset_rpc_backend {
    stand_in_iniset "$2" "${3:-DEFAULT}" transport_url \
        "rabbit://$RABBIT_USERID:$RABBIT_PASSWORD@$RABBIT_HOST/${4:-}"
}

# PostgreSQL; psql reads the password from ~/.pgpass, as in a devstack

function stand_in_recreate_database {
    psql -h"$DATABASE_HOST" -U"$DATABASE_USER" -dtemplate1 \
        -c "DROP DATABASE IF EXISTS $1"
    createdb -h "$DATABASE_HOST" -U"$DATABASE_USER" -l C -T template0 \
        -E utf8 "$1"
}

function stand_in_database_connection_url {
    echo "$BASE_SQL_CONN/$1?client_encoding=utf8"
}

function stand_in_initialize_database_backends {
    # shellcheck disable=SC2034
    DATABASE_TYPE=postgresql
}

# Apache and uwsgi

function stand_in_apache_site_config_for {
    echo "$APACHE/sites-available/$1.conf"
}

function stand_in_restart_apache_server {
    kill -HUP "$(cat "$APACHE/apache.pid")"
}

function stand_in_write_uwsgi_config {
    local conf=$1 name=${5:-$(basename "$2")} option site
    local socket=$DEST/run/uwsgi/$name.socket
    [[ -z ${4:-} ]] || refuse "the stand-in knows no uwsgi without Apache"
    rm -f "$conf"
    for option in "module $2" "processes 2" "master true" \
        "die-on-term true" "exit-on-reload false" \
        "worker-reload-mercy $WORKER_TIMEOUT" "enable-threads true" \
        "plugins http,python3" "thunder-lock true" \
        "hook-master-start unix_signal:15 gracefully_kill_them_all" \
        "buffer-size 65535" "add-header Connection: close" \
        "lazy-apps true" "start-time %t" "socket $socket" \
        "chmod-socket 666"; do
        stand_in_iniset "$conf" uwsgi "${option%% *}" "${option#* }"
    done
    site=$(stand_in_apache_site_config_for "$name")
    # -a: devstack's adds a second line when it is called a second time.
    echo "ProxyPass \"$3\" \"unix:$socket|uwsgi://uwsgi-uds-$name\"" \
        "retry=0 acquire=1" | sudo tee -a "$site"
    ln -sf "$site" "$APACHE/sites-enabled/"
    stand_in_restart_apache_server
}

# It leaves the file of the site, as devstack's does.
function stand_in_remove_uwsgi_config {
    rm -f "$1" "$APACHE/sites-enabled/$2.conf"
}

# Processes

function stand_in_run_process {
    local name=$1 words variables
    stand_in_is_service_enabled "$name" || return 0
    read -ra words <<<"$2"
    read -ra variables <<<"${5:-}"
    [[ ${words[0]} == /* ]] || refuse "systemd wants the path of ${words[0]}"
    if [[ $2 == *uwsgi* ]]; then
        words+=(--venv "$DEVSTACK_VENV")
    fi
    if [[ -n ${3:-} && $3:$4 != root:root ]]; then
        refuse "the stand-in knows no group and user but root"
    fi
    (
        # As systemd starts a unit: nothing of this shell's environment.
        cd /
        exec env -i PATH="$PATH" "${variables[@]}" setsid "${words[@]}" \
            </dev/null >>"$DEST/logs/$name.log" 2>&1
    ) &
    echo $! >"$DEST/status/$name.pid"
}

# devstack's units have KillMode=process: only the first process is told.
function stand_in_stop_process {
    local pid until=$((SECONDS + 60))
    stand_in_is_service_enabled "$1" || return 0
    [[ -e $DEST/status/$1.pid ]] || return 0
    pid=$(cat "$DEST/status/$1.pid")
    running "$pid" || refuse "$1 had ended before it was stopped"
    kill "$pid"
    while running "$pid"; do
        [[ $SECONDS -lt $until ]] || refuse "$1 does not end"
        sleep 0.1
    done
    rm "$DEST/status/$1.pid"
}

# running PID: and not only waited for by nobody.
function running {
    local state
    state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 1
    [[ $state != Z ]]
}

function stand_in_wait_for_service {
    local until=$((SECONDS + $1)) code
    while true; do
        code=$(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' "$2") ||
            [[ $? -ne 7 ]] || code=503
        [[ $code == 503 ]] || break
        [[ $SECONDS -lt $until ]] || return 124
        sleep 0.5
    done
}
