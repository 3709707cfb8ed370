package picaspot

import _ "embed"

// Compose is docker-compose.yml. The tests start the images that it names, so
// that a version is written down once.
//
//go:embed docker-compose.yml
var Compose []byte
