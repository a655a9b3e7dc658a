package bmctest

import "net/http"

// shape is what a vendor's resources look like: names, places, lists of values.
// What a vendor's BMC does differently is in [Quirks].
type shape struct {
	vendor, product, version, oem      string // of the service root
	rootType, systemType, chassisType  string // schema versions, as in "v1_5_0"
	managerType, mediaType             string
	manufacturer, model, sku, bios     string
	system, manager, managerModel      string
	firmware                           string
	chassis                            []chassisShape
	systemTag                          bool   // the system has an AssetTag
	chassisTagNull                     bool   // an empty chassis tag is null
	mode                               string // BootSourceOverrideMode at first; empty: there is none
	targets, enabled                   []string
	enabledListed                      bool // the values for Enabled are listed
	resets                             []string
	resetInline, resetInfo             bool   // where the reset types are listed
	resetInfoMissing                   bool   // the named ActionInfo does not exist
	settings                           string // last part of the settings resource's URI; empty: there is none
	settingsID, settingsName           string
	settingsBoot, settingsTag          bool // what the settings resource has
	settingsTagShown                   bool // it repeats the present asset tag
	listsInSettings                    bool // the allowable targets are only in the settings resource
	slots                              []slotShape
	systemMedia, managerMedia, storage string // links to the media collections; the storage controller
	noBootOptions, plainBootOptions    bool   // there are none; they do not say which OS they boot
	noImage                            any    // Image of an empty drive
	etags                              bool   // bodies have @odata.etag
	noContent                          bool   // writes answer 204, not 200
	messages                           map[string]string
	drop                               map[string][]string // properties that this vendor lacks, by kind of resource
	add                                func(b *BMC, kind string, o object)
	others                             map[string]object // further resources
}

// chassisShape is one chassis.
type chassisShape struct {
	id       string
	tag      bool // it has an AssetTag
	ofSystem bool // its Links.ComputerSystems names the system
}

// slotShape is one virtual drive, which may be listed under several URIs.
type slotShape struct {
	uris                []string
	types               []string
	typesAt             map[string][]string // at a URI that shows other types
	canInsert, canEject bool
	refuses             int // status of every InsertMedia; 0: it is not refused
}

func (s *slotShape) mediaTypes(uri string) []string {
	if t, ok := s.typesAt[uri]; ok {
		return t
	}
	return s.types
}

func (s shape) systemURI() string   { return rootURI + "/Systems/" + s.system }
func (s shape) managerURI() string  { return rootURI + "/Managers/" + s.manager }
func (s shape) settingsURI() string { return s.systemURI() + "/" + s.settings }

// message is the vendor's own identifier of a message, or the standard's.
func (s shape) message(id string) string {
	if own, ok := s.messages[id]; ok {
		return own
	}
	return "Base.1.12." + id
}

// written is the answer to a successful PATCH.
func (s shape) written() reply {
	if s.noContent {
		return reply{status: http.StatusNoContent}
	}
	out := problem(http.StatusOK, "Base.1.12.Success", "the request completed successfully")
	out.body = object{"@Message.ExtendedInfo": out.body.(object)["error"].(object)["@Message.ExtendedInfo"]}
	return out
}

// done is the answer to a successful action.
func (s shape) done() reply { return s.written() }
