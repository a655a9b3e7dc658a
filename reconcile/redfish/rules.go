package redfish

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Rules are how a BMC is driven where BMCs differ. They come from its profile;
// an [Override] replaces one of them. The zero value of a rule is the standard.
type Rules struct {
	// Schemes of the URL that the BMC can fetch media from, the surer one first.
	Schemes []string
	// SkipSlots are prefixes of slot IDs that are of no use.
	SkipSlots []string
	// OnlySlot is the single slot ID that works.
	OnlySlot string
	// Insert is what an insert says at first; more is added when it is missed.
	Insert InsertForm
	// BootTargets in order of preference; the first that the BMC lists is taken.
	BootTargets []string
	// ForceMode sends BootSourceOverrideMode even where Boot does not show it.
	ForceMode bool
	// SettingsFirst writes Boot to the settings resource before the System.
	SettingsFirst bool
	// KeepBoot leaves the override alone after an install.
	KeepBoot bool
	// SystemTag: every System of the family has an AssetTag. One that shows none
	// is not ready to be read, and its chassis is no substitute.
	SystemTag bool
	// TagReadOnly: no firmware of the family takes a marker.
	TagReadOnly bool
	// ImageStays: Image is not cleared by an eject; ConnectedVia tells.
	ImageStays bool
	// Continuous: BootSourceOverrideEnabled reads Continuous after Once was set.
	Continuous bool
	// PlainBootOptions: the BMC lists kinds of boot devices, not the labels of
	// boot entries, so that no marker can be read from them.
	PlainBootOptions bool
}

// InsertForm is how much an insert says; each form adds to the one before.
type InsertForm string

// The forms. BMCs that refuse surplus parameters (Supermicro X11, X12) are
// content with the first, which is also that of the zero value.
const (
	InsertImage    InsertForm = "image"
	InsertProtocol InsertForm = "protocol" // and TransferProtocolType
	InsertMethod   InsertForm = "method"   // and TransferMethod
	InsertLogin    InsertForm = "login"    // and UserName and Password "none"
)

var insertForms = []InsertForm{InsertImage, InsertProtocol, InsertMethod, InsertLogin}

// rung is the place of the form on the ladder of payloads; see insertPayload.
func (f InsertForm) rung() int { return max(slices.Index(insertForms, f), 0) }

// ruleTable names the rules, in the order in which they are shown. A name is
// the same in CUE, in Probe's report and in errors.
var ruleTable = []struct {
	name string
	of   func(*Rules) any // a pointer to the field
}{
	{"schemes", func(r *Rules) any { return &r.Schemes }},
	{"skipSlots", func(r *Rules) any { return &r.SkipSlots }},
	{"onlySlot", func(r *Rules) any { return &r.OnlySlot }},
	{"insert", func(r *Rules) any { return &r.Insert }},
	{"bootTargets", func(r *Rules) any { return &r.BootTargets }},
	{"forceMode", func(r *Rules) any { return &r.ForceMode }},
	{"settingsFirst", func(r *Rules) any { return &r.SettingsFirst }},
	{"keepBoot", func(r *Rules) any { return &r.KeepBoot }},
	{"systemTag", func(r *Rules) any { return &r.SystemTag }},
	{"tagReadOnly", func(r *Rules) any { return &r.TagReadOnly }},
	{"imageStays", func(r *Rules) any { return &r.ImageStays }},
	{"continuous", func(r *Rules) any { return &r.Continuous }},
	{"plainBootOptions", func(r *Rules) any { return &r.PlainBootOptions }},
}

// RuleNames lists the names of all rules.
func RuleNames() []string {
	var list []string
	for _, r := range ruleTable {
		list = append(list, r.name)
	}
	return list
}

// An Override is a rule that somebody sets in place of the profile's.
type Override struct {
	Name  string // one of [RuleNames]
	Value any    // bool, string or []string, as the rule wants it
	From  string // where that was said; Probe shows it
}

// lay puts the override over r.
func (o Override) lay(r *Rules) error {
	for _, rule := range ruleTable {
		if rule.name != o.Name {
			continue
		}
		ok := true
		switch field := rule.of(r).(type) {
		case *bool:
			*field, ok = o.Value.(bool)
		case *string:
			*field, ok = o.Value.(string)
		case *InsertForm:
			var s string
			s, ok = o.Value.(string)
			*field = InsertForm(s)
			ok = ok && slices.Contains(insertForms, *field)
		case *[]string:
			*field, ok = o.Value.([]string)
			ok = ok && !(len(*field) == 0 && (o.Name == "schemes" || o.Name == "bootTargets"))
		}
		if !ok {
			return fmt.Errorf("%s: rule %s cannot be %v", o.From, o.Name, o.Value)
		}
		return nil
	}
	return fmt.Errorf("%s: rule %q: not known; known are %s", o.From, o.Name, strings.Join(RuleNames(), ", "))
}

// rules are those in force; valid after find.
func (c *Client) rules() Rules {
	r := c.profile().Rules
	for _, o := range c.Overrides {
		_ = o.lay(&r) // connect has tried it
	}
	return r
}

// RuleInForce is a rule with its value and where that comes from.
type RuleInForce struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	From  string `json:"from"` // "standard", "profile NAME", or where an override was said
}

// inForce lists all rules.
func (c *Client) inForce() []RuleInForce {
	now := c.rules()
	var list []RuleInForce
	for _, rule := range ruleTable {
		v := reflect.ValueOf(rule.of(&now)).Elem()
		in := RuleInForce{Name: rule.name, Value: v.Interface(), From: "standard"}
		if !v.IsZero() {
			in.From = "profile " + c.profile().name
		}
		for _, o := range c.Overrides {
			if o.Name == rule.name {
				in.From = o.From
			}
		}
		switch {
		case v.Kind() == reflect.Slice && v.IsNil():
			in.Value = []string{}
		case rule.name == "insert":
			in.Value = insertForms[now.Insert.rung()]
		}
		list = append(list, in)
	}
	return list
}
