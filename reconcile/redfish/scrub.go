package redfish

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// private are parts of property names whose text tells one machine, site or
// person from another, in lower case.
var private = []string{
	"serial", "uuid", "guid", "assettag", "hostname", "fqdn", "macaddress", "servicetag", "servicecode", "serviceidentification",
	"nodeid", "durablename", "username", "password", "token", "email", "licensekey", "address", "gateway", "contact", "postal",
	"wwn", "wwpn", "wwnn", "domain", "nameserver", "ntpserver", "building", "roomname", "rack", "imagename",
}

// harmless are names that contain one of those and say nothing.
var harmless = []string{"addressorigin", "addressstate", "addressing", "macaddresstype", "serialconsole", "serialinterface", "seriali", "trackname"}

var (
	macPattern  = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b|\bMAC\([0-9a-f]{12}`)
	uuidPattern = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	ipv4Pattern = regexp.MustCompile(`\b(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(?:\.(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])){3}\b`)
	urlPattern  = regexp.MustCompile(`(?i)\b(?:https?|nfs|cifs|smb|ftp)://[^\s"]+`)
)

// scrubber replaces private values, the same by the same.
type scrubber struct {
	standIn map[string]string // by the value in lower case
	order   []string          // values as found
	replace *strings.Replacer
}

func newScrubber() *scrubber { return &scrubber{standIn: map[string]string{}} }

// collect finds the private values of a resource.
func (s *scrubber) collect(v any, key string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			s.collect(v[k], k)
		}
	case []any:
		for _, e := range v {
			s.collect(e, key)
		}
	case string:
		if isPrivate(key) && !strings.HasPrefix(v, "/redfish/") && identity(text(v)) != "" {
			s.add(v)
		}
		if !strings.HasSuffix(key, "Version") && !strings.HasPrefix(key, "@odata.") {
			for _, p := range []*regexp.Regexp{urlPattern, macPattern, uuidPattern, ipv4Pattern} {
				for _, found := range p.FindAllString(v, -1) {
					s.add(strings.TrimPrefix(found, "MAC("))
				}
			}
		}
	}
}

func isPrivate(key string) bool {
	k := strings.ToLower(key)
	if strings.HasPrefix(k, "@") || slices.ContainsFunc(harmless, func(h string) bool { return strings.Contains(k, h) }) {
		return false
	}
	return slices.ContainsFunc(private, func(p string) bool { return strings.Contains(k, p) }) || k == "sku" || k == "image"
}

// add gives a value its stand-in, of the same form.
func (s *scrubber) add(value string) {
	value = strings.TrimSpace(value)
	low := strings.ToLower(value)
	if value == "" || s.standIn[low] != "" {
		return
	}
	n := len(s.standIn) + 1
	form := fmt.Sprintf("SCRUBBED%04d", n)
	switch {
	case urlPattern.MatchString(value):
		form = fmt.Sprintf("https://media.example/%d.iso", n)
	case uuidPattern.MatchString(value):
		form = fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	case len(value) == 12 && strings.Trim(low, "0123456789abcdef") == "":
		form = fmt.Sprintf("0200%08d", n)
	case macPattern.MatchString(value):
		sep := value[2:3]
		form = strings.Join([]string{"02", "00", "00", "00", fmt.Sprintf("%02d", n/100%100), fmt.Sprintf("%02d", n%100)}, sep)
	case ipv4Pattern.MatchString(value):
		form = fmt.Sprintf("192.0.2.%d", n%256)
	}
	s.standIn[low] = form
	s.order = append(s.order, value)
	if len(value) == 17 && macPattern.MatchString(value) { // boot options write it without separators
		s.add(strings.NewReplacer(":", "", "-", "").Replace(value))
	}
}

// seal prepares the replacing of values inside other texts: device paths, URIs,
// descriptions. Short values would hit ordinary words and are only replaced
// where they are the whole text.
func (s *scrubber) seal() {
	list := slices.Clone(s.order)
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, v := range list {
		if len(v) < 5 {
			continue
		}
		form := s.standIn[strings.ToLower(v)]
		for _, variant := range []string{v, strings.ToUpper(v), strings.ToLower(v)} {
			pairs = append(pairs, variant, form)
		}
	}
	s.replace = strings.NewReplacer(pairs...)
}

func (s *scrubber) text(v string) string {
	if form := s.standIn[strings.ToLower(strings.TrimSpace(v))]; form != "" {
		return form
	}
	return s.replace.Replace(v)
}

// scrub copies a resource without private values.
func (s *scrubber) scrub(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = s.scrub(e, k)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			out = append(out, s.scrub(e, key))
		}
		return out
	case string:
		if strings.HasSuffix(key, "Version") || key == "@odata.type" {
			return v
		}
		return s.text(v)
	}
	return v
}
