#!/bin/busybox sh
# The first process of the system that `bootslang initramfs --busybox` makes. Linux starts it as /init, with
# /dev/console open. It ends by powering the machine off.

export HOME=/root PATH=/sbin:/bin:/usr/sbin:/usr/bin PS1='\w # '
WAIT_SECONDS=10 # A disk may appear after init has started: USB takes some seconds.

mount_system() {
    /bin/busybox mount -t proc proc /proc # `--install` finds its own program there.
    /bin/busybox --install -s
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    mkdir -p /dev/pts
    mount -t devpts devpts /dev/pts
    dmesg -n 4 # Only errors from here on: the kernel's notes would run into the shell's output.
}

load_modules() {
    for module in /lib/modules/*.ko; do
        [ -e "$module" ] && insmod "$module"
    done
}

say_hello() {
    read -r seconds rest </proc/uptime
    echo
    echo "  Bootslang booted $(uname -s) $(uname -r) on $(uname -m)."
    echo "  The kernel took $seconds s to reach user space."
    echo
}

# The value of the last word on the kernel's command line that begins with $1=.
option() {
    set -f
    value=
    for word in $(cat /proc/cmdline); do
        case $word in "$1="*) value=${word#*=} ;; esac
    done
    set +f
    echo "$value"
}

# Bytes of the disk $1 at offset $2, $3 of them, in the format $4.
bytes() {
    hexdump -s "$2" -n "$3" -e "$4" "/dev/$1"
}

# The PARTUUID of the partition that the directory $1 of sysfs describes, as Linux itself makes it: a GPT has one for
# each partition; with an MBR it is the disk's signature and the partition's number. Linux tells it nowhere.
partuuid() {
    disk=$(basename "$(dirname "$(readlink -f "$1")")")
    number=$(cat "$1/partition")
    sector=$(cat "$1/../queue/logical_block_size")
    if [ "$(bytes "$disk" "$sector" 8 '8/1 "%c"')" = 'EFI PART' ]; then
        table=$(bytes "$disk" $((sector + 72)) 4 '1/4 "%u"')
        entry=$(bytes "$disk" $((sector + 84)) 4 '1/4 "%u"')
        at=$((table * sector + (number - 1) * entry + 16))
        bytes "$disk" "$at" 8 '1/4 "%08x" 2/2 "-%04x"'
        bytes "$disk" $((at + 8)) 2 '"-" 2/1 "%02x"'
        bytes "$disk" $((at + 10)) 6 '"-" 6/1 "%02x"'
    else
        bytes "$disk" 440 4 '1/4 "%08x"'
        printf -- '-%02x' "$number"
    fi
}

# The device that root= names, once it is there.
device_of() {
    case $1 in
        PARTUUID=*)
            wanted=$(echo "${1#*=}" | tr A-F a-f)
            for partition in /sys/class/block/*/partition; do
                [ -e "$partition" ] || continue
                partition=${partition%/partition}
                if [ "$(partuuid "$partition")" = "$wanted" ]; then
                    echo "/dev/${partition##*/}"
                    return
                fi
            done
            ;;
        *) [ -b "$1" ] && echo "$1" ;;
    esac
}

mount_root() {
    root=$(option root)
    [ -n "$root" ] || return
    device=
    tries=$((WAIT_SECONDS * 10))
    until device=$(device_of "$root") && [ -n "$device" ]; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "root=$root: no such partition after $WAIT_SECONDS s. There are: $(cd /sys/class/block && echo *)"
            return
        fi
        usleep 100000
    done
    type=$(option rootfstype)
    mode=rw
    grep -qw ro /proc/cmdline && mode=ro
    if mount -t "${type:-ext4}" -o "$mode" "$device" /mnt; then
        echo "$device is mounted on /mnt (${type:-ext4}, $mode)."
    else
        echo "root=$root: $device could not be mounted as ${type:-ext4}."
    fi
}

mount_system
load_modules
say_hello
mount_root
cd /root || cd /
[ -x /etc/start ] && /etc/start
setsid cttyhack sh
sync
umount /mnt 2>/dev/null
poweroff -f
