package marker

import "strings"

// placeholders are the values that vendors ship in an asset tag that nobody has
// set, as SMBIOS and Redfish show them, in lower case. A tag that a person may
// have meant is not among them: it counts as foreign, and nothing is written
// over it.
var placeholders = map[string]bool{
	"":                       true,
	"default string":         true, // AMI, Supermicro, DGX
	"to be filled by o.e.m.": true, // AMI
	"to be filled by o.e.m":  true,
	"tobefilledbyoem":        true,
	"filled by oem":          true,
	"free form asset tag":    true, // Quanta, NVIDIA, other AMI MegaRAC
	"$product_asset_tag":     true, // NVIDIA GB200
	"$chassis_asset_tag":     true,
	"asset tag":              true,
	"asset-1234567890":       true, // ASUS
	"no asset tag":           true, // Lenovo
	"no asset information":   true,
	"base board asset tag":   true,
	"chassis asset tag":      true,
	"default asset tag":      true,
	"not specified":          true, // SMBIOS decoders' words, which some BMCs copy
	"not available":          true,
	"not set":                true,
	"not applicable":         true,
	"unknown":                true,
	"none":                   true,
	"null":                   true,
	"n/a":                    true,
	"<out of spec>":          true,
}

// fillers are the bytes that an unset field of fixed length is full of.
const fillers = ".-_*0\xff"

// IsPlaceholder reports whether tag is empty, blank, all of one filler (NUL,
// 0xFF, '.', '-', '_', '*' or '0') or what a vendor ships in a tag that nobody
// has set. Such a tag counts as absent.
func IsPlaceholder(tag string) bool {
	s := trim(tag)
	if placeholders[strings.ToLower(s)] {
		return true
	}
	return strings.Contains(fillers, s[:1]) && strings.Trim(s, s[:1]) == ""
}

// trim takes off what BMCs pad a fixed field with.
func trim(tag string) string { return strings.Trim(tag, " \t\r\n\x00") }
