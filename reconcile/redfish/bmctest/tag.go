package bmctest

import (
	"net/http"
	"strings"
)

// shownTag is the asset tag as a GET shows it.
func (b *BMC) shownTag() string {
	if b.tag == "" && b.q.TagPads {
		return strings.Repeat(" ", 32)
	}
	return b.tag
}

// patchTag changes the asset tag, in the way that this BMC has.
func (b *BMC) patchTag(value any) reply {
	tag, ok := value.(string)
	limit := b.q.TagMax
	if limit == 0 {
		limit = 63
	}
	switch {
	case !ok:
		return problem(http.StatusBadRequest, "Base.1.12.PropertyValueTypeError", "the value of AssetTag is not a string", "AssetTag")
	case b.q.TagReadOnly:
		return problem(http.StatusBadRequest, b.shape.message("PropertyNotWritable"), "the property AssetTag is read only", "AssetTag")
	case b.q.TagIgnored:
		return b.shape.written()
	case len(tag) > limit && !b.q.TagCuts:
		return problem(http.StatusBadRequest, "Base.1.12.StringValueTooLong", "the value of AssetTag is too long", "AssetTag")
	}
	tag = tag[:min(len(tag), limit)]
	if b.q.TagStaged {
		b.tagStaged = &tag
	} else {
		b.tag = tag
	}
	return b.shape.written()
}

// patchChassis handles a PATCH of a chassis.
func (b *BMC) patchChassis(c chassisShape, body object) reply {
	for k := range body {
		if k != "AssetTag" || !c.tag {
			return unknownProperty(k)
		}
	}
	if !b.shape.systemTag {
		return b.patchTag(body["AssetTag"])
	}
	tag, ok := body["AssetTag"].(string)
	if !ok || b.q.TagReadOnly {
		return problem(http.StatusBadRequest, b.shape.message("PropertyNotWritable"), "the property AssetTag is read only", "AssetTag")
	}
	b.otherTag = tag
	return b.shape.written()
}
