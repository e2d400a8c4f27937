"""What is added to the release images: units, drop-ins and configuration, as text."""

from __future__ import annotations

_NETWORK_UNIT = """\
[Unit]
Description=Addresses of this server, from its config disk
DefaultDependencies=no
After=systemd-sysctl.service
Before=network.target
Wants=network.target
ConditionPathExists=/etc/vdc/network

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/vdc/network
"""

# Without what Debian runs before it: two checks of a configuration that is right.
_BIRD_EARLY = """\
[Unit]
DefaultDependencies=no
ConditionPathExists=/etc/vdc/network
After=vdc-network.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Group=bird
RuntimeDirectory=bird
RuntimeDirectoryMode=0775
ExecStartPre=
Restart=always
RestartSec=1
"""

# Debian has udev start the agent, which is late; its port is there before systemd is. It notes each poll for the end
# of a command, hence the log level.
_AGENT_UNIT = """\
[Unit]
Description=QEMU Guest Agent
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/sbin/qemu-ga
Restart=always
RestartSec=0
LogLevelMax=notice
"""

# A getty would wait for udev, hang up the tty and log in at once. A shell starts when somebody presses Enter.
_CONSOLE_UNIT = """\
[Unit]
Description=Root's shell on the serial console

[Service]
WorkingDirectory=/root
Environment=HOME=/root TERM=linux
ExecStart=sh -c 'echo; echo "Press Enter for a shell."; read -r _; exec bash --login'
StandardInput=tty-force
StandardOutput=tty
TTYPath=/dev/ttyS0
Restart=always
RestartSec=0
SendSIGHUP=yes
KillMode=process
"""

_SSH_SOCKET = """\
[Unit]
Description=SSH, one process for each connection

[Socket]
ListenStream=22
Accept=yes
"""

_SSH_UNIT = """\
[Unit]
Description=SSH connection

[Service]
ExecStart=-/usr/sbin/sshd -i
StandardInput=socket
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
KillMode=process
"""

# Each confinement is a mount namespace, a BPF program or a system call filter, made anew at each boot: most of what
# these services cost under emulation.
UNCONFINED = """\
[Service]
DeviceAllow=
IPAddressDeny=
LoadCredential=
LockPersonality=no
MemoryDenyWriteExecute=no
PrivateMounts=no
PrivateTmp=no
ProtectClock=no
ProtectControlGroups=no
ProtectHome=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectSystem=no
ReadWritePaths=
RestrictAddressFamilies=
RestrictNamespaces=no
RestrictRealtime=no
RestrictSUIDSGID=no
SystemCallArchitectures=
SystemCallFilter=
"""

# The agent and BIRD are what somebody waits for; what they log until then waits in the journal's sockets.
_LATE = """\
[Unit]
After=bird.service qemu-guest-agent.service
"""

# The power button is an input device. All other modules that these servers need are loaded by the initial RAM disk, or
# by the kernel when they are asked for.
_COLDPLUG = """\
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=input --subsystem-match=block
"""

# Nothing else is empty at each boot.
_TMPFILES = """\
[Service]
ExecStart=
ExecStart=systemd-tmpfiles --create --prefix=/run
"""


def image_files(unconfined: str) -> tuple[tuple[str, str], ...]:
    """Return the files of a release's image: pairs of absolute path and text; `unconfined` lifts confinements."""
    confined = ("systemd-journald", "systemd-logind", "systemd-sysctl", "systemd-tmpfiles-setup", "systemd-udevd")
    late = ("systemd-journald", "systemd-tmpfiles-setup", "systemd-udev-trigger", "systemd-udevd")
    return (
        ("/etc/fstab", ""),
        ("/etc/systemd/system/vdc-network.service", _NETWORK_UNIT),
        ("/etc/systemd/system/qemu-guest-agent.service", _AGENT_UNIT),
        ("/etc/systemd/system/vdc-console.service", _CONSOLE_UNIT),
        ("/etc/systemd/system/ssh.socket", _SSH_SOCKET),
        ("/etc/systemd/system/ssh@.service", _SSH_UNIT),
        _drop_in("bird", "early", _BIRD_EARLY),
        _drop_in("systemd-udev-trigger", "coldplug", _COLDPLUG),
        _drop_in("systemd-tmpfiles-setup", "tmpfiles", _TMPFILES),
        *(_drop_in(service, "unconfined", unconfined) for service in confined),
        *(_drop_in(service, "late", _LATE) for service in late),
        ("/etc/systemd/journald.conf.d/vdc.conf", "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n"),
        ("/etc/systemd/system.conf.d/vdc.conf", "[Manager]\nDefaultMemoryAccounting=no\nDefaultTasksAccounting=no\n"),
    )


def _drop_in(service: str, name: str, text: str) -> tuple[str, str]:
    return f"/etc/systemd/system/{service}.service.d/{name}.conf", text


_STOCK_CONFIG_UNIT = """\
[Unit]
Description=This server's identity and files, from its config disk
DefaultDependencies=no
Before=systemd-journald.service systemd-sysctl.service sysinit.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=tar -x -f /dev/vdc -C /
ExecStart=hostname --file /etc/hostname
"""

_STOCK_NETWORK_UNIT = """\
[Unit]
Description=Addresses of this server, from its config disk
DefaultDependencies=no
Wants=ifupdown-pre.service network.target
After=ifupdown-pre.service systemd-sysctl.service vdc-config.service
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/vdc/network
"""

STOCK_FILES = (
    ("/etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n/dev/vdb /data ext4 defaults 0 2\n"),
    ("/etc/systemd/system/vdc-config.service", _STOCK_CONFIG_UNIT),
    ("/etc/systemd/system/vdc-network.service", _STOCK_NETWORK_UNIT),
)
