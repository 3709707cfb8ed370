package operation

import (
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // Zones by their IANA names, whatever the machine has.

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/reqctx"
)

const timezoneHeader = "X-Timezone"

// zoneName is the form of the names of the IANA database. Those that machines
// add to it are no zones of it: localtime, posix/…, right/… (with leap seconds).
var (
	zoneName  = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]{0,31}(?:/[A-Z][A-Za-z0-9_+-]{0,31}){0,2}$`)
	notAZone  = map[string]bool{"Local": true, "Factory": true}
	zoneFault = fault.Field{Parameter: timezoneHeader, Code: "unknown", Message: "The name of an IANA time zone as Europe/Berlin is expected."}
)

// maxZones bounds the zones that are kept. There are some 600; the bound is for
// file systems to which europe/berlin is one more.
const maxZones = 1024

// zones keeps zones by name, because loading one reads and parses a file.
type zones struct {
	byName sync.Map
	count  atomic.Int32
}

var knownZones zones

func (z *zones) load(name string) (*time.Location, bool) {
	if known, ok := z.byName.Load(name); ok {
		location, ok := known.(*time.Location)
		return location, ok
	}
	if !zoneName.MatchString(name) || notAZone[name] {
		return nil, false
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	if z.count.Load() < maxZones {
		if _, had := z.byName.LoadOrStore(name, location); !had {
			z.count.Add(1)
		}
	}
	return location, true
}

// withTimezone returns the request with the zone that it wants times in.
func withTimezone(r *http.Request, found *faults) *http.Request {
	names := r.Header.Values(timezoneHeader)
	if len(names) == 0 {
		return r
	}
	location, ok := knownZones.load(names[0])
	if !ok || len(names) > 1 {
		found.add(zoneFault)
		return r
	}
	request := reqctx.From(r.Context())
	request.Location = location
	return r.WithContext(reqctx.With(r.Context(), request))
}
