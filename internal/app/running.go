package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/localstack"
)

// Files in the data folder of a running [Dev].
const (
	// runningFile says where its servers are. Only its user can read it, since there are
	// passwords in it.
	runningFile = "running.json"
	// runningLock is held as long as it runs, so that the file of one that was killed
	// does not count.
	runningLock = "running.lock"
)

// running is what commands need to work on the installation that [Dev] runs.
type running struct {
	DatabaseURL string `json:"database_url"`
	RedisURL    string `json:"redis_url"`
	StorageURL  string `json:"storage_url"`
	SMTPURL     string `json:"smtp_url"`
	SecretKey   string `json:"secret_key"`
	PublicURL   string `json:"public_url"`
}

// publish lets commands find this installation until withdraw is called.
func publish(c config.Config) (withdraw func() error, err error) {
	lock, err := localstack.TakeLock(filepath.Join(c.DataDir, runningLock))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.DataDir, runningFile)
	content, err := json.Marshal(running{
		DatabaseURL: c.DatabaseURL, RedisURL: c.RedisURL, StorageURL: c.StorageURL, SMTPURL: c.SMTPURL,
		SecretKey: c.SecretKey, PublicURL: c.PublicURL,
	})
	if err == nil {
		// Not written over: the file of another may be open to others.
		if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("say where the servers are: %w", err), lock.Release())
	}
	return func() error { return errors.Join(os.Remove(path), lock.Release()) }, nil
}

// UseRunning fills in what a configuration leaves open with the installation that a
// [Dev] runs at this moment in the configuration's data folder, and reports whether
// there is one. A configuration that names another database stays as it is: it is
// another installation, with a secret and files of its own.
func UseRunning(c *config.Config) (bool, error) {
	isRunning, err := localstack.IsLocked(filepath.Join(c.DataDir, runningLock))
	if err != nil || !isRunning {
		return false, err
	}
	content, err := os.ReadFile(filepath.Join(c.DataDir, runningFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil // It is about to start or to end, or it is another user's.
	}
	if err != nil {
		return false, fmt.Errorf("find the running servers: %w", err)
	}
	var r running
	if err := json.Unmarshal(content, &r); err != nil {
		return false, fmt.Errorf("find the running servers: %s: %w", filepath.Join(c.DataDir, runningFile), err)
	}
	if c.DatabaseURL != "" && c.DatabaseURL != r.DatabaseURL {
		return false, nil
	}
	if c.SecretKeyFile != "" {
		r.SecretKey = ""
	}
	for _, open := range []struct {
		setting *string
		value   string
	}{
		{&c.DatabaseURL, r.DatabaseURL}, {&c.RedisURL, r.RedisURL}, {&c.StorageURL, r.StorageURL}, {&c.SMTPURL, r.SMTPURL},
		{&c.SecretKey, r.SecretKey}, {&c.PublicURL, r.PublicURL},
	} {
		if *open.setting == "" {
			*open.setting = open.value
		}
	}
	return true, nil
}
