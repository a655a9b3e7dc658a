#!/bin/busybox sh
# The installer of package testdvd: what Anaconda is to a RHEL DVD. Runs as init of the initial ramdisk.
# Lines that begin with "installer: " are for whoever watches the serial port.
export PATH=/bin
/bin/busybox mkdir -p /bin /proc /sys /dev /tmp /cd
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
[ -c /dev/ttyS0 ] && exec >/dev/ttyS0 2>&1

say() { echo "installer: $*"; }

# stay is how an installer ends that needs a person. It must not exit: the kernel would panic.
stay() {
	say "stays on: $*"
	while :; do sleep 3600; done
}

# argument prints the value of a kernel argument.
argument() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p" | tail -n 1; }

# unescape undoes udev's escapes: \x20 for a space.
unescape() { printf '%b' "$1"; }

say "started: $(cat /proc/cmdline)"
while read -r module; do
	insmod "/modules/$module.ko" || stay "module $module does not load"
done </modules/order

case " $(cat /proc/cmdline) " in
*' rd.live.check '*) stay "the menu asks for a media check, which a patched medium cannot pass" ;;
esac

stage2=$(argument inst.stage2)
answer=$(argument inst.ks)
[ -n "$stage2" ] || stay "no inst.stage2 on the kernel's command line"
[ -n "$answer" ] || stay "no inst.ks on the kernel's command line: which language would you like to use?"
case "$stage2 $answer" in
hd:LABEL=*' 'hd:LABEL=*:/*) ;;
*) stay "inst.stage2=$stage2 inst.ks=$answer: not of the form hd:LABEL=<volume id>[:<path>]" ;;
esac
label=${stage2#hd:LABEL=}
answer=${answer#hd:LABEL=}
[ "${answer%%:*}" = "$label" ] || stay "inst.ks and inst.stage2 name different media"
answer=${answer#*:}
label=$(unescape "$label")

# A drive can take a while to appear.
cd=
for _ in 1 2 3 4 5 6 7 8 9 10; do
	for drive in /dev/sr*; do
		[ -b "$drive" ] || continue
		found=$(dd if="$drive" bs=1 skip=32808 count=32 2>/dev/null | sed 's/ *$//')
		[ "$found" = "$label" ] && cd=$drive
	done
	[ -n "$cd" ] && break
	sleep 1
done
[ -n "$cd" ] || stay "no CD is labelled $label"
mount -t iso9660 -o ro "$cd" /cd || stay "$cd does not mount"

[ -f "/cd$answer" ] || stay "there is no $answer on the CD"
cp "/cd$answer" /tmp/answer || stay "$answer cannot be read"
say "answer file: $(wc -c </tmp/answer) bytes"

want=$(sed -n 's/^images\/install.img = sha256://p' /cd/.treeinfo)
have=$(sha256sum /cd/images/install.img | cut -d ' ' -f 1)
[ "$have" = "$want" ] || stay "images/install.img: sha256 is $have, .treeinfo says $want"
say "stage 2: sha256 $have"

# Each %pre section is run by the interpreter that it names, as Anaconda does it; what they print is seen here too.
awk '$1 == "%end" {on = 0}
	on {print >file}
	$1 == "%pre" {
		on = 1
		file = "/tmp/pre." ++n
		shell = "/bin/sh"
		for (i = 2; i <= NF; i++) if ($i ~ /^--interpreter=/) shell = substr($i, 15)
		print shell >(file ".shell")
		printf "" >file
	}' /tmp/answer
for script in /tmp/pre.[0-9] /tmp/pre.[0-9][0-9]; do
	[ -f "$script" ] || continue
	"$(cat "$script.shell")" "$script" || stay "%pre ended with status $?"
	say "%pre: done"
done

for repository in BaseOS AppStream; do
	(cd "/cd/$repository" && sha256sum -c -s repodata/SHA256SUMS) || stay "$repository: packages are damaged"
	say "packages: $repository"
done

# Commands of the answer file are what is outside its sections, and in the files that %include names there: %pre may
# have written them.
awk '$1 ~ /^%(pre|post|packages|addon|anaconda|onerror|traceback|pre-install|certificate)$/ {on = 1}
	!on {print}
	$1 == "%end" {on = 0}' /tmp/answer >/tmp/commands
awk '$1 == "%include" {print $2}' /tmp/commands >/tmp/includes
while read -r file; do
	[ -f "$file" ] || stay "%include $file: there is no such file"
	cat "$file" >>/tmp/commands
done </tmp/includes

disk=$(sed -n 's/^ignoredisk .*--only-use=\([^ ,]*\).*/\1/p' /tmp/commands | tail -n 1)
for candidate in vda sda; do
	[ -z "$disk" ] && [ -b "/dev/$candidate" ] && disk=$candidate
done
disk=/dev/$disk
[ -b "$disk" ] || stay "there is no disk ($disk)"

# Keep in step with disk.go: which sectors hold what.
host=$(sed -n 's/^network .*--hostname=\([^ ]*\).*/\1/p' /tmp/commands | tail -n 1)
{
	echo "metalcue-testdvd 1"
	echo "answer-bytes $(wc -c </tmp/answer)"
	echo "answer-sha256 $(sha256sum /tmp/answer | cut -d ' ' -f 1)"
	echo "stage2-sha256 $have"
	echo "firmware $([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
	echo "serial $(cat /sys/class/dmi/id/product_serial)"
	echo "cmdline $(cat /proc/cmdline)"
} >/tmp/report
[ "$(wc -c </tmp/answer)" -le 1015808 ] || stay "the answer file is too long for its place on the disk"
[ "$(wc -c </tmp/report)" -le 31744 ] || stay "the report is too long for its place on the disk"
{
	dd if=/cd/images/install.img of="$disk" bs=1M &&
		printf '%-511s\n' "installed: ${host:-unnamed}" | dd of="$disk" bs=512 seek=1 conv=notrunc &&
		dd if=/tmp/report of="$disk" bs=512 seek=2 conv=notrunc &&
		dd if=/tmp/answer of="$disk" bs=512 seek=64 conv=notrunc
} 2>/tmp/dd || stay "$disk: $(cat /tmp/dd)"
sync
umount /cd
say "wrote $disk"

end=$(awk '$1 ~ /^(poweroff|shutdown|halt|reboot)$/ {end = $1} END {print end}' /tmp/commands)
case $end in
poweroff | shutdown | halt)
	say "powers off"
	poweroff -f
	;;
reboot)
	say "reboots"
	reboot -f
	;;
*) stay "the answer file does not say how to end" ;;
esac
