package source

import "io"

// counter counts the bytes that were read of a file.
type counter struct {
	from io.Reader
	at   io.ReaderAt
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.at.ReadAt(p, offset)
	c.n += int64(n)
	return n, err
}

// limited reads until nothing is left, and fails with err then. Reading goes on
// after left was set anew.
type limited struct {
	from io.Reader
	left int64
	err  error
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, l.err
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
