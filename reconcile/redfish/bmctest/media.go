package bmctest

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// slot is a virtual drive.
type slot struct {
	slotShape
	image     string // what Image shows
	inserted  bool
	pending   string    // an accepted image that is not there yet
	readyAt   time.Time // when pending is inserted
	ejectedAt time.Time
	protocol  string
}

// eject empties the drive. With keep, Image goes on to show the old image.
func (s *slot) eject(keep bool) {
	if s.inserted || s.pending != "" {
		s.ejectedAt = time.Now()
	}
	s.inserted, s.pending, s.protocol = false, "", ""
	if !keep {
		s.image = ""
	}
}

// isDisc reports whether the drive takes CDs or DVDs.
func (s *slot) isDisc() bool {
	return slices.Contains(s.types, "CD") || slices.Contains(s.types, "DVD")
}

// routeMedia adds the virtual media.
func (b *BMC) routeMedia(list func(uri, kind string, members ...string)) {
	collections := map[string][]string{b.shape.systemMedia: nil, b.shape.managerMedia: nil}
	for _, s := range b.slots {
		for _, uri := range s.uris {
			collections[path.Dir(uri)] = append(collections[path.Dir(uri)], uri)
			hidden := func() bool { return b.q.EnableRMedia && !b.rmedia }
			rt := &route{get: func() object { return b.slotBody(s, uri) }, hidden: hidden}
			if b.q.MediaByPATCH {
				rt.patch = func(o object) reply { return b.patchSlot(s, o) }
			}
			b.routes[uri] = rt
			if s.canInsert && !b.q.MediaByPATCH {
				b.routes[uri+"/Actions/VirtualMedia.InsertMedia"] = &route{post: func(o object) reply { return b.insert(s, o) }, hidden: hidden}
			}
			if s.canEject && !b.q.MediaByPATCH {
				b.routes[uri+"/Actions/VirtualMedia.EjectMedia"] = &route{post: func(o object) reply { return b.ejectSlot(s, o) }, hidden: hidden}
			}
		}
	}
	for uri, members := range collections {
		if uri != "" {
			list(uri, "VirtualMedia", members...)
		}
	}
	if b.q.EnableRMedia {
		b.routes[b.shape.managerURI()+"/Actions/Oem/AMIVirtualMedia.EnableRMedia"] = &route{post: b.enableRMedia}
	}
}

// slotBody is a virtual drive as it is shown at one of its URIs.
func (b *BMC) slotBody(s *slot, uri string) object {
	o := object{
		"@odata.id": uri, "@odata.type": "#VirtualMedia." + b.shape.mediaType + ".VirtualMedia", "Id": path.Base(uri), "Name": "Virtual Removable Media",
		"MediaTypes": s.mediaTypes(uri), "Inserted": s.inserted, "ConnectedVia": "NotConnected", "Image": b.shape.noImage,
		"ImageName": nil, "TransferMethod": nil, "TransferProtocolType": nil, "UserName": nil, "WriteProtected": true,
	}
	if s.image != "" {
		o["Image"], o["ImageName"] = s.image, path.Base(s.image)
	}
	if s.inserted {
		o["ConnectedVia"] = "URI"
		if s.protocol != "" {
			o["TransferProtocolType"] = s.protocol
		}
	}
	if !b.q.MediaByPATCH {
		actions := object{}
		if s.canInsert {
			actions["#VirtualMedia.InsertMedia"] = object{"target": uri + "/Actions/VirtualMedia.InsertMedia"}
		}
		if s.canEject && (s.inserted || !b.q.EjectHidden) {
			actions["#VirtualMedia.EjectMedia"] = object{"target": uri + "/Actions/VirtualMedia.EjectMedia"}
		}
		o["Actions"] = actions
	}
	return b.finish("media", o)
}

