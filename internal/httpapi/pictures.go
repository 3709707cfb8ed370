package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/version"
)

// How long a client may keep a picture: for good where its address changes with
// its bytes, else it asks each time. Shared caches may not keep it, since who may
// see it depends on who asks.
const (
	pictureCache       = "private, max-age=31536000, immutable"
	movingPictureCache = "private, no-cache"
)

var errReplaced = fault.New(fault.NotFound, "picture_replaced", "The address is that of an earlier picture. Fetch the resource again.")

// cachePicture tells how long a client may keep what it gets at an address: one without
// a version, or with that of an earlier picture, has another picture tomorrow. A signed
// address is good for one picture, and no longer than it says.
func cachePicture(ctx context.Context, image *photo.Image, of *string) (*string, error) {
	isCurrent := of != nil && *of == pictureVersion(image)
	until, signed := operation.SignedUntil(ctx)
	switch {
	case signed && !isCurrent:
		return nil, errReplaced
	case signed:
		return ptr(fmt.Sprintf("private, max-age=%d, immutable", int(time.Until(until).Seconds()))), nil
	case isCurrent:
		return ptr(pictureCache), nil
	default:
		return ptr(movingPictureCache), nil
	}
}

func pictureVersion(image *photo.Image) string { return image.SHA256[:16] }

func pictureTag(image *photo.Image) string { return `"` + image.SHA256[:32] + `"` }

// pictureURL is the address of a picture that is fetched at a path.
func pictureURL(ctx context.Context, path string, image *photo.Image) string {
	reference := path + "?version=" + pictureVersion(image)
	if addresses := picture.AddressesFrom(ctx); addresses != nil {
		return addresses.Sign(reference)
	}
	return reference
}

// toAPIPicture names a picture by the path that it is fetched at.
func toAPIPicture(ctx context.Context, path string, image *photo.Image) nullable.Nullable[api.Image] {
	if image == nil {
		return noImage
	}
	return nullable.NewNullableWithValue(api.Image{
		URL: pictureURL(ctx, path, image), ContentType: image.ContentType,
		Bytes: image.Bytes, Width: image.Width, Height: image.Height,
	})
}

// What is kept for later names pictures by their references. The first mark begins one
// in JSON: within a text there would be a backslash before its quotes.
var (
	referenceMark = []byte(`"url":"/api/v1/`)
	referenceSkip = len(`"url":"`)
)

// signed writes the addresses of pictures into JSON that was kept, and reports whether
// there are any.
func signed(ctx context.Context, body []byte) ([]byte, bool) {
	addresses := picture.AddressesFrom(ctx)
	at := bytes.Index(body, referenceMark)
	if at < 0 || addresses == nil {
		return body, false
	}
	out := make([]byte, 0, len(body)+len(body)/4)
	for ; at >= 0; at = bytes.Index(body, referenceMark) {
		at += referenceSkip
		end := at + bytes.IndexByte(body[at:], '"')
		out = append(out, body[:at]...)
		// As encoding/json writes it, so that the bytes do not depend on what was kept.
		out = append(out, bytes.ReplaceAll([]byte(addresses.Sign(string(body[at:end]))), []byte("&"), []byte(`\u0026`))...)
		body = body[end:]
	}
	return append(out, body...), true
}

// tagOf is the entity tag of a resource that was last changed at a time. One that has a
// picture is another one once the picture's address is.
func tagOf(ctx context.Context, updatedAt time.Time, hasPicture bool) string {
	addresses := picture.AddressesFrom(ctx)
	if !hasPicture || addresses == nil {
		return version.ETag(updatedAt)
	}
	return version.Of(version.ETag(updatedAt), addresses.Version())
}
