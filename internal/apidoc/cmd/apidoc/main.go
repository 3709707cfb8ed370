// The apidoc command prints the contract as it is served, as JSON, for the tools
// that check it.
package main

import (
	"fmt"
	"os"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/apidoc"
)

func main() {
	document, err := apidoc.Render(picaspot.OpenAPI)
	if err == nil {
		_, err = os.Stdout.Write(document.JSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
