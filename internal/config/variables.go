package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// RefuseMalformed returns an error for each variable whose value is not of its flag's
// type, or not among those that its flag takes, and has the parser ignore these
// variables. The parser itself would stop at the first of them; [Config.Refused] has
// them reported together with every other fault.
func RefuseMalformed(parser *kong.Kong) []error {
	var refused []error
	for _, flag := range parser.Model.Flags {
		for _, variable := range flag.Tag.Envs {
			text, isSet := os.LookupEnv(variable)
			if !isSet {
				continue
			}
			if err := parse(flag, text); err != nil {
				refused = append(refused, fmt.Errorf("%s: %w", variable, err))
				flag.Tag.Envs = nil
			}
		}
	}
	return refused
}

// parse returns why a text can't be the value of a flag.
func parse(flag *kong.Flag, text string) error {
	value := reflect.New(flag.Target.Type()).Elem()
	err := flag.Parse(kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text}), value)
	if cause := errors.Unwrap(err); cause != nil {
		return cause // Without the name of the flag.
	}
	if err == nil && flag.Enum != "" && !slices.Contains(flag.EnumSlice(), value.String()) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(flag.EnumSlice(), ", "))
	}
	return err
}
