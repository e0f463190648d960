# shellcheck shell=bash
# dib-service in a devstack: sourced by stack.sh, unstack.sh and clean.sh as
# "plugin.sh MODE [PHASE]". What happens when is here; how, in lib/.
#
# The variables that are not ours are devstack's.
# shellcheck disable=SC2154

# stack.sh traces what it runs, and our commands have passwords in them.
_XTRACE_DIB_SERVICE=$(set +o | grep xtrace)
set +o xtrace

# shellcheck source=devstack/lib/setup
source "$DIB_SERVICE_DIR/devstack/lib/setup"
# shellcheck source=devstack/lib/run
source "$DIB_SERVICE_DIR/devstack/lib/run"
# shellcheck source=devstack/lib/undo
source "$DIB_SERVICE_DIR/devstack/lib/undo"

case "$1 ${2:-}" in
    "stack pre-install")
        install_dib_service_packages
        ;;
    "stack install")
        setup_develop "$DIB_SERVICE_DIR"
        ;;
    "stack post-config")
        # Keystone answers by now; Glance need not yet. local.conf's
        # [[post-config|$DIB_SERVICE_CONF]] is applied after this.
        if is_service_enabled dib-api; then
            create_dib_service_accounts
            create_dib_service_vhost
            create_dib_service_database
        fi
        configure_dib_service
        ;;
    "stack extra")
        start_dib_service
        ;;
    "stack test-config")
        check_dib_service
        build_dib_service_sample
        ;;
    "unstack ")
        stop_dib_service
        # clean.sh and "unstack.sh -a" go on to end the database, the broker
        # and Keystone: what is ours in them can only be removed now.
        if [[ -n "${UNSTACK_ALL:-}" ]]; then
            forget_dib_service
        fi
        ;;
    "clean ")
        remove_dib_service_files
        ;;
esac

$_XTRACE_DIB_SERVICE
