package seed

import (
	"bytes"
	_ "embed" // The cities are in the binary.
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/verify"
)

//go:embed cities.csv
var cities []byte

// Size is how large a made-up world is, and which one.
type Size struct {
	Users, Landmarks, Attempts int
	// Seed chooses the world: the same seed makes the same one.
	Seed uint64
	// Until is when the world's history ends.
	Until time.Time
}

// The rows of a made-up world, with the names of the columns.
type (
	userRow struct {
		ID          uuid.UUID `json:"id"`
		CreatedAt   time.Time `json:"created_at"`
		Username    string    `json:"username"`
		Email       string    `json:"email"`
		DisplayName string    `json:"display_name"`
		Bio         string    `json:"bio"`
	}
	areaRow struct {
		ID         uuid.UUID  `json:"id"`
		CreatedAt  time.Time  `json:"created_at"`
		Name       string     `json:"name"`
		ParentID   *uuid.UUID `json:"parent_area_id"`
		CreatedBy  uuid.UUID  `json:"created_by"`
		IsVerified bool       `json:"is_verified"`
		ExternalID string     `json:"external_id"`
	}
	landmarkRow struct {
		ID          uuid.UUID `json:"id"`
		CreatedAt   time.Time `json:"created_at"`
		AreaID      uuid.UUID `json:"area_id"`
		Name        string    `json:"name"`
		Description string    `json:"description"`
		Hint        string    `json:"hint"`
		Difficulty  int       `json:"difficulty"`
		Location    string    `json:"location"`
		Radius      float64   `json:"unlock_radius_meters"`
		CreatedBy   uuid.UUID `json:"created_by"`
		IsVerified  bool      `json:"is_verified"`
		ExternalID  string    `json:"external_id"`
	}
)

// spot is what is kept of a landmark for its attempts.
type spot struct {
	id uuid.UUID
	verify.Target
}

// city is where landmarks are, with its districts.
type city struct {
	name, country string
	center        geo.Point
	districts     []uuid.UUID
}

// inventor makes the rows of a world. All that it makes follows from the seed and the
// end of the history.
type inventor struct {
	*gofakeit.Faker
	size  Size
	users []userRow
	spots []spot
	towns []city
}

func newInventor(size Size) *inventor {
	return &inventor{Faker: gofakeit.NewFaker(rand.NewPCG(size.Seed, 0), false), size: size}
}

const day = 24 * time.Hour

// between is a time between two, in days before the end of the history.
func (i *inventor) between(from, to int) time.Time {
	span := time.Duration(from-to) * day
	return i.size.Until.Add(-time.Duration(from) * day).Add(time.Duration(i.Float64() * float64(span))).Truncate(time.Microsecond)
}

// id is a UUID version 7 (RFC 9562) of a time, its random bits from the seed.
func (i *inventor) id(at time.Time) (id uuid.UUID) {
	ms := at.UnixMilli()
	for b := range 6 {
		id[b] = byte(ms >> (40 - 8*b)) //nolint:gosec // The byte is what is wanted.
	}
	for b := 6; b < 16; b++ {
		id[b] = byte(i.Uint32()) //nolint:gosec // As above.
	}
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// mailDomain is that of the users' addresses; RFC 2606 keeps it from being anybody's.
const mailDomain = "@world.picaspot.example"

func (i *inventor) inventUsers() {
	for n := range i.size.Users {
		at := i.between(600, 400)
		first, last := i.FirstName(), i.LastName()
		letters := strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				return -1
			}
			return r
		}, strings.ToLower(first+last))
		name := fmt.Sprintf("%.20s%d", letters, n+1)
		bio := ""
		if i.Number(1, 3) == 1 {
			bio = fmt.Sprintf("%s from %s. Likes %s.", i.JobTitle(), i.City(), strings.ToLower(i.Hobby()))
		}
		i.users = append(i.users, userRow{i.id(at), at, name, name + mailDomain, first + " " + last, bio})
	}
}

// owner is one of the users; few of them own most.
func (i *inventor) owner() uuid.UUID { return i.users[i.skewed(len(i.users))].ID }

// skewed is a number below n, of which the small ones are the frequent ones.
func (i *inventor) skewed(n int) int {
	at := i.Float64()
	return min(int(at*at*float64(n)), n-1)
}

var districts = []string{
	"Old Town", "Harbour", "University Quarter", "Station District", "Garden Suburb", "Market Quarter",
	"Mill Lane", "Hillside", "West End", "Riverside", "Cathedral Quarter", "New Town",
}

