package testenv

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cutter is a TCP proxy before PostgreSQL that can cut a connection between a COMMIT
// and its answer: the server has committed, and the client never learns it.
type Cutter struct {
	armed atomic.Bool
	cuts  atomic.Int32
}

// NewCutter starts a proxy before a database and returns the database's address
// through it. It ends with the test.
func NewCutter(t testing.TB, databaseURL string) (through string, _ *Cutter) {
	t.Helper()
	address, err := url.Parse(databaseURL)
	require.NoError(t, err)
	require.NotEmpty(t, address.Host, "the proxy speaks TCP")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	c := &Cutter{}
	server := address.Host
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(client, server)
		}
	}()
	address.Host = listener.Addr().String()
	return address.String(), c
}

// CutNext has the connection of the next COMMIT cut once it is carried out.
func (c *Cutter) CutNext() { c.armed.Store(true) }

// Cuts is how many connections were cut.
func (c *Cutter) Cuts() int { return int(c.cuts.Load()) }

func (c *Cutter) serve(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	// Once it is set, the client gets nothing more.
	var cut atomic.Bool
	go func() {
		defer server.Close()
		c.forward(server, client, &cut)
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if cut.Load() {
			// The answer to the COMMIT has come: it is done.
			c.cuts.Add(1)
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// forward passes the client's messages on, each in one piece (PostgreSQL documentation,
// 55.7: a byte of type, the length as four bytes, the rest).
func (c *Cutter) forward(server io.Writer, client io.Reader, cut *atomic.Bool) {
	started := false
	for {
		header := make([]byte, 5)
		if !started {
			header = header[:4] // The first message has no type.
		}
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(header[len(header)-4:])
		message := make([]byte, len(header)+int(length)-4)
		copy(message, header)
		if _, err := io.ReadFull(client, message[len(header):]); err != nil {
			return
		}
		started = true
		if message[0] == 'Q' && strings.EqualFold(strings.TrimRight(string(message[5:]), "\x00; "), "commit") && c.armed.CompareAndSwap(true, false) {
			cut.Store(true)
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}
