package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are looked for below the ephemeral range of Linux and macOS, where the tests
// beside this one listen and call from, and where package localstack's servers aren't.
const (
	firstPort = 10000
	portCount = 11000
)

// FreeAddr is an address on this machine that nobody listens on, for a server that is
// told where to listen. It can stay so while the server is away.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := firstPort + rand.IntN(portCount)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return listener.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
