package explain_test

import (
	"testing"

	"github.com/picaspot/picaspot/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }
