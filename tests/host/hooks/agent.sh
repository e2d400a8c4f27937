#!/bin/sh
# An operator's own tool: it gives $VDC_SERVER version $VDC_VERSION of an agent, or tells whether that runs there.
set -eu
there() { ssh -F "$VDC_SSH_CONFIG" "$VDC_SERVER" sh -s "$VDC_VERSION"; }
case $1 in
  put) there <<'END'
systemctl stop agent 2>/dev/null || :
[ "$1" = none ] || systemd-run --quiet --unit=agent --setenv=AGENT="$1" sleep infinity
END
  ;;
  check) there <<'END'
pid=$(systemctl show --value --property=MainPID agent)
if [ "$pid" = 0 ]; then [ "$1" = none ]; else grep -zqx "AGENT=$1" "/proc/$pid/environ"; fi
END
  ;;
esac
