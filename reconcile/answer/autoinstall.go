package answer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A shape is what the value of a key of autoinstall may be: text, boolean,
// list, map, or commands, each of which is text or a list of words.
type shape int

const (
	anything shape = iota
	aText
	aBool
	aList
	aMap
	commands
)

// autoinstallKeys are those of the reference of autoinstall. Subiquity passes
// over keys that it does not know, so a misspelt one would change nothing and
// say nothing.
var autoinstallKeys = map[string]shape{
	"version": anything, "interactive-sections": aList, "early-commands": commands, "late-commands": commands, "error-commands": commands,
	"reporting": aMap, "user-data": aMap, "packages": aList, "debconf-selections": aText, "locale": aText, "refresh-installer": aMap,
	"kernel": aMap, "kernel-crash-dumps": aMap, "keyboard": aMap, "zdevs": aList, "source": aMap, "network": aMap, "ubuntu-pro": aMap,
	"ubuntu-advantage": aMap, "proxy": anything, "apt": aMap, "storage": aMap, "identity": aMap, "ssh": aMap, "snaps": aList,
	"active-directory": aMap, "codecs": aMap, "drivers": aMap, "oem": aMap, "timezone": aText, "updates": aText, "shutdown": aText,
}

// autoinstallSections are the keys within those sections of which all are
// documented.
var autoinstallSections = map[string]map[string]shape{
	"refresh-installer": {"update": aBool, "channel": aText},
	"kernel":            {"package": aText, "flavor": aText},
	"keyboard":          {"layout": aText, "variant": aText, "toggle": anything},
	"source":            {"search_drivers": aBool, "id": aText},
	"identity":          {"realname": aText, "username": aText, "hostname": aText, "password": aText, "groups": anything},
	"ssh":               {"install-server": aBool, "authorized-keys": aList, "allow-pw": aBool},
	"drivers":           {"install": aBool},
	"codecs":            {"install": aBool},
	"storage":           {"layout": aMap, "config": aList, "swap": aMap, "grub": aMap, "version": anything, "preserve_sources_list": aBool},
	"apt": {"preserve_sources_list": aBool, "primary": aList, "mirror-selection": aMap, "geoip": aBool, "sources": aMap, "disable_components": aList,
		"preferences": aList, "fallback": aText, "conf": aText, "proxy": aText, "http_proxy": aText, "https_proxy": aText, "ftp_proxy": aText,
		"security": aList, "arches": aList, "disable_suites": aList, "add_apt_repo_match": aText, "debconf_selections": aMap},
}

// checkAutoinstall makes sure that all keys of an autoinstall section are
// documented ones with values of the right kind.
func checkAutoinstall(section map[string]any) error {
	if err := checkShapes("autoinstall", section, autoinstallKeys); err != nil {
		return err
	}
	for name, keys := range autoinstallSections {
		if m, ok := section[name].(map[string]any); ok {
			if err := checkShapes("autoinstall."+name, m, keys); err != nil {
				return err
			}
		}
	}
	if u, ok := section["updates"]; ok && u != "security" && u != "all" {
		return fmt.Errorf("autoinstall.updates is %q, neither security nor all", u)
	}
	if id, ok := section["identity"].(map[string]any); ok {
		for _, key := range []string{"hostname", "password", "username"} {
			if id[key] == nil {
				return fmt.Errorf("autoinstall.identity.%s is missing", key)
			}
		}
	}
	return nil
}

func checkShapes(at string, m map[string]any, keys map[string]shape) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		s, ok := keys[key]
		if !ok {
			return fmt.Errorf("%s.%s is no key that the installer knows", at, key)
		}
		if err := s.check(m[key]); err != nil {
			return fmt.Errorf("%s.%s %w", at, key, err)
		}
	}
	return nil
}

func (s shape) check(v any) error {
	var ok bool
	switch s {
	case aText:
		_, ok = v.(string)
	case aBool:
		_, ok = v.(bool)
	case aMap:
		_, ok = v.(map[string]any)
	case aList, commands:
		var list []any
		if list, ok = v.([]any); ok && s == commands {
			ok = !slices.ContainsFunc(list, func(c any) bool {
				words, isList := c.([]any)
				_, isText := c.(string)
				return !isText && (!isList || slices.ContainsFunc(words, func(w any) bool { _, isText := w.(string); return !isText }))
			})
		}
	default:
		return nil
	}
	if !ok {
		return fmt.Errorf("is no %s", map[shape]string{aText: "text", aBool: "boolean", aMap: "map", aList: "list", commands: "list of commands"}[s])
	}
	return nil
}

// inspectAutoinstall makes sure that subiquity will ask nothing, knows where to
// install to, and powers off.
func inspectAutoinstall(text string, _ *disc) (bool, error) {
	if !strings.HasPrefix(text, "#cloud-config\n") {
		return false, errors.New("its first line is not #cloud-config, and cloud-init would pass it over")
	}
	var doc struct {
		Autoinstall *struct {
			Version     int            `yaml:"version"`
			Interactive []string       `yaml:"interactive-sections"`
			Shutdown    string         `yaml:"shutdown"`
			Storage     map[string]any `yaml:"storage"`
			Identity    map[string]any `yaml:"identity"`
			UserData    map[string]any `yaml:"user-data"`
		} `yaml:"autoinstall"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return false, err
	}
	a := doc.Autoinstall
	switch {
	case a == nil:
		return false, errors.New("there is no autoinstall section")
	case a.Version != 1:
		return false, fmt.Errorf("autoinstall.version is %d, not 1", a.Version)
	case len(a.Interactive) > 0:
		return false, fmt.Errorf("autoinstall.interactive-sections has %s, and the installer would ask", strings.Join(a.Interactive, ", "))
	case a.Shutdown != "poweroff":
		return false, fmt.Errorf("autoinstall.shutdown is %q, not poweroff: the end of an install is seen by the machine being off", a.Shutdown)
	case a.Storage["layout"] == nil && a.Storage["config"] == nil:
		return false, errors.New("autoinstall.storage has neither layout nor config: no disk is named")
	case a.Identity == nil && a.UserData == nil:
		return false, errors.New("autoinstall has neither identity nor user-data: nobody could log in")
	}
	var all struct {
		Autoinstall map[string]any `yaml:"autoinstall"`
	}
	if err := yaml.Unmarshal([]byte(text), &all); err != nil {
		return false, err
	}
	return true, checkAutoinstall(all.Autoinstall)
}
