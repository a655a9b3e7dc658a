package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/pflag"
)

// options are the flags of all commands. Environment variables give defaults;
// secrets come from the environment or from files only, never from flags.
type options struct {
	fleet, ref, dir     string
	limit               []string
	netboxURL, netboxCA string
	netboxSnapshot      string
	credentialsDir      string
	credentialHelper    string
	output              string
	debug               bool
	dryRun              bool
	detailedExitCode    bool
	allowDirty          bool
	installUnmarked     []string
	retry               []string
	maxInstalls         int
	listen, listenTLS   string
	mediaAnyClient      bool
	mediaAddress        string
	mediaKeyFile        string
	serving             serving
	imageCache          string
	planOut, planFile   string
	record, metrics     string
}

func (o *options) addCommon(f *pflag.FlagSet) {
	f.StringVar(&o.fleet, "fleet", env("RECONCILE_FLEET", "."), "the fleet: a directory in a git work tree, or a repository's URL (env RECONCILE_FLEET)")
	f.StringVar(&o.ref, "ref", env("RECONCILE_REF", ""), "branch, tag or commit to read; empty for the work tree (env RECONCILE_REF)")
	f.StringVar(&o.dir, "dir", env("RECONCILE_DIR", ""), "the fleet's folder in the repository; empty to find it (env RECONCILE_DIR)")
	f.StringArrayVar(&o.limit, "limit", nil, "only these hosts: a name or glob, or KEY=GLOB,… by name, role, site, rack, os; may be repeated")
	f.StringVar(&o.netboxURL, "netbox-url", env("NETBOX_URL", ""), "NetBox (env NETBOX_URL; its token comes from NETBOX_TOKEN)")
	f.StringVar(&o.netboxCA, "netbox-ca", env("RECONCILE_NETBOX_CA", ""), "PEM file of the authority that signed NetBox's certificate (env RECONCILE_NETBOX_CA)")
	f.StringVar(&o.netboxSnapshot, "netbox-snapshot", "", "read this file, made by reconcile netbox snapshot, in place of NetBox; for looking only")
	f.StringVar(&o.credentialsDir, "credentials-dir", env("RECONCILE_CREDENTIALS_DIR", ""), "directory of mounted secrets (env RECONCILE_CREDENTIALS_DIR)")
	f.StringVar(&o.credentialHelper, "credential-helper", env("RECONCILE_CREDENTIAL_HELPER", ""), "command that prints a named secret as JSON (env RECONCILE_CREDENTIAL_HELPER)")
	f.StringVarP(&o.output, "output", "o", "text", "text, json (one object a line) or markdown")
	f.BoolVar(&o.debug, "debug", false, "log what is asked of whom; never secrets")
}

func (o *options) addRun(f *pflag.FlagSet) {
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.BoolVar(&o.detailedExitCode, "detailed-exitcode", false, "with --dry-run, exit with 2 when something would be done")
	f.BoolVar(&o.allowDirty, "allow-dirty", false, "apply a work tree that differs from its commit")
	f.StringArrayVar(&o.installUnmarked, "install-unmarked", nil, "install this host although it is in service and bears no marker; may be repeated")
	f.StringArrayVar(&o.retry, "retry", nil, "give this quarantined host one more attempt; may be repeated")
	f.IntVar(&o.maxInstalls, "max-installs", 0, "in place of policy.guard.maxInstalls")
	o.addListen(f)
	f.BoolVar(&o.mediaAnyClient, "media-any-client", false, "serve a host's media to every address, not to its BMC's only: for BMCs behind address translation")
	f.StringVar(&o.mediaKeyFile, "media-key-file", env("RECONCILE_MEDIA_KEY_FILE", ""), "key from which media URLs derive, made by the first run, so that a run can take up a killed one's installs; empty for one in the user's cache directory; RECONCILE_MEDIA_KEY holds the key itself (env RECONCILE_MEDIA_KEY_FILE)")
	f.StringVar(&o.planOut, "plan-out", "", "with --dry-run, also write the plan to this file")
	f.StringVar(&o.metrics, "metrics", env("RECONCILE_METRICS", ""), "write what the run came to into this file, for node_exporter's textfile collector (env RECONCILE_METRICS)")
	f.StringVar(&o.record, "record", env("RECONCILE_RECORD", ""), "keep a record of the run in a folder of its own below this directory (env RECONCILE_RECORD)")
	f.StringVar(&o.planFile, "plan", "", "apply exactly the plan in this file, or refuse")
}

// addListen are the flags of commands that serve media.
func (o *options) addListen(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", env("RECONCILE_LISTEN", ":8080"), "where the media server listens for http; empty for not at all (env RECONCILE_LISTEN)")
	f.StringVar(&o.listenTLS, "listen-https", env("RECONCILE_LISTEN_HTTPS", ":8443"), "… and for https (env RECONCILE_LISTEN_HTTPS)")
	f.StringVar(&o.mediaAddress, "media-address", env("RECONCILE_MEDIA_ADDRESS", ""), "address at which BMCs reach this machine; empty for the one that routes to each (env RECONCILE_MEDIA_ADDRESS)")
	o.serving.add(f)
}

// mediaIP is the address of --media-address, or the zero address without one.
func (o *options) mediaIP() (netip.Addr, error) {
	if o.mediaAddress == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(o.mediaAddress)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--media-address %q is no IP address", o.mediaAddress)
	}
	return addr, nil
}

func (o *options) addImages(f *pflag.FlagSet) {
	f.StringVar(&o.imageCache, "image-cache", env("RECONCILE_IMAGE_CACHE", ""), "directory of downloaded images; empty for the user's cache directory (env RECONCILE_IMAGE_CACHE)")
}

func env(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }
