package version_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/version"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tag := version.ETag(now)
	for name, test := range map[string]struct {
		ifMatch, ifNoneMatch *string
		want                 string
	}{
		"none":                         {},
		"the version":                  {ifMatch: &tag},
		"a list with it":               {ifMatch: new(`"x", ` + tag)},
		"any version":                  {ifMatch: new("*")},
		"another version":              {ifMatch: new(`"x"`), want: "version_changed"},
		"it as a weak tag":             {ifMatch: new("W/" + tag), want: "version_changed"},
		"not another version":          {ifNoneMatch: new(`"x"`)},
		"not the version":              {ifNoneMatch: &tag, want: "version_excluded"},
		"not it, weakly":               {ifNoneMatch: new(`"x", W/` + tag), want: "version_excluded"},
		"no version":                   {ifNoneMatch: new("*"), want: "version_excluded"},
		"the version, and not another": {ifMatch: &tag, ifNoneMatch: new(`"x"`)},
		"the version, and none":        {ifMatch: &tag, ifNoneMatch: new("*"), want: "version_excluded"},
		"another version, and none":    {ifMatch: new(`"x"`), ifNoneMatch: new("*"), want: "version_changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := version.Conditions(test.ifMatch, test.ifNoneMatch).Check(now)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			var found *fault.Error
			require.ErrorAs(t, err, &found)
			require.Equal(t, test.want, found.Code)
			require.Equal(t, fault.PreconditionFailed, found.Kind)
		})
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		`"abc"`: `"abc"`, `"abc-gzip"`: `"abc"`, `"abc-zstd"`: `"abc"`, `W/"abc-gzip"`: `W/"abc"`, `"abc-br"`: `"abc-br"`,
		`abc-gzip`: `abc-gzip`, `"`: `"`, ``: ``, `*`: `*`,
	} {
		require.Equal(t, want, version.Plain(tag))
	}
}