// insert handles the action InsertMedia.
func (b *BMC) insert(s *slot, body object) reply {
	for k := range body {
		switch k {
		case "Image", "Inserted", "WriteProtected", "TransferProtocolType", "TransferMethod", "UserName", "Password":
		default:
			return problem(http.StatusBadRequest, "Base.1.12.ActionParameterUnknown", "the action does not have the parameter "+k, "InsertMedia", k)
		}
	}
	image, _ := body["Image"].(string)
	if out, bad := b.badInsert(s, body, image); bad {
		return out
	}
	protocol, _ := body["TransferProtocolType"].(string)
	return b.accept(s, image, protocol)
}

// badInsert applies the rules that this BMC has for InsertMedia.
func (b *BMC) badInsert(s *slot, body object, image string) (reply, bool) {
	missing := func(p string) (reply, bool) {
		return problem(http.StatusBadRequest, "Base.1.12.ActionParameterMissing", "the action requires the parameter "+p, "InsertMedia", p), true
	}
	unsupported := func(p string) (reply, bool) {
		return problem(http.StatusBadRequest, "Base.1.12.ActionParameterNotSupported", "the parameter "+p+" is not supported", p, "InsertMedia"), true
	}
	_, sentInserted := body["Inserted"]
	_, sentProtected := body["WriteProtected"]
	method, sentMethod := body["TransferMethod"]
	switch {
	case s.refuses != 0:
		return problem(s.refuses, "Base.1.12.OperationNotAllowed", "the drive belongs to the KVM"), true
	case b.q.NoMediaLicence:
		return problem(http.StatusForbidden, b.shape.message("LicenseRequired"), "virtual media from a URL needs a licence"), true
	case image == "":
		return missing("Image")
	case b.q.RefuseInserted && sentInserted:
		return unsupported("Inserted")
	case b.q.RefuseInserted && sentProtected:
		return unsupported("WriteProtected")
	case b.q.NeedProtocolType && body["TransferProtocolType"] == nil:
		return missing("TransferProtocolType")
	case b.q.NeedLogin && (body["UserName"] == nil || body["Password"] == nil):
		return missing("UserName")
	case b.q.StreamOnly && sentMethod && method != "Stream":
		return unsupported("TransferMethod")
	case b.q.StreamOnly && sentInserted && body["Inserted"] != true:
		return unsupported("Inserted")
	case !b.goodURL(image):
		return problem(http.StatusBadRequest, "Base.1.12.ActionParameterValueFormatError", "the value of Image is not acceptable", image, "Image"), true
	}
	return b.busy(s)
}

// busy refuses an insert that the drive is not ready for.
func (b *BMC) busy(s *slot) (reply, bool) {
	switch {
	case s.inserted || s.pending != "":
		return problem(http.StatusBadRequest, b.shape.message("MediaAlreadyInserted"), "a medium is already attached"), true
	case time.Since(s.ejectedAt) < b.q.EjectLag:
		return problem(http.StatusInternalServerError, b.shape.message("EjectInProgress"), "an eject is in progress"), true
	}
	return reply{}, false
}

// goodURL applies the rules for image URLs.
func (b *BMC) goodURL(image string) bool {
	u, err := url.Parse(image)
	limit := b.q.MaxURL
	if limit == 0 {
		limit = 255
	}
	schemes := b.q.MediaSchemes
	if schemes == nil {
		schemes = []string{"http", "https"}
	}
	switch {
	case err != nil || u.Host == "" || len(image) > limit || !slices.Contains(schemes, u.Scheme):
		return false
	case b.q.NoQueryInURL && strings.ContainsAny(image, "?="):
		return false
	case b.q.NeedISOSuffix && !strings.HasSuffix(u.Path, ".iso"):
		return false
	}
	return true
}

// accept puts the medium into the drive, now or a little later.
func (b *BMC) accept(s *slot, image, protocol string) reply {
	reachable := b.reach(image)
	if !reachable && b.q.ProbesImage {
		return problem(http.StatusBadRequest, b.shape.message("ImageUnreachable"), "the image cannot be reached at the given address")
	}
	if out, bad := b.busy(s); bad { // the lock was not held in between
		return out
	}
	s.protocol = protocol
	if reachable {
		s.pending, s.readyAt = image, time.Now().Add(b.q.InsertLag)
	}
	b.settleMedia()
	if b.q.InsertByTask {
		return b.startTask(s.readyAt)
	}
	return b.shape.done()
}

// reach looks at the image as BMCs do before they attach it: its size, and
// what kind of disc it is. It gives up the lock meanwhile.
func (b *BMC) reach(image string) bool {
	m, ok := b.machine.(*Machine)
	if !ok {
		return true
	}
	b.mu.Unlock()
	defer b.mu.Lock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	size, err := probe(ctx, m.transport(), image)
	return err == nil && isDisc(ctx, m.transport(), image, size) == nil
}

// settleMedia inserts what was accepted and is due.
func (b *BMC) settleMedia() {
	for _, s := range b.slots {
		if s.pending != "" && !time.Now().Before(s.readyAt) {
			s.image, s.inserted, s.pending = s.pending, true, ""
			b.starts = 0
		}
	}
	b.tellMedium()
}

// tellMedium tells the machine what is in its drive now: the first disc.
func (b *BMC) tellMedium() {
	now := ""
	for _, s := range b.slots {
		if s.inserted && s.isDisc() {
			now = s.image
			break
		}
	}
	if now != b.media {
		b.media = now
		b.machine.Insert(now)
	}
}

// ejectSlot handles the action EjectMedia.
func (b *BMC) ejectSlot(s *slot, body object) reply {
	if body == nil && b.q.EjectNeedsBody {
		return problem(http.StatusBadRequest, "Base.1.12.MalformedJSON", "the request body is empty")
	}
	if b.q.EjectOnlyInserted && !s.inserted {
		return problem(http.StatusBadRequest, b.shape.message("NoMedia"), "no medium is attached")
	}
	s.eject(b.q.KeepsImage)
	b.tellMedium()
	return b.shape.done()
}

// patchSlot handles a PATCH of a drive, on BMCs that have no actions for it.
func (b *BMC) patchSlot(s *slot, body object) reply {
	for k := range body {
		switch k {
		case "Image", "Inserted", "WriteProtected", "TransferProtocolType", "TransferMethod", "UserName", "Password", "VerifyCertificate":
		default:
			return unknownProperty(k)
		}
	}
	image, _ := body["Image"].(string)
	out := body["Image"]
	if _, sent := body["Image"]; sent && (out == nil || image == "") || body["Inserted"] == false {
		s.eject(b.q.KeepsImage)
		b.tellMedium()
		return b.shape.written()
	}
	if !s.canInsert || image == "" || body["Inserted"] != true {
		return problem(http.StatusBadRequest, "Base.1.12.PropertyMissing", "Image and Inserted must be set together, on a drive that takes URLs", "Inserted")
	}
	if b.q.NoMediaLicence {
		return problem(http.StatusForbidden, b.shape.message("LicenseRequired"), "virtual media from a URL needs a licence")
	}
	if !b.goodURL(image) {
		return problem(http.StatusBadRequest, "Base.1.12.PropertyValueFormatError", "the value of Image is not acceptable", image, "Image")
	}
	if out, bad := b.busy(s); bad {
		return out
	}
	protocol, _ := body["TransferProtocolType"].(string)
	if refused := b.accept(s, image, protocol); refused.status >= 300 {
		return refused
	}
	return b.shape.written()
}

// enableRMedia handles AMI's action that switches remote media on.
func (b *BMC) enableRMedia(body object) reply {
	if body["RMediaState"] != "Enable" {
		return problem(http.StatusBadRequest, "Base.1.12.ActionParameterMissing", "the action requires the parameter RMediaState", "EnableRMedia", "RMediaState")
	}
	if b.q.EnableRMediaLag <= 0 {
		b.rmedia = true
	} else {
		time.AfterFunc(b.q.EnableRMediaLag, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.rmedia = true
		})
	}
	return reply{status: http.StatusAccepted, header: http.Header{}}
}
