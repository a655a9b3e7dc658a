package bmctest

import (
	"net/http"
	"slices"
	"strings"
)

// bootBody is the system's Boot.
func (b *BMC) bootBody() object {
	s := b.shape
	shown := b.boot
	if b.staged != nil && !b.q.BootShownAfterReset {
		shown = *b.staged
	}
	if b.q.OverrideAsContinuous && shown.enabled == "Once" {
		shown.enabled = "Continuous"
	}
	o := object{"BootSourceOverrideEnabled": shown.enabled, "BootSourceOverrideTarget": shown.target}
	if s.mode != "" {
		o["BootSourceOverrideMode"] = shown.mode
	}
	if !s.noBootOptions {
		o["BootOptions"] = ref(s.systemURI() + "/BootOptions")
		o["BootOrder"] = b.bootOrder()
	}
	if !s.listsInSettings {
		o["BootSourceOverrideTarget@Redfish.AllowableValues"] = s.targets
	}
	if s.enabledListed && !s.listsInSettings {
		o["BootSourceOverrideEnabled@Redfish.AllowableValues"] = s.enabled
	}
	return o
}

// settingsBody is the settings resource that the system names.
func (b *BMC) settingsBody() object {
	s := b.shape
	o := object{
		"@odata.id": s.settingsURI(), "@odata.type": "#ComputerSystem." + s.systemType + ".ComputerSystem",
		"Id": s.settingsID, "Name": s.settingsName,
	}
	boot := object{}
	if s.settingsBoot {
		shown := b.boot
		if b.staged != nil {
			shown = *b.staged
		}
		boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"] = shown.enabled, shown.target
		if s.mode != "" {
			boot["BootSourceOverrideMode"] = shown.mode
		}
		boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = s.targets
		if s.enabledListed {
			boot["BootSourceOverrideEnabled@Redfish.AllowableValues"] = s.enabled
		}
	}
	boot["BootOrder"] = b.bootOrder()
	o["Boot"] = boot
	if s.settingsTag {
		o["AssetTag"] = nil
		if b.tagStaged != nil {
			o["AssetTag"] = *b.tagStaged
		} else if b.q.TagInSettings && !b.q.TagStaged || s.settingsTagShown {
			o["AssetTag"] = b.shownTag()
		}
	}
	return b.finish("settings", o)
}

// patchSystem handles a PATCH of the system.
func (b *BMC) patchSystem(body object) reply {
	for k := range body {
		if k != "Boot" && k != "AssetTag" || k == "AssetTag" && !b.shape.systemTag {
			return unknownProperty(k)
		}
	}
	if boot, ok := body["Boot"].(object); ok {
		if b.q.BootOnlyInSettings {
			return problem(http.StatusBadRequest, b.shape.message("OperationSupportedInFutureStateURI"), "Boot can only be changed in the settings resource", "Boot")
		}
		if out := b.patchBoot(boot); out.status >= 300 {
			return out
		}
	}
	if tag, ok := body["AssetTag"]; ok {
		if b.q.TagInSettings {
			return problem(http.StatusBadRequest, b.shape.message("OperationSupportedInFutureStateURI"), "AssetTag can only be changed in the settings resource", "AssetTag")
		}
		return b.patchTag(tag)
	}
	return b.shape.written()
}

// patchSettings handles a PATCH of the system's settings resource.
func (b *BMC) patchSettings(body object) reply {
	s := b.shape
	for k := range body {
		known := k == "Boot" && s.settingsBoot || k == "AssetTag" && s.settingsTag || strings.HasPrefix(k, "@Redfish.")
		if !known {
			return unknownProperty(k)
		}
	}
	if boot, ok := body["Boot"].(object); ok {
		before := b.boot
		if out := b.patchBoot(boot); out.status >= 300 {
			return out
		}
		if b.q.BootShownAfterReset {
			staged := b.boot
			b.boot, b.staged = before, &staged
		}
	}
	if tag, ok := body["AssetTag"]; ok {
		return b.patchTag(tag)
	}
	return s.written()
}

// patchBoot changes the override.
func (b *BMC) patchBoot(boot object) reply {
	if b.q.RefuseInPOST && b.machine.Stage() == StagePOST {
		return problem(http.StatusBadRequest, b.shape.message("UnableToModifyDuringSystemPOST"), "the operation cannot be completed while the system is in POST")
	}
	next := b.boot
	given := 0
	for k, v := range boot {
		text, ok := v.(string)
		switch {
		case k == "BootSourceOverrideMode" && (b.q.BootModeReadOnly || b.shape.mode == ""):
			return problem(http.StatusBadRequest, b.shape.message("PropertyNotWritable"), "the property "+k+" is read only", k)
		case k != "BootSourceOverrideEnabled" && k != "BootSourceOverrideTarget" && k != "BootSourceOverrideMode":
			return unknownProperty("Boot/" + k)
		case !ok || !slices.Contains(b.allowed(k), text):
			return problem(http.StatusBadRequest, "Base.1.12.PropertyValueNotInList", "the value of "+k+" is not in the list of acceptable values", text, k)
		}
		given++
		switch k {
		case "BootSourceOverrideEnabled":
			next.enabled = text
		case "BootSourceOverrideTarget":
			next.target = text
		case "BootSourceOverrideMode":
			next.mode = text
		}
	}
	if b.q.BootNeedsTriple && given < 3 {
		return b.shape.written()
	}
	if next.enabled == "Disabled" || next.target == "None" {
		next.enabled, next.target = "Disabled", "None"
		b.restoration = b.q.RestorationScreen && b.boot.enabled == "Disabled"
	}
	b.boot, b.staged = next, nil
	return b.shape.written()
}

// allowed lists the values of a property of Boot.
func (b *BMC) allowed(property string) []string {
	switch property {
	case "BootSourceOverrideEnabled":
		return b.shape.enabled
	case "BootSourceOverrideTarget":
		return b.shape.targets
	}
	return []string{"UEFI", "Legacy"}
}

func unknownProperty(name string) reply {
	return problem(http.StatusBadRequest, "Base.1.12.PropertyUnknown", "the property "+name+" is not in the list of valid properties", name)
}

// nextBoot tells the machine what to boot, and consumes a one-time override.
func (b *BMC) nextBoot() Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settleMedia()
	b.applyStaged()
	b.scanBootOptions()
	out := Boot{Medium: b.media, Mode: b.boot.mode}
	if b.restoration {
		b.restoration = false
		out.Device = "BiosSetup"
		return out
	}
	if b.boot.enabled == "Disabled" {
		return out
	}
	out.Device = b.boot.target
	if isCD(out.Device) {
		out.Device = "Cd"
		if b.q.CDTarget != "" && b.q.CDTarget != b.boot.target {
			out.Device = "UsbStick" // a drive that this machine does not have
		}
	}
	if b.boot.enabled == "Once" {
		b.boot.enabled, b.boot.target = "Disabled", "None"
	}
	return out
}

func isCD(target string) bool {
	switch target {
	case "Cd", "UsbCd", "UefiCd", "UefiUsbCd", "CD/DVD":
		return true
	}
	return false
}

// applyStaged puts into effect what waited for the machine to start.
func (b *BMC) applyStaged() {
	if b.staged != nil {
		b.boot, b.staged = *b.staged, nil
	}
	if b.tagStaged != nil {
		b.tag, b.tagStaged = *b.tagStaged, nil
	}
}
