// Package view is about resources as everybody sees them, written once for each
// version of a row and kept.
package view

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/picaspot/picaspot/internal/cache"
)

// View is a row as it is shown, with times in UTC.
type View struct {
	// Body is JSON. It must not be changed.
	Body      []byte
	UpdatedAt time.Time
}

// Render writes a row as it is shown.
type Render[T any] func(*T) ([]byte, error)

// Of writes a row that was last changed at a time.
func Of[T any](row *T, updatedAt time.Time, render Render[T]) (View, error) {
	body, err := render(row)
	return View{Body: body, UpdatedAt: updatedAt}, err
}

// stamp is how many bytes the time takes before the body in a copy.
const stamp = 8

// Kind is a kind of copies that are views.
func Kind(name string) *cache.Kind[View] {
	return &cache.Kind[View]{
		Name: name,
		Encode: func(v View) []byte {
			data := make([]byte, 0, stamp+len(v.Body))
			return append(binary.BigEndian.AppendUint64(data, uint64(v.UpdatedAt.UnixMicro())), v.Body...)
		},
		Decode: func(data []byte) (View, error) {
			if len(data) < stamp {
				return View{}, errors.New("the copy of a " + name + " is cut off")
			}
			micros := int64(binary.BigEndian.Uint64(data)) //nolint:gosec // As Encode wrote it.
			return View{UpdatedAt: time.UnixMicro(micros).UTC(), Body: data[stamp:]}, nil
		},
		Size: func(v View) int { return len(v.Body) },
	}
}
