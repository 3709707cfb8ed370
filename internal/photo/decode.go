package photo

import (
	"context"
	"fmt"
	"image"
	"io"
	"os"

	"golang.org/x/image/webp"

	"github.com/picaspot/picaspot/internal/photo/scaledjpeg"
	"github.com/picaspot/picaspot/internal/photo/scaledpng"
)

// MaxEdge bounds the longer edge of a decoded photo, in pixels.
const MaxEdge = 2048

// enoughEdge is the longer edge that a photo has at the least when it is read at a
// fraction of its size: half of 4000 and a quarter of 8000, which most phones' photos
// have or a little more, so that those need no resampling.
const enoughEdge = 2000

// Converter makes a JPEG of a HEIC or AVIF file, upright and with its metadata. The
// caller closes it. A file that can't be converted is the fault photo_broken.
type Converter func(ctx context.Context, file io.Reader) (*os.File, error)

// Decoder decodes photos within common bounds on memory and processors. A process
// has one.
type Decoder struct {
	limits    Limits
	admission *admission
	convert   Converter
}

// NewDecoder makes a decoder with bounds of its own. Without a converter HEIC and AVIF
// are refused.
func NewDecoder(limits Limits, convert Converter) *Decoder {
	return &Decoder{limits: limits, admission: newAdmission(limits.BudgetBytes), convert: convert}
}

// Decoded is a photo that was read as a whole.
type Decoded struct {
	// Info is about the file; Width and Height are those of the picture as stored.
	Info
	// Orientation is how the picture is stored; Image stands upright already.
	Orientation Orientation
	// Facts are what the photo says about itself.
	Facts Facts
	// Image is the picture in sRGB and on white, with [MaxEdge] along its longer edge
	// at most.
	Image *image.RGBA
}

// Decode reads the whole of a photo of a size in bytes and hands it to use. The
// photo's memory counts against the budget until use returns, so use must not keep
// the image. An account has one small and one large photo decoded at a time, and none
// for a small one waits behind a large one; an empty account is background work. What
// [Inspect] refuses is refused before anything is allocated; what turns out to be
// truncated or corrupt is the fault photo_broken; busy is a queue that is full. While
// it waits and reads, Decode heeds ctx.
func (d *Decoder) Decode(ctx context.Context, account string, file io.ReadSeeker, size int64, use func(Decoded) error) error {
	r := &source{ReadSeeker: file, done: ctx.Err}
	info, err := inspect(r, size, d.limits)
	if err != nil {
		return err
	}
	if info.ContentType == HEIC || info.ContentType == AVIF {
		return d.converted(ctx, account, r, info, use)
	}
	return d.decode(ctx, account, r, info, use)
}

// converted decodes a photo of a format that another program reads.
func (d *Decoder) converted(ctx context.Context, account string, r *source, info Info, use func(Decoded) error) error {
	if d.convert == nil {
		return errNoConverter
	}
	made, err := d.runConverter(ctx, account, r)
	if err != nil {
		return err
	}
	defer made.Close()
	size, err := made.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the converted photo: %w", err)
	}
	limits := d.limits
	limits.Bytes = max(limits.Bytes, size)
	jpeg := &source{ReadSeeker: made, done: ctx.Err}
	inner, err := inspect(jpeg, size, limits)
	if err != nil {
		return err
	}
	inner.isConverted = true
	return d.decode(ctx, account, jpeg, inner, func(decoded Decoded) error {
		decoded.ContentType = info.ContentType
		return use(decoded)
	})
}

func (d *Decoder) runConverter(ctx context.Context, account string, r *source) (*os.File, error) {
	t := &ticket{account: account, lane: laneConverted}
	if err := d.admission.acquire(ctx, t); err != nil {
		return nil, err
	}
	defer d.admission.release(t)
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return d.convert(ctx, r)
}

func (d *Decoder) decode(ctx context.Context, account string, r *source, info Info, use func(Decoded) error) error {
	facts, err := ReadFacts(r)
	if err != nil {
		return err
	}
	orientation, err := readOrientation(r, info.ContentType)
	if err != nil {
		return err
	}
	if info.isConverted {
		orientation = Upright
	}
	// A lossless WebP may need its tables or not. Counted towards the limit they
	// would rule out honest files; so what might need them has to be alone.
	bytes := info.MemoryBytes + info.cost.tables
	t := &ticket{account: account, lane: d.admission.laneOf(bytes, info.cost.work)}
	t.bytes = min(bytes, d.admission.limit(t.lane))
	if err := d.admission.acquire(ctx, t); err != nil {
		return err
	}
	defer d.admission.release(t)
	// What is freed here is free before the next one is let in.
	defer collect(info.MemoryBytes)

	img, err := read(r, info)
	if err != nil {
		return err
	}
	collect(info.cost.scratch)
	return use(Decoded{Info: info, Orientation: orientation, Facts: facts, Image: show(img, info, orientation)})
}

// show makes a picture one that can be shown: small, in sRGB, on white and upright.
func show(img image.Image, info Info, orientation Orientation) *image.RGBA {
	if inks, ok := img.(*image.CMYK); ok {
		img = newToSRGB(info.profile, 4).convertInks(inks)
	}
	shown := scale(img, fit(img.Bounds().Size(), MaxEdge))
	if info.inputs != 4 {
		newToSRGB(info.profile, info.inputs).convert(shown)
	}
	if orientation <= Upright || orientation > 8 {
		return shown
	}
	return turn(shown, orientation)
}

// read decodes the pixels, at a fraction of their size where the format allows it.
func read(r *source, info Info) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, errBroken.Wrap(fmt.Errorf("panic while decoding: %v", p))
		}
	}()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	want := image.Pt(info.Width, info.Height)
	switch info.ContentType {
	case JPEG:
		n := scaledjpeg.Size(info.Width, info.Height, enoughEdge)
		want = image.Pt((info.Width*n+7)/8, (info.Height*n+7)/8)
		img, err = scaledjpeg.Decode(r, n)
	case PNG:
		factor := pngFactor(info.Width, info.Height)
		want = image.Pt((info.Width+factor-1)/factor, (info.Height+factor-1)/factor)
		img, err = scaledpng.Decode(r, factor)
	case WebP:
		img, err = webp.Decode(r)
	}
	if err != nil {
		return nil, broken(err)
	}
	if got := img.Bounds().Size(); got != want {
		return nil, errBroken.Wrap(fmt.Errorf("decoded %v, announced %d by %d", got, info.Width, info.Height))
	}
	return img, nil
}

// pngFactor is by what a PNG is shrunk while it is read.
func pngFactor(width, height int) int {
	return min(max(1, max(width, height)/enoughEdge), scaledpng.MaxFactor)
}
