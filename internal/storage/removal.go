package storage

import (
	"context"
	"errors"
	"fmt"
)

// RemovalArgs are a job that removes files. Enqueued in the transaction that
// removes the rows which name them, it loses no file to a process that dies in
// between.
type RemovalArgs struct {
	Keys []string `json:"keys"`
	// Beneath are prefixes beneath which all files are removed: see [Store.DeleteBeneath].
	Beneath []string `json:"beneath,omitempty"`
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
	for _, prefix := range args.Beneath {
		if err := s.DeleteBeneath(ctx, prefix); err != nil {
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
	for file, err := range s.ListBeneath(ctx, prefix) {
		if err != nil {
			return err
		}
		if err := s.Delete(ctx, file.Key); err != nil {
			return fmt.Errorf("beneath %q: %w", prefix, err)
		}
	}
	return nil
}
