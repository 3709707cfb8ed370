package photo

import (
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
	"golang.org/x/sync/semaphore"
)

// Decoder decodes photos within a common budget of memory: what would exceed it
// waits. A process has one.
type Decoder struct {
	limits Limits
	memory *semaphore.Weighted
}

// NewDecoder makes a decoder with a budget of its own.
func NewDecoder(limits Limits) *Decoder {
	return &Decoder{limits: limits, memory: semaphore.NewWeighted(limits.BudgetBytes)}
}

// Decoded is a photo that was read as a whole.
type Decoded struct {
	Info
	// Orientation is how the picture is stored; Image stands upright already.
	Orientation Orientation
	Image       image.Image
}

// Decode reads the whole of a photo of a size in bytes and hands it to use,
// upright. The photo's memory counts against the budget until use returns, so
// use must not keep the image. What [Inspect] refuses is refused before anything
// is allocated; what turns out to be truncated or corrupt is the fault
// photo_broken. While the budget is used up, and while it reads, Decode heeds ctx.
func (d *Decoder) Decode(ctx context.Context, file io.ReadSeeker, size int64, use func(Decoded) error) error {
	r := &source{ReadSeeker: file, done: ctx.Err}
	info, err := inspect(r, size, d.limits)
	if err != nil {
		return err
	}
	orientation, err := readOrientation(r, info.ContentType)
	if err != nil {
		return err
	}
	// A lossless WebP may need its tables or not. Counted towards the limit they
	// would rule out honest files; so what might need them has to be alone.
	weight := min(d.limits.BudgetBytes, info.MemoryBytes+info.cost.tables)
	if err := d.memory.Acquire(ctx, weight); err != nil {
		return fmt.Errorf("wait to decode a photo: %w", err)
	}
	defer d.memory.Release(weight)
	// What is freed here is free before the next one is let in.
	defer collect(info.MemoryBytes)

	img, err := decode(r, info)
	if err != nil {
		return err
	}
	collect(info.cost.scratch)
	return use(Decoded{Info: info, Orientation: orientation, Image: upright(img, orientation)})
}

func decode(r *source, info Info) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, errBroken.Wrap(fmt.Errorf("panic while decoding: %v", p))
		}
	}()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	switch info.ContentType {
	case JPEG:
		img, err = jpeg.Decode(r)
	case PNG:
		img, err = png.Decode(r)
	case WebP:
		img, err = webp.Decode(r)
	}
	if err != nil {
		return nil, broken(err)
	}
	if got := img.Bounds().Size(); got != image.Pt(info.Width, info.Height) {
		return nil, errBroken.Wrap(fmt.Errorf("decoded %v, announced %d by %d", got, info.Width, info.Height))
	}
	return img, nil
}
