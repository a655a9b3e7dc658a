package isohttp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// record is what is remembered of a file that was read through. It holds as long
// as the rest of it does.
type record struct {
	Size   int64  `json:"size"`
	Mtime  int64  `json:"mtime"` // Unix nanoseconds
	Inode  uint64 `json:"inode"` // of the device nothing: its number changes with the next boot
	SHA256 string `json:"sha256"`
}

func recordOf(info fs.FileInfo, sha256 string) record {
	i := identityOf(info)
	return record{Size: info.Size(), Mtime: i.mtime, Inode: i.inode, SHA256: sha256}
}

// base is the image at path, of which r is remembered.
func (r record) base(path string) Base {
	return Base{path, r.SHA256, r.Size, identity{r.Mtime, r.Inode}}
}

// known returns what was remembered of the file at path, if that still holds.
func known(path, recordPath string) (record, bool) {
	info, err := os.Stat(path)
	if err != nil || recordPath == "" {
		return record{}, false
	}
	f, err := os.Open(recordPath)
	if err != nil {
		return record{}, false
	}
	defer f.Close()
	var r record
	if err := json.NewDecoder(io.LimitReader(f, 4096)).Decode(&r); err != nil || !isDigest(r.SHA256) {
		return record{}, false
	}
	return r, r == recordOf(info, r.SHA256)
}

// verified returns what is known of the file at path, from memory or by reading
// it. recordPath may be "".
func (s *Store) verified(ctx context.Context, path, recordPath string, p ImageProgress) (record, error) {
	if r, ok := known(path, recordPath); ok {
		return r, nil
	}
	f, err := openRegular(path)
	if err != nil {
		return record{}, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return record{}, err
	}
	if before.Size() > s.maxSize() {
		return record{}, fmt.Errorf("%d bytes are more than the %d an image may have", before.Size(), s.maxSize())
	}
	h := sha256.New()
	p.Total = before.Size()
	var last time.Time
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return record{}, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		p.Done += int64(n)
		s.report(p, &last, err == io.EOF)
		if err == io.EOF {
			break
		}
		if err != nil {
			return record{}, err
		}
	}
	digest := hex.EncodeToString(h.Sum(nil))
	after, err := f.Stat()
	if err != nil {
		return record{}, err
	}
	r := recordOf(after, digest)
	if r != recordOf(before, digest) || p.Done != after.Size() {
		return record{}, errors.New("it was changed while it was read")
	}
	s.remember(recordPath, r)
	return r, nil
}

// openRegular opens a regular file, and nothing that opening could wait for.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return os.Open(path)
}

// remember writes a record. That this fails only costs time later.
func (s *Store) remember(path string, r record) {
	if path == "" {
		return
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = writeFile(path, b)
	}
	if err != nil {
		s.log().Warn("image will be verified again next time", "err", err)
	}
}

// writeFile puts a small file in place at once.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// keyOf makes a file name of any string.
func keyOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
