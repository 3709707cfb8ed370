package cache

import (
	"encoding/binary"
	"errors"
	"time"
)

// View is the public JSON of a resource, encoded once for each version of its row, with
// times in UTC.
type View struct {
	// Body is JSON. It must not be changed.
	Body      []byte
	UpdatedAt time.Time
}

// Render encodes a row as the public JSON of its resource.
type Render[T any] func(*T) ([]byte, error)

// NewView encodes a row that was last changed at updatedAt.
func NewView[T any](row *T, updatedAt time.Time, render Render[T]) (View, error) {
	body, err := render(row)
	return View{Body: body, UpdatedAt: updatedAt}, err
}

// timeSize is the length in bytes of the time before the body in a copy.
const timeSize = 8

// Views is a kind of copies that are views.
func Views(name string) *Kind[View] {
	return &Kind[View]{
		Name: name,
		Encode: func(v View) []byte {
			data := make([]byte, 0, timeSize+len(v.Body))
			return append(binary.BigEndian.AppendUint64(data, uint64(v.UpdatedAt.UnixMicro())), v.Body...)
		},
		Decode: func(data []byte) (View, error) {
			if len(data) < timeSize {
				return View{}, errors.New("the copy of a " + name + " is cut off")
			}
			micros := int64(binary.BigEndian.Uint64(data)) //nolint:gosec // As Encode wrote it.
			return View{UpdatedAt: time.UnixMicro(micros).UTC(), Body: data[timeSize:]}, nil
		},
		Size: func(v View) int { return len(v.Body) },
	}
}
