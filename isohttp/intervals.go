package isohttp

// intervals is a set of bytes, kept as disjoint spans in buckets of a fixed
// width so that adding one costs the same at any size. It never claims a byte
// that was not added: full, it forgets instead (see maxSpans), for what is in it
// serves as evidence that something was read.
type intervals struct {
	buckets []*[]span // by offset >> bucketBits; nil until the first add, each until its first
	spans   int       // in all buckets
}

type span struct{ from, to uint32 } // within its bucket; to is exclusive

const (
	bucketBits = 24      // 16 MiB
	maxSpans   = 1 << 16 // 512 KiB; a span that touches none is not kept beyond that
)

// add puts [from, to) into the set and returns how many of these bytes were not
// in it. size is that of the whole, which from and to lie in.
func (s *intervals) add(from, to, size int64) int64 {
	if s.buckets == nil {
		s.buckets = make([]*[]span, (size>>bucketBits)+1)
	}
	var added int64
	for from < to {
		i := from >> bucketBits
		end := min(to, (i+1)<<bucketBits)
		if s.buckets[i] == nil {
			s.buckets[i] = new([]span)
		}
		added += s.addTo(s.buckets[i], span{uint32(from - i<<bucketBits), uint32(end - i<<bucketBits)})
		from = end
	}
	return added
}

func (s *intervals) addTo(bucket *[]span, n span) int64 {
	b := *bucket
	// b[i:j] are those that n overlaps or touches.
	i, k := 0, len(b)
	for i < k {
		if m := int(uint(i+k) >> 1); b[m].to < n.from {
			i = m + 1
		} else {
			k = m
		}
	}
	j := i
	added := int64(n.to - n.from)
	merged := n
	for ; j < len(b) && b[j].from <= n.to; j++ {
		if from, to := max(b[j].from, n.from), min(b[j].to, n.to); from < to {
			added -= int64(to - from)
		}
		merged.from, merged.to = min(merged.from, b[j].from), max(merged.to, b[j].to)
	}
	if i < j {
		b[i] = merged
		*bucket = append(b[:i+1], b[j:]...)
		s.spans -= j - i - 1
		return added
	}
	if s.spans >= maxSpans {
		return 0
	}
	s.spans++
	b = append(b, span{})
	copy(b[i+1:], b[i:])
	b[i] = n
	*bucket = b
	return added
}
