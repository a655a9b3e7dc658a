package answer

import (
	"errors"
	"strings"
)

// identityCheck returns commands for any POSIX shell, busybox' too, that go on
// only if the machine is the one that NetBox describes: if one of the numbers
// in its DMI tables equals the device's serial number, letter case aside.
// Otherwise they say so on the console for ever, for a machine that powers off
// would be taken for installed.
func (v *view) identityCheck() (string, error) {
	serial := strings.TrimSpace(v.Device.Serial)
	if serial == "" {
		return "", errors.New("NetBox has no serial number for this device, and without one the installer cannot tell that it runs on the right machine")
	}
	if strings.ContainsFunc(serial, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("the serial number in NetBox is not printable ASCII, and DMI tables hold nothing else")
	}
	return strings.NewReplacer("@WANT@", quoteWord(strings.ToLower(serial)), "@SAY@", quoteWord("metalcue: this is not the machine with serial number "+serial+
		". Nothing was installed; power this machine off by hand.")).Replace(identityScript), nil
}

const identityScript = `metalcue_want=@WANT@
metalcue_found=
for metalcue_file in product_serial chassis_serial product_uuid; do
	metalcue_have=
	read -r metalcue_have 2>/dev/null <"/sys/class/dmi/id/$metalcue_file" || :
	metalcue_have=$(echo "$metalcue_have" | tr A-Z a-z)
	[ "$metalcue_have" != "$metalcue_want" ] || metalcue_found=$metalcue_file
done
while [ -z "$metalcue_found" ]; do
	for metalcue_console in /dev/console /dev/tty1; do
		echo @SAY@ 2>/dev/null >"$metalcue_console" || :
	done
	sleep 60
done`
