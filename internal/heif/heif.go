// Package heif has HEIC and AVIF photos converted by libheif's program. The formats are
// read by nothing in Go that keeps within the memory that a photo may take; the
// program runs with a hard bound on memory, processor time and output instead, in an
// environment of its own.
package heif

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/photo"
)

const (
	// maxMemoryKiB bounds the program's address space: a photo of 50 megapixels takes
	// 336 MB.
	maxMemoryKiB = 400_000
	// maxCPUSeconds bounds its processor time: 50 megapixels take 3 s.
	maxCPUSeconds = 20
	// maxFileBlocks bounds what it writes, in blocks of 512 bytes.
	maxFileBlocks = 64 << 20 / 512
	timeout       = time.Minute
	// quality is of the JPEG between: high, as what is shown is encoded once more.
	quality = 95
	// notExecutable and notFound are how a shell exits that can't start a program.
	notExecutable = 126
	notFound      = 127
)

var errUnreadable = fault.New(fault.Invalid, "photo_broken", "The photo can't be read: it is damaged, or saved in an unusual way. A JPEG is taken.")

// Find returns the converter that is installed, or nil if there is none: libheif's
// heif-dec, called heif-convert before version 1.18. The bound on memory holds on
// Linux; elsewhere there is none.
func Find() photo.Converter {
	if runtime.GOOS != "linux" {
		return nil
	}
	for _, name := range []string{"heif-dec", "heif-convert"} {
		if program, err := exec.LookPath(name); err == nil {
			return New(program)
		}
	}
	return nil
}

// New returns a converter that runs a program with a quality, an input and an output.
// A program that fails, crashes or exceeds its bounds is the fault photo_broken.
func New(program string) photo.Converter {
	return func(ctx context.Context, file io.Reader) (*os.File, error) {
		dir, err := os.MkdirTemp("", "picaspot-heif-")
		if err != nil {
			return nil, fmt.Errorf("convert the photo: %w", err)
		}
		// On Linux and macOS an open file outlives its name.
		defer os.RemoveAll(dir)
		return convert(ctx, program, dir, file)
	}
}

func convert(ctx context.Context, program, dir string, file io.Reader) (*os.File, error) {
	in, out := filepath.Join(dir, "in.heif"), filepath.Join(dir, "out.jpg")
	if err := write(in, file); err != nil {
		return nil, fmt.Errorf("convert the photo: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The shell sets the bounds and becomes the program: it never runs without them.
	limits := fmt.Sprintf("ulimit -v %d && ulimit -t %d && ulimit -f %d && ulimit -c 0 && exec \"$@\"", maxMemoryKiB, maxCPUSeconds, maxFileBlocks)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", limits, "sh", program, "-q", strconv.Itoa(quality), in, out)
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + dir}
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("convert the photo: %w", ctx.Err())
	}
	if err != nil {
		var exited *exec.ExitError
		if !errors.As(err, &exited) {
			return nil, fmt.Errorf("convert the photo: %w", err)
		}
		if code := exited.ExitCode(); code == notExecutable || code == notFound {
			return nil, fmt.Errorf("convert the photo: %w", err)
		}
		return nil, errUnreadable.Wrap(fmt.Errorf("%w: %s", err, strings.ToValidUTF8(string(said[:min(len(said), 300)]), "")))
	}
	made, err := os.Open(out)
	if errors.Is(err, os.ErrNotExist) {
		// Of several pictures each has a number.
		made, err = os.Open(filepath.Join(dir, "out-1.jpg"))
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, errUnreadable.Wrap(err)
	}
	return made, err
}

func write(name string, from io.Reader) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