// inventAreas makes the areas: countries, in them cities, in them districts.
func (i *inventor) inventAreas() ([]areaRow, error) {
	rows, err := csv.NewReader(bytes.NewReader(cities)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the cities: %w", err)
	}
	var made []areaRow
	countries := map[string]*uuid.UUID{}
	add := func(name string, parent *uuid.UUID, path string) uuid.UUID {
		at := i.between(400, 380)
		made = append(made, areaRow{i.id(at), at, name, parent, i.owner(), true, i.external("area", path)})
		return made[len(made)-1].ID
	}
	// Names of areas are unique beside each other, and there may be other worlds.
	root := add(fmt.Sprintf("Made-up world %d", i.size.Seed), nil, "")
	// A city of a small world has few districts, so that none is empty.
	perCity := min(max(i.size.Landmarks/len(rows)/20, 1), len(districts))
	for _, row := range rows[1:] {
		latitude, errLat := strconv.ParseFloat(row[2], 64)
		longitude, errLon := strconv.ParseFloat(row[3], 64)
		center, err := geo.New(latitude, longitude)
		for _, err := range []error{errLat, errLon, err} {
			if err != nil {
				return nil, fmt.Errorf("read the cities: %s: %w", row[1], err)
			}
		}
		if countries[row[0]] == nil {
			id := add(row[0], &root, row[0])
			countries[row[0]] = &id
		}
		town := city{name: row[1], country: row[0], center: center}
		in := add(row[1], countries[row[0]], row[0]+"/"+row[1])
		for _, name := range districts[:perCity] {
			town.districts = append(town.districts, add(name, &in, row[0]+"/"+row[1]+"/"+name))
		}
		i.towns = append(i.towns, town)
	}
	return made, nil
}

func (i *inventor) external(kind, of string) string {
	return fmt.Sprintf("seed:%d:%s:%s", i.size.Seed, kind, of)
}

// inventLandmark makes landmark number n. Landmarks lie around cities, more densely in the middle,
// and a district is a sector of its city.
func (i *inventor) inventLandmark(n int) (landmarkRow, error) {
	town := i.towns[i.skewed(len(i.towns))]
	turn, km := i.Float64(), 3*math.Sqrt(-2*math.Log(1-i.Float64()))
	sin, cos := math.Sincos(2 * math.Pi * turn)
	const kmPerDegree = 111.32
	at, err := geo.New(
		round(town.center.Latitude+km*cos/kmPerDegree),
		round(town.center.Longitude+km*sin/(kmPerDegree*math.Cos(town.center.Latitude*math.Pi/180))))
	if err != nil {
		return landmarkRow{}, fmt.Errorf("landmark in %s: %w", town.name, err)
	}
	made := i.between(380, 200)
	name, kind := i.landmarkName()
	row := landmarkRow{
		ID: i.id(made), CreatedAt: made, AreaID: town.districts[int(turn*float64(len(town.districts)))], Name: name,
		Description: i.describe(kind, town.name), Hint: hints[i.Number(0, len(hints)-1)], Difficulty: i.difficulty(),
		Location: at.EWKT(), Radius: float64(25 * i.Number(2, 8)), CreatedBy: i.owner(), IsVerified: i.Number(1, 10) <= 7,
		ExternalID: i.external("landmark", strconv.Itoa(n)),
	}
	i.spots = append(i.spots, spot{row.ID, verify.Target{Location: at, UnlockRadiusMeters: row.Radius, PhotoRadiusMeters: 50}})
	return row, nil
}

// round keeps a tenth of a metre, as maps do.
func round(degrees float64) float64 { return math.Round(degrees*1e6) / 1e6 }

// difficulty is from 1 to 5: easy ones are frequent.
func (i *inventor) difficulty() int {
	at := i.Number(1, 100)
	switch {
	case at <= 35:
		return 1
	case at <= 65:
		return 2
	case at <= 85:
		return 3
	case at <= 96:
		return 4
	}
	return 5
}

var (
	kinds = []string{"church", "bridge", "fountain", "statue", "mill", "tower", "museum", "theatre", "park", "mural", "market hall", "library", "lighthouse", "villa"}
	marks = []string{"red bricks", "a copper roof", "a clock that is always late", "carved doors", "a view over the roofs", "iron railings", "a row of lime trees", "old tiles", "a small courtyard"}
	hints = []string{"Look up.", "Come in the evening.", "Walk around it once.", "Listen for the bells.", "The back is the better side.", "Start from the nearest tram stop.", ""}
)

func (i *inventor) landmarkName() (name, kind string) {
	kind = kinds[i.Number(0, len(kinds)-1)]
	title := strings.ToUpper(kind[:1]) + kind[1:]
	switch kind {
	case "church":
		return "St. " + i.FirstName() + "'s Church, " + i.StreetName(), kind
	case "statue":
		return "Statue of " + i.FirstName() + " " + i.LastName(), kind
	case "mural":
		return "The " + i.SafeColor() + " Mural on " + i.StreetName(), kind
	case "fountain", "bridge", "villa", "tower":
		return i.LastName() + " " + title + ", " + i.StreetName(), kind
	}
	return "Old " + title + " on " + i.StreetName(), kind
}

func (i *inventor) describe(kind, town string) string {
	return fmt.Sprintf("A %s in %s with %s, built in %d for %s %s.", kind, town, marks[i.Number(0, len(marks)-1)], i.Number(1280, 1985), i.FirstName(), i.LastName())
}
