// Package hosts embeds the example fleet: two sites, three racks, twelve
// hosts, two images, three roles and their templates. The lab installs it, the
// tests read it, and "reconcile init" copies it.
//
// Its images are examples: nothing is at their addresses.
package hosts

import "embed"

// FS holds the fleet's folder: fleet.cue and its neighbours at the root, the
// sites' folders and templates.
//
//go:embed *.cue */*
var FS embed.FS
