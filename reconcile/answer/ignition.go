package answer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/butane/config/common"
	fcos13 "github.com/coreos/butane/config/fcos/v1_3"
	fcos14 "github.com/coreos/butane/config/fcos/v1_4"
	fcos15 "github.com/coreos/butane/config/fcos/v1_5"
	fcos16 "github.com/coreos/butane/config/fcos/v1_6"
	flatcar10 "github.com/coreos/butane/config/flatcar/v1_0"
	flatcar11 "github.com/coreos/butane/config/flatcar/v1_1"
	ignition "github.com/coreos/ignition/v2/config/v3_5"
	"github.com/coreos/ignition/v2/config/v3_5/types"
	"github.com/coreos/vcontext/report"
	"github.com/vincent-petithory/dataurl"
	"go.yaml.in/yaml/v3"
)

// butanes translate Butane, by its variant and version. Versions are named one
// by one, for Butane's own list brings fifty packages of OpenShift's.
var butanes = map[string]func([]byte, common.TranslateBytesOptions) ([]byte, report.Report, error){
	"fcos 1.3.0": fcos13.ToIgn3_2Bytes, "fcos 1.4.0": fcos14.ToIgn3_3Bytes, "fcos 1.5.0": fcos15.ToIgn3_4Bytes, "fcos 1.6.0": fcos16.ToIgn3_5Bytes,
	"flatcar 1.0.0": flatcar10.ToIgn3_3Bytes, "flatcar 1.1.0": flatcar11.ToIgn3_4Bytes,
}

// An ignitionConfig is one Ignition config of an answer file.
type ignitionConfig struct {
	raw    []byte // JSON
	config types.Config
}

