package bmctest

import (
	"net/http"
	"slices"
	"time"
)

// power is the state that the BMC reports.
func (b *BMC) power() Power {
	now := On
	if b.machine.Stage() == StageOff {
		now = Off
	}
	if b.powering == "" || b.powering == now || !b.q.ReportPowering {
		return now
	}
	if b.powering == On {
		return PoweringOn
	}
	return PoweringOff
}

// settle notices what happened by itself since the last request.
func (b *BMC) settle() {
	if b.machine.Stage() == StageOff {
		b.noteOff()
	} else {
		b.wasOn = true
	}
	b.settleMedia()
}

// noteOff remembers since when the machine is off.
func (b *BMC) noteOff() {
	if b.wasOn {
		b.wasOn, b.offSince = false, time.Now()
	}
}

// resetInfo is the ActionInfo of the reset.
func (b *BMC) resetInfo() object {
	return actionInfo(b.shape.systemURI()+"/ResetActionInfo", b.shape.resets)
}

func actionInfo(uri string, types []string) object {
	return object{
		"@odata.id": uri, "@odata.type": "#ActionInfo.v1_1_2.ActionInfo", "Id": "ResetActionInfo", "Name": "Reset Action Info",
		"Parameters": []any{object{"Name": "ResetType", "Required": true, "DataType": "String", "AllowableValues": types}},
	}
}

// reset handles the action ComputerSystem.Reset.
func (b *BMC) reset(body object) reply {
	kind, _ := body["ResetType"].(string)
	if !slices.Contains(b.shape.resets, kind) {
		return problem(http.StatusBadRequest, "Base.1.12.ActionParameterNotSupported", "the value of ResetType is not supported", kind, "ResetType")
	}
	on := b.machine.Stage() != StageOff
	wantsOn := kind == "On" || kind == "ForceOn"
	switch {
	case wantsOn && !on && b.powering != On && time.Since(b.offSince) < b.q.OnRefused:
		return problem(http.StatusConflict, b.shape.message("HostPowerTransition"), "the host is still powering off")
	case b.q.SameStateError && (wantsOn && on || !wantsOn && !on):
		return problem(http.StatusBadRequest, b.shape.message("InvalidOperationForSystemState"), "the operation is not valid in the current power state")
	case !wantsOn && !on && kind != "PowerCycle":
		return problem(http.StatusConflict, b.shape.message("InvalidOperationForSystemState"), "the host is off")
	}
	switch kind {
	case "On", "ForceOn":
		b.later(On, b.switchOn)
	case "ForceOff":
		b.later(Off, b.switchOff)
	case "GracefulShutdown", "PushPowerButton":
		if kind == "PushPowerButton" && !on {
			b.later(On, b.switchOn)
			break
		}
		_ = b.machine.Shutdown() // an OS that does not listen is no error of the BMC
	case "ForceRestart", "GracefulRestart", "PowerCycle":
		b.later(On, func() {
			b.switchOff()
			if kind != "ForceRestart" || !b.q.NoForceRestart {
				b.switchOn()
			}
		})
	}
	return b.shape.done()
}

// later lets a power change happen PowerLag after it was accepted.
func (b *BMC) later(want Power, change func()) {
	if b.q.PowerLag <= 0 {
		change()
		return
	}
	b.powering = want
	time.AfterFunc(b.q.PowerLag, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.closed || b.powering != want {
			return
		}
		b.powering = ""
		change()
	})
}

// switchOn starts the machine. It is called with mu held.
func (b *BMC) switchOn() {
	if b.machine.Stage() != StageOff {
		return
	}
	b.starts++
	if b.q.SecondResetEjects && b.starts > 1 {
		for _, s := range b.slots {
			s.eject(b.q.KeepsImage)
		}
		b.tellMedium()
	}
	if b.q.TagLost {
		b.tag = ""
	}
	b.wasOn = true
	_ = b.machine.PowerOn(b.nextBoot) // a machine that cannot start stays off, which is what the client reads
}

// switchOff cuts the machine's power. It is called with mu held.
func (b *BMC) switchOff() {
	_ = b.machine.PowerOff() // as above
	b.wasOn = true
	b.noteOff()
}
