package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/name"
)

// Limits of what a landmark holds, as the contract has them, in characters.
const (
	maxDescription = 5000
	maxHint        = 1000
	maxExternalID  = 200
)

// Row is a landmark as a file has it.
type Row struct {
	// Line is where it begins in the file, from 1.
	Line       int
	ExternalID string
	Name       string
	// named is the name as the file has it, which ids from before names were cleaned are
	// made of.
	named       string
	Description string
	Hint        string
	// Area is the name of the area beneath the import's own; empty for none.
	Area     string
	Location geo.Point
	// AreaPath has the names of the areas above the landmark and of its own, from the top of
	// the tree or from the import's area, as the options say. It is nil where the file has
	// none, and Area is not looked at where it has.
	AreaPath []string
	// id is the one of a new landmark, given out in the file's order.
	id uuid.UUID
	// values are those of further columns, as text that the database reads.
	values map[string]string
	// createdAt and updatedAt are those of a new landmark; zero where the file has none.
	createdAt, updatedAt time.Time
	// Has… tell whether the file has the column, whose value may be empty.
	HasDescription, HasHint, HasArea bool
}

// Rejected is a row that can't be taken, with every reason.
type Rejected struct {
	Line    int      `json:"line"`
	Name    string   `json:"name,omitempty"`
	Reasons []string `json:"reasons"`
}

// rejected is the row as one that can't be taken.
func (r Row) rejected(reasons ...string) Rejected {
	return Rejected{Line: r.Line, Name: r.Name, Reasons: reasons}
}

// Mapping names the columns or properties of a file; where it names none, the
// usual names are tried.
// [None] names no column, the usual ones neither.
type Mapping struct {
	ID, Name, Description, Hint, Area, Latitude, Longitude string

	AreaPath, Difficulty, UnlockRadius, PhotoLatitude, PhotoLongitude, PhotoRadius, Verified, CreatedAt, UpdatedAt string
}

// None in a [Mapping] leaves what it stands for out.
const None = "-"

// The usual names, the likeliest first; case does not matter.
var (
	usualID          = []string{"external_id", "id", "@id", "wof:id", "geonameid", "id_number", "id_no", "unique_number", "wikidata", "wikidataid"}
	usualName        = []string{"name", "name_en", "name:en", "title", "site", "wof:name", "label", "asciiname", "jp_kanji", "unit_name"}
	usualDescription = []string{"description", "short_description", "desc", "summary", "cmt"}
	usualHint        = []string{"hint"}
	usualArea        = []string{"area", "area_name"}

	usualAreaPath       = []string{"area_path"}
	usualDifficulty     = []string{"difficulty"}
	usualUnlockRadius   = []string{"unlock_radius_meters"}
	usualPhotoLatitude  = []string{"photo_location.latitude", "photo_latitude"}
	usualPhotoLongitude = []string{"photo_location.longitude", "photo_longitude"}
	usualPhotoRadius    = []string{"photo_radius_meters"}
	usualVerified       = []string{"is_verified"}
	usualCreatedAt      = []string{"created_at"}
	usualUpdatedAt      = []string{"updated_at"}

	usualLatitude  = ofObjects("latitude", "lat", "y")
	usualLongitude = ofObjects("longitude", "lon", "lng", "long", "x")
)

// UsualColumns says which names are tried, for people.
func UsualColumns() string {
	var text []string
	for _, c := range []struct {
		what  string
		names []string
	}{
		{"id", usualID}, {"name", usualName}, {"description", usualDescription}, {"hint", usualHint}, {"area", usualArea},
		{"latitude", usualLatitude[:3]}, {"longitude", usualLongitude[:5]},
		{"area path", usualAreaPath}, {"difficulty", usualDifficulty}, {"unlock radius", usualUnlockRadius},
		{"photo's latitude", usualPhotoLatitude}, {"photo's longitude", usualPhotoLongitude}, {"photo radius", usualPhotoRadius},
		{"verification", usualVerified}, {"creation", usualCreatedAt}, {"last change", usualUpdatedAt},
	} {
		text = append(text, c.what+" ("+strings.Join(c.names, ", ")+")")
	}
	return "found by these names, the first that has a value, whatever their case: " + strings.Join(text, "; ") + "."
}

// ofObjects adds the names within the objects that usually hold a position.
func ofObjects(names ...string) []string {
	all := names
	for _, object := range []string{"location", "position", "coordinates", "coords", "geo", "center", "point"} {
		for _, name := range names {
			all = append(all, object+"."+name)
		}
	}
	return all
}

// fields are a row's values by their lower-cased names.
type fields map[string]string

func (f fields) get(named string, usual []string) string {
	if named == None {
		return ""
	}
	if named != "" {
		return f[strings.ToLower(named)]
	}
	for _, name := range usual {
		if value := strings.TrimSpace(f[name]); value != "" && !isPlaceholder(name, value) {
			return value
		}
	}
	return ""
}

// has reports whether there is a column that get looks at, with a value or without.
func (f fields) has(named string, usual []string) bool {
	if named == None {
		return false
	}
	if named != "" {
		usual = []string{strings.ToLower(named)}
	}
	return slices.ContainsFunc(usual, func(name string) bool { _, ok := f[name]; return ok })
}

