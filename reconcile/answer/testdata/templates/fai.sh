#!/bin/sh
# db-01: db, FAI-6.0.3-x86_64, generation 2
metalcue_want=sgh1234567
metalcue_found=
for metalcue_file in product_serial chassis_serial product_uuid; do
	metalcue_have=
	read -r metalcue_have 2>/dev/null <"/sys/class/dmi/id/$metalcue_file" || :
	metalcue_have=$(echo "$metalcue_have" | tr A-Z a-z)
	[ "$metalcue_have" != "$metalcue_want" ] || metalcue_found=$metalcue_file
done
while [ -z "$metalcue_found" ]; do
	for metalcue_console in /dev/console /dev/tty1; do
		echo 'metalcue: this is not the machine with serial number SGH1234567. Nothing was installed; power this machine off by hand.' 2>/dev/null >"$metalcue_console" || :
	done
	sleep 60
done

config=$NEWROOT/var/lib/fai/config
mkdir -p "$config/class" "$config/disk_config" "$config/package_config" "$config/scripts/METALCUE"
echo db-01 >"$NEWROOT/etc/hostname"
cat >"$config/class/db-01" <<'END'
FAIBASE
DEBIAN
METALCUE
END

# The disks, SSDs first.
one='' pair='' seen=''
for kind in 0 1; do
	for sys in /sys/block/*; do
		[ -e "$sys/device" ] || continue
		size=$(cat "$sys/size")
		case $(readlink -f "$sys") in */usb*) continue ;; esac
		if [ "$(cat "$sys/removable")" != 0 ] || [ "$(cat "$sys/queue/rotational")" != "$kind" ] || [ "$size" -lt 31250000 ]; then continue; fi
		if [ -z "$one" ] || { [ "$one_kind" = "$kind" ] && [ "$size" -lt "$one_size" ]; }; then
			one=${sys##*/} one_kind=$kind one_size=$size
		fi
		for other in $seen; do
			if [ "${other%@*}" = "$kind:$size" ] && { [ -z "$pair" ] || { [ "$pair_kind" = "$kind" ] && [ "$size" -lt "$pair_size" ]; }; }; then
				pair="${other#*@} ${sys##*/}" pair_kind=$kind pair_size=$size
			fi
		done
		seen="$seen $kind:$size@${sys##*/}"
	done
done
while [ -z "$one" ]; do
	echo "metalcue: there is no disk to install to." >/dev/console
	sleep 60
done
cat >"$config/class/METALCUE.var" <<END
disklist="${pair:-$one}"
TIMEZONE=Asia/Tokyo
UTC=yes
ROOTPW='!'
END
if [ -n "$pair" ]; then
	cat >"$config/disk_config/METALCUE" <<'END'
disk_config disk1 disklabel:gpt-bios fstabkey:uuid align-at:1M
primary /boot/efi 1G vfat rw
primary - 1G - -
primary - 8G- - -

disk_config disk2 disklabel:gpt-bios fstabkey:uuid align-at:1M
primary - 1G - -
primary - 1G - -
primary - 8G- - -

disk_config raid fstabkey:uuid
raid1 /boot disk1.2,disk2.2 ext4 rw
raid1 - disk1.3,disk2.3 - -

disk_config lvm fstabkey:uuid
vg system md1
system-root / 6G-50G ext4 rw
system-var /var 3G- ext4 rw
system-swap swap 1G swap sw
END
else
	cat >"$config/disk_config/METALCUE" <<'END'
disk_config disk1 disklabel:gpt-bios fstabkey:uuid align-at:1M
primary /boot/efi 1G vfat rw
primary /boot 1G ext4 rw
primary - 8G- - -

disk_config lvm fstabkey:uuid
vg system disk1.3
system-root / 6G-50G ext4 rw
system-var /var 3G- ext4 rw
system-swap swap 1G swap sw
END
fi
cat >"$config/package_config/METALCUE" <<'END'
PACKAGES install
openssh-server lvm2 mdadm efibootmgr
postgresql-server
tmux
END

# Run by FAI when the packages are there.
cat >"$config/scripts/METALCUE/10-server" <<'SCRIPT'
#!/bin/bash
set -eu
install -d -m 700 "$target/root/.ssh"
cat >"$target/root/.ssh/authorized_keys" <<'END'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmetalcue0000000000000000000000000000000000 it's o'brien
END
chmod 600 "$target/root/.ssh/authorized_keys"
mkdir -p "$target/etc/ssh/sshd_config.d"
printf '%s\n' 'PermitRootLogin prohibit-password' 'PasswordAuthentication no' >"$target/etc/ssh/sshd_config.d/01-metalcue.conf"
printf '%s\n' 'auto lo' 'iface lo inet loopback' >"$target/etc/network/interfaces"
cat >"$target/etc/systemd/network/10-mac-aabbcc000003.network" <<'END'
[Match]
PermanentMACAddress=aa:bb:cc:00:00:03
Type=ether
Kind=!*

[Link]
MTUBytes=9000

[Network]
DHCP=no
IPv6AcceptRA=no
Address=192.168.5.11/24
END
cat >"$target/etc/systemd/network/10-eno1.network" <<'END'
[Match]
PermanentMACAddress=aa:bb:cc:00:00:01
Type=ether
Kind=!*

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
END
cat >"$target/etc/systemd/network/10-eno2.network" <<'END'
[Match]
PermanentMACAddress=aa:bb:cc:00:00:02
Type=ether
Kind=!*

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
END
cat >"$target/etc/systemd/network/10-bond0.netdev" <<'END'
[NetDev]
Name=bond0
Kind=bond
MTUBytes=9000

[Bond]
Mode=802.3ad
MIIMonitorSec=100ms
END
cat >"$target/etc/systemd/network/10-bond0.network" <<'END'
[Match]
Name=bond0

[Link]
MTUBytes=9000

[Network]
VLAN=bond0.20
VLAN=bond0.30
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
END
cat >"$target/etc/systemd/network/10-bond0.20.netdev" <<'END'
[NetDev]
Name=bond0.20
Kind=vlan

[VLAN]
Id=20
END
cat >"$target/etc/systemd/network/10-bond0.20.network" <<'END'
[Match]
Name=bond0.20

[Network]
DHCP=no
IPv6AcceptRA=no
Address=10.1.20.11/24
Address=2001:db8:20::11/64
Address=10.1.20.111/24
Gateway=10.1.20.1
Gateway=2001:db8:20::1
DNS=10.1.0.53
DNS=2001:db8::53
END
cat >"$target/etc/systemd/network/10-bond0.30.netdev" <<'END'
[NetDev]
Name=bond0.30
Kind=vlan

[VLAN]
Id=30
END
cat >"$target/etc/systemd/network/10-bond0.30.network" <<'END'
[Match]
Name=bond0.30

[Network]
DHCP=no
IPv6AcceptRA=no
Address=10.1.30.11/24
END
$ROOTCMD systemctl enable systemd-networkd.service
cat >"$target/etc/resolv.conf" <<'END'
nameserver 10.1.0.53
nameserver 2001:db8::53
END
mkdir -p "$target/etc/systemd/timesyncd.conf.d"
printf '[Time]\nNTP=%s\n' 'ntp1.example.com 10.1.0.123' >"$target/etc/systemd/timesyncd.conf.d/metalcue.conf"
cat >"$target/etc/metalcue.json" <<'END'
{"generation":2,"host":"db-01","image":"FAI-6.0.3-x86_64","role":"db"}
END
SCRIPT
chmod 755 "$config/scripts/METALCUE/10-server"
