package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// File is a file of a listing.
type File struct {
	Key string
	// ModTime is when the file was written; zero where the listing does not tell, as
	// that of a folder: see [Store.ModTime].
	ModTime time.Time
}

// List yields all files in the byte order of their keys, and ends with the first
// error. It needs little memory, however many there are. In a folder what has no key
// of the storage's is left out, since none of it was put there.
func (s *Store) List(ctx context.Context) iter.Seq2[File, error] {
	if s.folder == "" {
		return s.list(ctx, "")
	}
	return func(yield func(File, error) bool) {
		w := walk{ctx: ctx, root: s.folder, batch: walkBatch, yield: yield}
		w.folder("")
	}
}

// ListBeneath yields the files beneath a prefix, as a/b/c and a/b/d beneath a/b, and ends
// with the first error. There should be few.
func (s *Store) ListBeneath(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return s.list(ctx, prefix+"/")
}

// list yields the files whose keys begin with a prefix, as the library lists them: of
// a folder it reads everything beneath the prefix again for each thousand files.
func (s *Store) list(ctx context.Context, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		files := s.bucket.List(&blob.ListOptions{Prefix: prefix})
		for {
			file, err := files.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(File{}, failed(ctx, "list", prefix, err))
				return
			}
			if !yield(File{Key: file.Key, ModTime: file.ModTime}, nil) {
				return
			}
		}
	}
}

// ModTime returns when the file under a key was written. A file that is not there is a
// [fault.NotFound].
func (s *Store) ModTime(ctx context.Context, key string) (time.Time, error) {
	if err := checkKey(key); err != nil {
		return time.Time{}, err
	}
	attributes, err := s.bucket.Attributes(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return time.Time{}, errNotFound.Wrap(fmt.Errorf("look at %q in the storage: %w", key, err))
	}
	if err != nil {
		return time.Time{}, failed(ctx, "look at", key, err)
	}
	return attributes.ModTime, nil
}

// walkBatch bounds the entries of a folder that are kept in memory at a time, twice as
// many for a moment. A folder of ten million is read forty times.
const walkBatch = 250_000

// segment is a part of a key between slashes.
var segment = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// walk goes through a folder in the byte order of keys.
type walk struct {
	ctx   context.Context //nolint:containedctx // It lives as long as one call.
	root  string
	batch int
	yield func(File, error) bool
}

// folder yields the files of the folder at a path, which is empty for the root and
// else ends with a slash. It reports whether to go on.
func (w *walk) folder(path string) bool {
	after := ""
	for {
		names, more, err := w.next(path, after)
		if err != nil {
			w.yield(File{}, failed(w.ctx, "list", path, err))
			return false
		}
		for _, name := range names {
			switch {
			case w.ctx.Err() != nil:
				w.yield(File{}, failed(w.ctx, "list", path, w.ctx.Err()))
				return false
			case strings.HasSuffix(name, "/"):
				if !w.folder(path + name) {
					return false
				}
			case !w.yield(File{Key: path + name}, nil):
				return false
			}
		}
		if !more {
			return true
		}
		after = names[len(names)-1]
	}
}

// next returns the first names of a folder that come after one, in byte order, and
// whether there are more. Names of folders end with a slash, by which they are sorted
// too: so they come in the order of the keys beneath them.
func (w *walk) next(path, after string) (names []string, more bool, err error) {
	dir, err := os.Open(filepath.Join(w.root, filepath.FromSlash(path)))
	if errors.Is(err, fs.ErrNotExist) && path != "" {
		return nil, false, nil // It was removed since it was listed.
	}
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	shrink := func() {
		slices.Sort(names)
		if len(names) > w.batch {
			names, more = names[:w.batch], true
		}
	}
	for {
		entries, err := dir.ReadDir(1024)
		for _, entry := range entries {
			name := entry.Name()
			if !segment.MatchString(name) || !entry.IsDir() && !entry.Type().IsRegular() {
				continue
			}
			if entry.IsDir() {
				name += "/"
			}
			if name > after {
				names = append(names, name)
			}
		}
		if len(names) >= 2*w.batch {
			shrink()
		}
		if errors.Is(err, io.EOF) {
			shrink()
			return names, more, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}
