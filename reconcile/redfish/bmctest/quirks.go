package bmctest

import "time"

// Quirks are the ways in which a BMC departs from the standard, one by one.
// The zero value departs in none. [Vendor.Quirks] returns those of a vendor; a
// test may change single ones and set the result as [BMC.Quirks].
type Quirks struct {
	// Sessions and requests.

	SessionLimit   int           // sessions at a time; 0 means 64. One more is refused with 503
	SessionTimeout time.Duration // an idle session ends after it; 0 means 30 minutes
	NoBasicAuth    bool          // Basic authentication is refused

	RootRedirect bool // the service root without a final slash answers 308 to the one with it

	// ETags.

	WeakETags         bool // ETags have the form W/"…"
	NeedIfMatch       bool // a PATCH without If-Match is refused with 428
	CheckIfMatch      bool // a PATCH whose If-Match is neither current nor * is refused with 412
	ActionIfMatch412  bool // an action with any If-Match is refused with 412
	WildcardOnlyMatch bool // only If-Match: * is accepted, as a resource changes by itself between GET and PATCH

	// Power.

	PowerLag       time.Duration // from an accepted reset until the power changes
	OnRefused      time.Duration // after power-off, Reset On is refused with 409 for as long
	ReportPowering bool          // PoweringOn and PoweringOff are reported meanwhile
	SameStateError bool          // a reset to the state that the machine is in is refused with 400
	NoForceRestart bool          // ForceRestart leaves the machine off

	// Boot override.

	RefuseInPOST         bool   // changes are refused with 400 UnableToModifyDuringSystemPOST in POST
	BootModeReadOnly     bool   // a PATCH that names BootSourceOverrideMode is refused with 400
	BootNeedsTriple      bool   // without Enabled, Target and Mode a PATCH has no effect, though 200
	BootOnlyInSettings   bool   // a PATCH of the system's Boot is refused; its settings resource takes it
	BootShownAfterReset  bool   // the system shows an override set in the settings only once the machine started
	OverrideAsContinuous bool   // Enabled reads Continuous although Once was written; it works once
	RestorationScreen    bool   // a PATCH that disables an override which is disabled already stops the next boot at a screen of the firmware
	CDTarget             string // what the firmware calls its virtual CD drive; other CD-like targets boot nothing. Empty: every one works

	// Virtual media.

	MediaByPATCH       bool          // slots have no actions; media are put in by PATCH of the slot
	MediaSchemes       []string      // URL schemes that the BMC fetches; nil means http and https
	NeedProtocolType   bool          // InsertMedia without TransferProtocolType is refused with 400
	NeedLogin          bool          // InsertMedia without UserName and Password is refused with 400
	RefuseInserted     bool          // InsertMedia with Inserted or WriteProtected is refused with 400
	StreamOnly         bool          // TransferMethod, if sent, must be Stream, and Inserted true
	NoQueryInURL       bool          // an image URL with ? or = is refused
	MaxURL             int           // longest image URL; 0 means 255
	NeedISOSuffix      bool          // an image URL must end in .iso
	EjectNeedsBody     bool          // EjectMedia without a JSON body is refused with 400
	EjectOnlyInserted  bool          // EjectMedia of an empty drive is refused with 400
	EjectHidden        bool          // an empty drive does not offer EjectMedia
	KeepsImage         bool          // Image keeps its value after an eject; only ConnectedVia tells
	InsertByTask       bool          // InsertMedia answers 202; the medium is there InsertLag later
	TaskHost           string        // goes before the path in Location of an accepted task, as in https://elsewhere.example
	InsertLag          time.Duration // from an accepted insert until the medium is inserted
	EjectLag           time.Duration // an insert within it after an eject is refused with 500
	ProbesImage        bool          // InsertMedia with an image that cannot be fetched is refused; otherwise accepted, and later not inserted
	EnableRMedia       bool          // the media collection is empty until #AMIVirtualMedia.EnableRMedia was posted
	EnableRMediaLag    time.Duration // from that action until the slots are there
	SecondResetEjects  bool          // the medium is ejected when the machine starts a second time
	BMCResetDropsMedia bool          // Manager.Reset ejects everything

	// Marker.

	TagReadOnly   bool // a PATCH of AssetTag is refused with 400
	TagIgnored    bool // a PATCH of AssetTag answers 200 and changes nothing
	TagMax        int  // longest AssetTag; 0 means 63
	TagCuts       bool // a longer one is cut instead of refused
	TagPads       bool // an empty one reads as 32 spaces
	TagStaged     bool // a new AssetTag waits in the settings resource until the machine starts
	TagInSettings bool // a PATCH of the system's AssetTag is refused; its settings resource takes it
	TagLost       bool // the AssetTag reads as empty after the next power-on

	// Locked refuses every write with 403, as a BMC in lockdown mode does.
	Locked bool
	// NoMediaLicence refuses InsertMedia with 403 for want of a licence.
	NoMediaLicence bool
}
