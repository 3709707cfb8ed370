// Package storage keeps photos and pictures: in a folder on a laptop, in an
// S3-compatible store in production, so that any replica serves any file. What a
// file is called and what it is lies in the database; a store knows keys and
// bytes. A file that no row names is removed after a day (package sweep).
package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob" // The scheme mem, a store of a test's own.
	_ "gocloud.dev/blob/s3blob"  // The scheme s3.
	"gocloud.dev/gcerrors"

	"github.com/picaspot/picaspot/internal/fault"
)

var (
	errNotFound    = fault.New(fault.NotFound, "file_not_found", "There is no such file.")
	errUnavailable = fault.New(fault.Unavailable, "storage_unavailable", "The store of the photos can't be reached; try again in a moment.")
)

// defaultContentType is what a store answers that keeps no content types.
const defaultContentType = "application/octet-stream"

// uploadParts bounds the parts of a file, 5 MB each, that are on their way to S3
// at once and so in memory.
const uploadParts = 2

// maxKey bounds a key in bytes, far below what S3 and file systems allow.
const maxKey = 512

// keyPattern takes segments of plain characters with slashes between them. None
// starts with a dot, so no key leaves the store or hides in it.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

// Store keeps files by their keys.
type Store struct {
	bucket *blob.Bucket
	// folder is empty for a store that is none.
	folder string
	// name is that of the bucket, if it is one, and prefix what all keys there begin with.
	name, prefix string
	probe        probe
}

// Open opens the store at an address:
//   - file:///folder is a folder, made if it is missing, readable by its owner only;
//   - s3://bucket?endpoint=…&region=…&use_path_style=true is an S3-compatible
//     store, with the credentials of the usual AWS_* variables;
//   - mem:// is in memory and gone with the process.
//
// It does not connect yet: see [Store.Check]. An error does not repeat a password
// of the address.
func Open(ctx context.Context, address string) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error of url.Parse repeats the address as a whole.
		return nil, errors.New("open the storage: the address is no URL")
	}
	s := &Store{}
	switch u.Scheme {
	case "file":
		s.folder = filepath.FromSlash(u.Path)
		s.bucket, err = openFolder(u)
	case "s3", "mem":
		s.name, s.prefix = u.Host, u.Query().Get("prefix")
		s.bucket, err = blob.OpenBucket(ctx, address)
	default:
		err = fmt.Errorf("the scheme %q is none of file, s3 and mem", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("open the storage %s: %w", u.Redacted(), err)
	}
	return s, nil
}

func openFolder(u *url.URL) (*blob.Bucket, error) {
	if u.Host != "" || u.RawQuery != "" || !filepath.IsAbs(filepath.FromSlash(u.Path)) {
		return nil, errors.New("a folder is named as in file:///var/lib/picaspot/files")
	}
	return fileblob.OpenBucket(filepath.FromSlash(u.Path), &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700,
		// A temporary file beside its target can be renamed in one step on any disk.
		NoTempDir: true,
		// No second file for each; content types are in the database.
		Metadata: fileblob.MetadataDontWrite,
	})
}

// Close ends the store's connections.
func (s *Store) Close() error { return s.bucket.Close() }

// ProbeKey is the key of the file that [Store.Check] writes.
const ProbeKey = "probe"

const (
	// probeInterval is how long an answer of the store to a write holds: many callers
	// make one write, which costs something.
	probeInterval = 5 * time.Second
	// probeSize in bytes is more than fits into the directory entry of a file system, so
	// that a full disk refuses it.
	probeSize = 64 << 10
)

// probe is the last write that was made to see whether the store takes any.
type probe struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// Check reports whether the store can be listed and written, for readiness. It writes
// the file under [ProbeKey], once in five seconds at the most.
func (s *Store) Check(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	if time.Since(s.probe.at) < probeInterval {
		return s.probe.err
	}
	err := s.Put(ctx, ProbeKey, bytes.NewReader(make([]byte, probeSize)), defaultContentType)
	if errors.Is(ctx.Err(), context.Canceled) {
		return err // The caller is gone; that says nothing about the store.
	}
	s.probe.at, s.probe.err = time.Now(), err
	return err
}

// reach reports whether the store is there.
func (s *Store) reach(ctx context.Context) error {
	if s.folder != "" {
		// To the library a folder that is gone is one without files.
		if _, err := os.Stat(s.folder); err != nil {
			return fmt.Errorf("reach the storage: %w", err)
		}
	}
	accessible, err := s.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("reach the storage: %w", err)
	}
	if !accessible {
		return errors.New("reach the storage: there is no such bucket or folder")
	}
	return nil
}

// Put stores what r has under a key, replacing what was there. It streams, and
// the file appears whole or not at all: an error of r, which is returned as it
// is, or a context that is done leaves what was there before. A store that fails
// is a [fault.Unavailable].
func (s *Store) Put(ctx context.Context, key string, r io.Reader, contentType string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	// Closing a writer commits it, unless its context is done.
	writing, abort := context.WithCancel(ctx)
	defer abort()
	w, err := s.bucket.NewWriter(writing, key, &blob.WriterOptions{ContentType: contentType, MaxConcurrency: uploadParts})
	if err != nil {
		return failed(ctx, "store", key, err)
	}
	source := &reading{Reader: r}
	_, err = io.Copy(w, source)
	if err != nil {
		abort()
		_ = w.Close() // It says that it was aborted.
		if source.err != nil {
			return source.err
		}
		return failed(ctx, "store", key, err)
	}
	if err := w.Close(); err != nil {
		return failed(ctx, "store", key, err)
	}
	return nil
}

// reading remembers whether it was the source that failed.
type reading struct {
	io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Get opens the file under a key; the caller closes it. The size is in bytes.
// The content type is application/octet-stream from a folder, which keeps none.
// A file that is not there is a [fault.NotFound].
func (s *Store) Get(ctx context.Context, key string) (body io.ReadCloser, size int64, contentType string, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, "", err
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, 0, "", errNotFound.Wrap(fmt.Errorf("open %q in the storage: %w", key, err))
	}
	if err != nil {
		return nil, 0, "", failed(ctx, "open", key, err)
	}
	contentType = r.ContentType()
	if contentType == "" {
		contentType = defaultContentType
	}
	return r, r.Size(), contentType, nil
}

// Delete removes the file under a key. A file that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	err := s.bucket.Delete(ctx, key)
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return failed(ctx, "delete", key, err)
	}
	return nil
}

// Unavailable is the error of a file that can't be kept, because of what the cause
// says: a [fault.Unavailable].
func Unavailable(cause error) error { return errUnavailable.Wrap(cause) }

// checkKey refuses keys that no code here makes: an attempt to leave the store
// or a mistake, so it is no fault that a user should read about.
func checkKey(key string) error {
	if len(key) > maxKey || !keyPattern.MatchString(key) {
		return fmt.Errorf("%.100q is no key of the storage", key)
	}
	return nil
}

// failed wraps what a store said, for the log only: it names folders and hosts. A
// store that takes longer than the caller has is away; a caller that is gone proves
// nothing about the store.
func failed(ctx context.Context, doing, key string, err error) error {
	err = errors.Join(ctx.Err(), fmt.Errorf("%s %q in the storage: %w", doing, key, err))
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return Unavailable(err)
}
