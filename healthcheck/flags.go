package healthcheck

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
)

// arguments holds the flags and the URLs of a command line.
type arguments struct {
	*flag.FlagSet
	urls    []string
	headers []string
	token   tokenFlags
	tls     tlsFlags
	invalid error // the error of the first flag with an invalid value

	// The fields below are set by parse.
	targets []client.Target
	request client.Settings
}

func newArguments() *arguments {
	a := &arguments{FlagSet: flag.NewFlagSet("healthcheck", flag.ContinueOnError)}
	a.SetOutput(io.Discard) // the error of Parse contains the message too
	a.request.Timeout = 3 * time.Second
	a.duration("timeout", &a.request.Timeout, time.Millisecond, time.Hour)
	// If this function validated the header, package flag would quote an invalid one, which may be a secret. So
	// parse validates the headers.
	a.Func("header", "", func(s string) error {
		a.headers = append(a.headers, s)
		return nil
	})
	a.token.define(a.FlagSet)
	a.tls.define(a.FlagSet)
	return a
}

// setting defines a flag with a value. It keeps an error of set in invalid, because package flag would quote
// the value unmasked. A value may contain a secret: if the user forgot the value, package flag takes the next
// argument, which may be a URL with a password.
func (a *arguments) setting(name string, set func(string) error) {
	a.Func(name, "", func(s string) error {
		if err := set(s); err != nil && a.invalid == nil {
			a.invalid = fmt.Errorf("invalid value %q for flag -%s: %w", client.Mask(s), name, err)
		}
		return nil
	})
}

// duration defines a flag whose value must be a duration from least to most.
func (a *arguments) duration(name string, value *time.Duration, least, most time.Duration) {
	a.setting(name, func(s string) (err error) {
		*value, err = time.ParseDuration(s)
		if err != nil {
			return errors.New("a duration must have a unit, such as 3s or 500ms")
		}
		return within(*value, least, most)
	})
}

// number defines a flag whose value must be a number from 1 to most.
func (a *arguments) number(name string, value *int, most int) {
	a.setting(name, func(s string) (err error) {
		*value, err = strconv.Atoi(s)
		if err != nil {
			return errors.New("it must be a whole number")
		}
		return within(*value, 1, most)
	})
}

func within[T cmp.Ordered](value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("it must be %v to %v", least, most)
	}
	return nil
}

// parse parses flags and URLs, which may be in any order.
func (a *arguments) parse(args []string) error {
	err := a.Parse(args)
	for err == nil && a.NArg() > 0 {
		a.urls = append(a.urls, a.Arg(0))
		err = a.Parse(a.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		// Mask is needed because package flag quotes the argument.
		return errors.New(client.Mask(err.Error()))
	case a.invalid != nil:
		return a.invalid
	}
	if len(a.urls) == 0 {
		return errors.New("a URL is required, such as http://localhost:8000")
	}
	if a.request.Header, err = client.ParseHeader(a.headers); err != nil {
		return err
	}
	if a.targets, err = parseTargets(a.urls); err != nil {
		return err
	}
	if err = a.token.authorize(&a.request, a.targets); err != nil {
		return err
	}
	a.request.TLS, err = a.tls.config(a.targets)
	return err
}

func parseTargets(urls []string) ([]client.Target, error) {
	targets := make([]client.Target, len(urls))
	for i, raw := range urls {
		var err error
		if targets[i], err = client.ParseTarget(raw); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// on reports whether a boolean flag is set.
func (a *arguments) on(name string) bool { return a.Lookup(name).Value.String() == "true" }

// given reports whether the command line contains a flag.
func (a *arguments) given(name string) bool {
	given := false
	a.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
