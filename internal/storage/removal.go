package storage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
)

// RemovalArgs are a job that removes files. Enqueued in the transaction that
// removes the rows which name them, it loses no file to a process that dies in
// between.
type RemovalArgs struct {
	Keys []string `json:"keys"`
}

// Kind names the job.
func (RemovalArgs) Kind() string { return "file_removal" }

// Remove is the work of a [RemovalArgs] job. It goes on where one fails, and may
// run any number of times.
func (s *Store) Remove(ctx context.Context, args RemovalArgs) error {
	var faults []error
	for _, key := range args.Keys {
		if ctx.Err() != nil {
			return errors.Join(append(faults, ctx.Err())...)
		}
		if err := s.Delete(ctx, key); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// DeleteBeneath removes all files whose keys lie beneath a prefix, as a/b/c and
// a/b/d do beneath a/b. None is no error.
func (s *Store) DeleteBeneath(ctx context.Context, prefix string) error {
	if err := checkKey(prefix); err != nil {
		return err
	}
	files := s.bucket.List(&blob.ListOptions{Prefix: prefix + "/"})
	for {
		file, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return failed(ctx, "list", prefix, err)
		}
		if err := s.Delete(ctx, file.Key); err != nil {
			return fmt.Errorf("beneath %q: %w", prefix, err)
		}
	}
}
