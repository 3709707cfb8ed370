//go:build !linux

package localstack

import "syscall"

// signalOnParentDeath has no counterpart outside of Linux: there a server
// outlives a killed parent until the next start stops it.
func signalOnParentDeath(*syscall.SysProcAttr, syscall.Signal) {}