// isPlaceholder tells the numbers that stand for no id, as GeoNames' -1, and the tag of
// OpenStreetMap that tells polygons from closed lines: area=yes names no area.
func isPlaceholder(name, value string) bool {
	if name == "area" {
		return value == "yes" || value == "no"
	}
	number, err := strconv.ParseFloat(value, 64)
	return err == nil && number <= 0 && slices.Contains(usualID, name)
}

// row makes a landmark of a record, or says why it can't be taken.
func (o SourceOptions) row(record source.Record) (Row, []string) {
	m, f, reasons := o.Mapping, fields(record.Fields), record.Faults
	if f == nil {
		return Row{}, reasons
	}
	r := Row{
		Line: record.Line, ExternalID: f.get(m.ID, usualID), Name: f.get(m.Name, usualName),
		Description: f.get(m.Description, usualDescription), Hint: f.get(m.Hint, usualHint), Area: f.get(m.Area, usualArea),
		HasDescription: f.has(m.Description, usualDescription), HasHint: f.has(m.Hint, usualHint), HasArea: f.has(m.Area, usualArea),
	}
	// Of OpenStreetMap a node and a way have the same number: the format's own id
	// tells them apart.
	if r.ExternalID == "" || record.ID != "" && m.ID == "" && r.ExternalID == f["@id"] {
		r.ExternalID = record.ID
	}
	check := func(what, value string, limit int) {
		switch {
		case !utf8.ValidString(value):
			reasons = append(reasons, what+" is not UTF-8; --encoding may help")
		case strings.ContainsRune(value, 0):
			// Other control characters are a matter of taste, and of what the API takes.
			reasons = append(reasons, what+" has NUL characters")
		case utf8.RuneCountInString(value) > limit:
			reasons = append(reasons, fmt.Sprintf("%s has more than %d characters", what, limit))
		}
	}
	for _, value := range []*string{&r.Name, &r.Description, &r.Hint, &r.Area, &r.ExternalID} {
		*value = strings.TrimSpace(*value)
	}
	r.named = r.Name
	var faults []string
	if r.Name, faults = cleanName("the name", r.Name); r.Name == "" && len(faults) == 0 {
		faults = []string{"it has no name"}
	}
	reasons = append(reasons, faults...)
	check("the description", r.Description, maxDescription)
	check("the hint", r.Hint, maxHint)
	r.Area, faults = cleanName("the area", r.Area)
	reasons = append(reasons, faults...)
	check("the id", r.ExternalID, maxExternalID)
	reasons = append(reasons, r.readProperties(m, record)...)
	if record.Geometry == nil || len(record.Faults) == 0 {
		r.Location, faults = o.place(record)
		reasons = append(reasons, faults...)
	}
	return r, reasons
}

// cleanName returns a name as package name keeps it, or what is wrong with it. It is empty
// when nothing of it can be seen.
func cleanName(what, text string) (clean string, faults []string) {
	if !utf8.ValidString(text) {
		return text, []string{what + " is not UTF-8; --encoding may help"}
	}
	clean, err := name.Clean("", text, name.MaxCharacters)
	var refused *fault.Error
	if errors.As(err, &refused) && !errors.Is(err, name.ErrBlank) {
		for _, f := range refused.Fields {
			faults = append(faults, what+": "+f.Message)
		}
		return text, faults
	}
	return clean, nil
}

func (m Mapping) place(record source.Record) (geo.Point, []string) {
	f := fields(record.Fields)
	latitude, errLat := latitudes.parse(f.get(m.Latitude, usualLatitude), record.DecimalComma)
	longitude, errLon := longitudes.parse(f.get(m.Longitude, usualLongitude), record.DecimalComma)
	var reasons []string
	if errLat != nil {
		reasons = append(reasons, "the latitude "+errLat.Error())
	}
	if errLon != nil {
		reasons = append(reasons, "the longitude "+errLon.Error())
	}
	if reasons != nil {
		return geo.Point{}, reasons
	}
	return point(latitude, longitude)
}

func point(latitude, longitude float64) (geo.Point, []string) {
	at, err := geo.New(latitude, longitude)
	if err != nil {
		return geo.Point{}, []string{fmt.Sprintf("latitude %g, longitude %g lie beyond the globe; WGS 84 degrees are expected", latitude, longitude)}
	}
	return at, nil
}

// externalID is what tells rows of all imports apart: the row's own id, or one
// made of its content, within the import's namespace.
func (r Row) externalID(namespace string) string {
	id := r.ExternalID
	if id == "" {
		content := fmt.Sprintf("%s\x00%.6f\x00%.6f", strings.ToLower(r.named), r.Location.Latitude, r.Location.Longitude)
		digest := sha256.Sum256([]byte(content))
		id = "content-" + hex.EncodeToString(digest[:16])
	}
	full := namespace + ":" + id
	if utf8.RuneCountInString(full) > maxExternalID {
		digest := sha256.Sum256([]byte(full))
		full = "hash-" + hex.EncodeToString(digest[:])
	}
	return full
}
