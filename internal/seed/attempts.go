package seed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/photo/sample"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/verify"
)

type (
	attemptRow struct {
		ID         uuid.UUID       `json:"id"`
		CreatedAt  time.Time       `json:"created_at"`
		UserID     uuid.UUID       `json:"user_id"`
		LandmarkID uuid.UUID       `json:"landmark_id"`
		Status     verify.Status   `json:"status"`
		Location   string          `json:"location"`
		Accuracy   float64         `json:"accuracy_meters"`
		CapturedAt time.Time       `json:"captured_at"`
		Target     verify.Target   `json:"target"`
		Photo      *photo.Original `json:"photo"`
		Image      *photo.Image    `json:"image"`
		Checks     []verify.Check  `json:"checks"`
		Score      float64         `json:"score"`
		DecidedAt  time.Time       `json:"decided_at"`
		file       []byte
		rendered   *photo.Rendered
	}
	unlockRow struct {
		ID         uuid.UUID `json:"id"`
		CreatedAt  time.Time `json:"created_at"`
		UserID     uuid.UUID `json:"user_id"`
		LandmarkID uuid.UUID `json:"landmark_id"`
		AttemptID  uuid.UUID `json:"attempt_id"`
	}
)

// view is one of the few pictures that all photos of a world show. Each photo is a file
// of its own with its own position and time.
type view struct {
	jpeg     []byte
	rendered *photo.Rendered
	hash     string
}

// views are how many pictures there are, of a size that keeps 10,000 photos below 200 MB.
const (
	views      = 24
	viewWidth  = 320
	viewHeight = 240
)

// draw makes the pictures.
func draw(ctx context.Context, seed uint64) ([]view, error) {
	decoder := photo.NewDecoder(photo.DefaultLimits(), nil)
	made := make([]view, views)
	for n := range made {
		data, err := sample.Picture(sample.Options{Seed: int64(seed)*views + int64(n), Width: viewWidth, Height: viewHeight}) //nolint:gosec // Any number is a seed.
		if err != nil {
			return nil, err
		}
		err = decoder.Decode(ctx, "", bytes.NewReader(data), int64(len(data)), func(decoded photo.Decoded) error {
			rendered, err := photo.Render(decoded.Image, photo.MaxEdge)
			made[n] = view{data, rendered, fmt.Sprintf("%016x", photo.PerceptualHash(decoded.Image))}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return made, nil
}

// history makes attempts, which come to what the checks of the verification say.
type history struct {
	*inventor
	views []view
	// unlocked is when a user has unlocked a landmark.
	unlocked map[[2]uuid.UUID]time.Time
}

// attempt makes an attempt, and the unlock if it succeeds with one.
func (h *history) attempt() (attemptRow, *unlockRow, error) {
	user, at := h.users[h.skewed(len(h.users))], h.spots[h.skewed(len(h.spots))]
	pair := [2]uuid.UUID{user.ID, at.id}
	created, outcome := h.between(200, 0), h.Number(1, 100)
	// A user attempts no landmark that they have unlocked: this attempt was before, and failed.
	if since, ok := h.unlocked[pair]; ok {
		created, outcome = since.Add(-time.Duration(h.Number(10, 5*24*60))*time.Minute), 100
	}
	taken := created.Add(-time.Duration(h.Number(20, 1200)) * time.Second).Truncate(time.Second)
	claimed := h.near(at.Location, h.Float64()*0.6*at.UnlockRadiusMeters)
	options := sample.Options{TakenAt: taken, Position: &claimed}
	switch {
	case outcome > 85: // From somewhere else.
		claimed = h.near(at.Location, at.UnlockRadiusMeters+float64(h.Number(1500, 9000)))
	case outcome > 65: // A camera that does not know where it is.
		options.Position = nil
	}
	shown := h.views[h.Number(0, len(h.views)-1)]
	file := sample.Tag(shown.jpeg, options)
	facts, err := photo.ReadFacts(bytes.NewReader(file))
	if err != nil {
		return attemptRow{}, nil, fmt.Errorf("read the photo's facts: %w", err)
	}
	accuracy := float64(h.Number(3, 25))
	times := make([]verify.Timestamp, len(facts.Times))
	for n, stated := range facts.Times {
		times[n] = verify.Timestamp(stated)
	}
	verdict := verify.Run(verify.Evidence{
		SubmittedAt: created, Claimed: claimed, AccuracyMeters: &accuracy, CapturedAt: &taken,
		Photo: verify.PhotoFacts{Position: facts.Position, Times: times}, Target: at.Target,
	}, verify.DefaultPolicy())
	digest := sha256.Sum256(file)
	row := attemptRow{
		ID: h.id(created), CreatedAt: created, UserID: user.ID, LandmarkID: at.id, Status: verdict.Status, Location: claimed.EWKT(),
		Accuracy: accuracy, CapturedAt: taken, Target: at.Target, Checks: verdict.Checks, Score: verdict.Score,
		DecidedAt: created.Add(time.Duration(h.Number(80, 900)) * time.Millisecond), file: file, rendered: shown.rendered,
	}
	row.Photo = &photo.Original{
		Key: row.folder() + "/original", ContentType: photo.JPEG, Bytes: int64(len(file)), Width: viewWidth, Height: viewHeight,
		SHA256: hex.EncodeToString(digest[:]), Facts: &facts, PerceptualHash: shown.hash,
	}
	if verdict.Status != verify.Succeeded {
		return row, nil, nil
	}
	h.unlocked[pair] = created
	return row, &unlockRow{h.id(row.DecidedAt), row.DecidedAt, user.ID, at.id, row.ID}, nil
}

// folder is where an attempt's files are, beneath its user's so that a purge finds them.
func (a attemptRow) folder() string {
	return picture.UserPrefix(a.UserID) + "/attempts/" + a.ID.String()
}

// near is a point at a distance, in a direction at random.
func (h *history) near(p geo.Point, meters float64) geo.Point {
	const metersPerDegree = 111_320
	sin, cos := math.Sincos(2 * math.Pi * h.Float64())
	return geo.Point{
		Latitude:  round(p.Latitude + meters*cos/metersPerDegree),
		Longitude: round(p.Longitude + meters*sin/(metersPerDegree*math.Cos(p.Latitude*math.Pi/180))),
	}
}
