// Package storage keeps files: in a folder, or in any S3-compatible store, as
// its URL says.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"regexp"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:///folder
	_ "gocloud.dev/blob/s3blob"   // s3://bucket
	"gocloud.dev/gcerrors"

	"github.com/picaspot/picaspot/internal/fault"
)

// Store keeps files by keys. A file is there whole or not at all.
type Store struct {
	bucket *blob.Bucket
}

var errNotFound = fault.New(fault.NotFound, "not_found", "The file is not there.")

// Open opens the store at a URL: file:///folder, which is made if it is missing,
// or s3://bucket with the query parameters of gocloud.dev/blob/s3blob (endpoint,
// region, use_path_style); credentials come from the AWS variables.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("storage: the URL is malformed")
	}
	if u.Scheme == "file" {
		query := u.Query()
		query.Set("create_dir", "true")
		query.Set("metadata", "skip") // Rows have it.
		query.Set("no_tmp_dir", "true")
		u.RawQuery = query.Encode()
	}
	bucket, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("open the storage: %w", err)
	}
	return &Store{bucket: bucket}, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.bucket.Close() }

// keys are paths of plain names: nothing in them leads out of the store.
var validKey = regexp.MustCompile(`^[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*(?:\.[a-z0-9]+)?$`)

func checkKey(key string) error {
	if !validKey.MatchString(key) {
		return fmt.Errorf("storage: invalid key %q", key)
	}
	return nil
}

// Put stores what it reads under a key. When reading fails nothing is stored.
func (s *Store) Put(ctx context.Context, key string, content io.Reader, contentType string) (err error) {
	if err := checkKey(key); err != nil {
		return err
	}
	// Ending the writer's context before it is closed throws away what was written.
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: contentType, DisableContentTypeDetection: true})
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	if _, err := io.Copy(w, content); err != nil {
		abort()
		_ = w.Close() // It reports that it was aborted.
		return fmt.Errorf("store %s: %w", key, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	return nil
}

// Get opens a file and tells its size in bytes and its content type, where the
// store keeps it. A file that is not there is a [fault.NotFound].
func (s *Store) Get(ctx context.Context, key string) (body io.ReadCloser, size int64, contentType string, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, "", err
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		if gcerrors.Code(err) == gcerrors.NotFound {
			return nil, 0, "", errNotFound.Wrap(err)
		}
		return nil, 0, "", fmt.Errorf("fetch %s: %w", key, err)
	}
	return r, r.Size(), r.ContentType(), nil
}

// Delete removes a file; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := s.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// Check tells whether the store can be reached.
func (s *Store) Check(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("reach the storage: %w", err)
	}
	if !ok {
		return fmt.Errorf("reach the storage: %w", fs.ErrNotExist)
	}
	return nil
}