// parseIgnition reads an answer file: one config, or two with a line "---"
// between them, each in Butane's YAML of that variant or in Ignition's JSON. The
// first is for the live system, the second for the one that it installs.
func parseIgnition(text, variant string) ([]ignitionConfig, error) {
	var all []ignitionConfig
	line, part := 0, ""
	end := func(next int) error {
		if strings.TrimSpace(part) != "" {
			c, err := parseConfig([]byte(part), variant, line)
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		line, part = next, ""
		return nil
	}
	n := 0
	for l := range strings.Lines(text) {
		n++
		if strings.TrimRight(l, " \t\r\n") != "---" {
			part += l
		} else if err := end(n); err != nil {
			return nil, err
		}
	}
	if err := end(n); err != nil {
		return nil, err
	}
	if len(all) < 1 || len(all) > 2 {
		return nil, fmt.Errorf("there are %d configs, not one for the live system and perhaps, after a line \"---\", one for the system that it installs", len(all))
	}
	return all, nil
}

// parseConfig reads one config, which begins after that many lines.
func parseConfig(text []byte, variant string, after int) (c ignitionConfig, err error) {
	var head struct {
		Variant, Version string
		Ignition         any
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return c, yamlError(err, after)
	}
	c.raw = text
	switch {
	case head.Ignition != nil && head.Variant == "":
	case head.Variant != variant:
		return c, fmt.Errorf("line %d: the config is neither Ignition's JSON nor Butane of variant %q, but of variant %q", after+1, variant, head.Variant)
	default:
		translate := butanes[head.Variant+" "+head.Version]
		if translate == nil {
			return c, fmt.Errorf("line %d: Butane's variant %s is not known in version %q; there are %s", after+1, variant, head.Version, butaneVersions(variant))
		}
		options := common.TranslateBytesOptions{Raw: true}
		options.NoResourceAutoCompression = true // which would hide text, and whose bytes are the compressor's
		raw, rpt, err := translate(text, options)
		if err := reported(rpt, err, after); err != nil {
			return c, err
		}
		c.raw, after = raw, -1 // lines of JSON that nobody wrote
	}
	config, rpt, err := ignition.ParseCompatibleVersion(c.raw)
	c.config = config
	return c, reported(rpt, err, after)
}

func butaneVersions(variant string) string {
	var all []string
	for name := range butanes {
		if v, ok := strings.CutPrefix(name, variant+" "); ok {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// reported turns what Butane or Ignition say of a config that begins after that
// many lines into an error. Warnings are errors, for one of a key that does not
// exist is a warning to them. After -1 lines, their numbers mean nothing.
func reported(rpt report.Report, err error, after int) error {
	for _, e := range rpt.Entries {
		if e.Kind != report.Error && e.Kind != report.Warn {
			continue
		}
		at := ""
		if line, _ := e.Marker.Start(); line > 0 && after >= 0 {
			at = fmt.Sprintf("line %d: ", int(line)+after)
		}
		if e.Context.Len() > 0 {
			at += e.Context.String() + ": "
		}
		return errors.New(at + e.Message)
	}
	if err != nil && after >= 0 {
		return fmt.Errorf("line %d: %w", after+1, err)
	}
	return err
}

// yamlError counts a YAML error's line from the beginning of the answer file.
func yamlError(err error, after int) error {
	var line int
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if _, scan := fmt.Sscanf(msg, "line %d:", &line); scan != nil {
		return fmt.Errorf("line %d: %s", after+1, msg)
	}
	_, msg, _ = strings.Cut(msg, ": ")
	return fmt.Errorf("line %d: %s", line+after, msg)
}

// file returns the text of a file that the config writes. One that is fetched
// from elsewhere has none.
func (c ignitionConfig) file(name string) (text string, ok bool) {
	for _, f := range c.config.Storage.Files {
		if f.Path != name {
			continue
		}
		if f.Contents.Source == nil {
			return "", true
		}
		u, err := dataurl.DecodeString(*f.Contents.Source)
		if err != nil || f.Contents.Compression != nil && *f.Contents.Compression != "" {
			return "", true
		}
		return string(u.Data), true
	}
	return "", false
}

// paths returns the files that the config writes below a directory.
func (c ignitionConfig) paths(dir string) []string {
	var all []string
	for _, f := range c.config.Storage.Files {
		if strings.HasPrefix(f.Path, dir+"/") {
			all = append(all, f.Path)
		}
	}
	slices.Sort(all)
	return all
}

// unit returns all that the config says of a unit, drop-ins too.
func (c ignitionConfig) unit(name string) (text string, ok bool) {
	for _, u := range c.config.Systemd.Units {
		if u.Name != name {
			continue
		}
		if u.Contents != nil {
			text += *u.Contents + "\n"
		}
		for _, d := range u.Dropins {
			if d.Contents != nil {
				text += *d.Contents + "\n"
			}
		}
		return text, true
	}
	return "", false
}

// letsIn reports whether somebody can log in to the system, as far as the
// config says: it may be one that fetches others.
func (c ignitionConfig) letsIn() bool {
	for _, u := range c.config.Passwd.Users {
		if len(u.SSHAuthorizedKeys) > 0 || u.PasswordHash != nil && *u.PasswordHash != "" {
			return true
		}
	}
	return len(c.config.Ignition.Config.Merge) > 0 || c.config.Ignition.Config.Replace.Source != nil
}

// liveConfig returns the live system's config of an answer file. If there is
// one for the installed system, it is put in as the file target, and then those
// that make use of it.
func liveConfig(text []byte, variant, target string, more ...NamedFile) ([]byte, error) {
	all, err := parseIgnition(string(text), variant)
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		return all[0].raw, nil
	}
	return all[0].withFiles(append([]NamedFile{{target, string(all[1].raw)}}, more...))
}

// withFiles adds files that only root reads. The config's other words stay as
// they are, but for the order of keys.
func (c ignitionConfig) withFiles(add []NamedFile) ([]byte, error) {
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(c.raw))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("an Ignition config with another in it must be JSON: %w", err)
	}
	storage, _ := doc["storage"].(map[string]any)
	if storage == nil {
		storage = map[string]any{}
	}
	files, _ := storage["files"].([]any)
	for _, f := range add {
		files = append(files, map[string]any{
			"path": f.Name, "mode": 0o600, "contents": map[string]any{"source": "data:;base64," + base64.StdEncoding.EncodeToString([]byte(f.Text))},
		})
	}
	storage["files"] = files
	doc["storage"] = storage
	return json.Marshal(doc)
}
