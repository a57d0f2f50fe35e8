package healthcheck

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// tokenFlags are the flags that name an environment variable or a file with a token. There is no flag for the
// token itself, because other users could see the token in the output of ps.
type tokenFlags struct {
	env, file optional
}

func (f *tokenFlags) define(set *flag.FlagSet) {
	set.Var(&f.env, "token-env", "")
	set.Var(&f.file, "token-file", "")
}

// authorize adds the token to the header and sets Credentials. It returns an error if credentials are given
// more than once, by flags or in URLs.
func (f *tokenFlags) authorize(s *client.Settings, targets []client.Target) error {
	var given []string
	if f.env.given {
		given, s.Credentials = append(given, "--token-env"), "the token of --token-env"
	}
	if f.file.given {
		given, s.Credentials = append(given, "--token-file"), "the token of --token-file"
	}
	for range s.Header.Values("Authorization") {
		given, s.Credentials = append(given, "--header Authorization"), "the value of --header Authorization"
	}
	if slices.ContainsFunc(targets, client.Target.HasUser) {
		given = append(given, "a user in the URL")
	}
	if len(given) > 1 {
		return fmt.Errorf("%s must not be given together: choose one", strings.Join(given, " and "))
	}
	token, err := f.read()
	if token != "" {
		s.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// read returns the token from the place that a flag names, or "" if no flag is given.
func (f *tokenFlags) read() (string, error) {
	switch {
	case f.env.given:
		return f.readEnv()
	case f.file.given:
		return f.readFile()
	}
	return "", nil
}

func (f *tokenFlags) readEnv() (string, error) {
	name := quotedName(f.env.value, isVariableName)
	value, isSet := os.LookupEnv(f.env.value)
	if !isSet {
		return "", fmt.Errorf("--token-env: the environment variable %s is not set", name)
	}
	token, err := parseToken(value)
	if err != nil {
		return "", fmt.Errorf("--token-env: the environment variable %s %w", name, err)
	}
	return token, nil
}

func (f *tokenFlags) readFile() (string, error) {
	name := quotedName(f.file.value, isFileName)
	content, err := readFile(f.file.value)
	if err != nil {
		return "", fmt.Errorf("--token-file: the file %s %w", name, err)
	}
	token, err := parseToken(string(content))
	if err != nil {
		return "", fmt.Errorf("--token-file: the file %s %w", name, err)
	}
	return token, nil
}

// parseToken returns s without the white space around it. It returns an error if s is not a token.
func parseToken(s string) (string, error) {
	token := strings.TrimSpace(s)
	switch {
	case token == "":
		return "", errors.New("must hold a token, and is empty")
	case strings.ContainsFunc(token, unicode.IsControl):
		return "", errors.New("must hold a token alone, in one line and without control characters")
	case strings.HasPrefix(strings.ToLower(token), "bearer "):
		return "", errors.New(`must hold the token alone, without the word "Bearer"`)
	}
	return token, nil
}

// quotedName quotes the name of an environment variable or a file. If isName is false for the name,
// quotedName hides it, because a user may give the token itself by mistake.
func quotedName(name string, isName func(string) bool) string {
	if isName(name) || name == "" {
		return fmt.Sprintf("%q", client.Mask(name))
	}
	return "(its name is not shown, since it may be the token)"
}

// isVariableName reports whether s looks like an environment variable, such as HEALTH_TOKEN.
func isVariableName(s string) bool {
	isUpper := strings.Trim(s, strings.ToUpper(text.Lower)+text.Digits+"_") == ""
	return isUpper && (strings.Contains(s, "_") || !strings.ContainsAny(s, text.Digits))
}

// isFileName reports whether s looks like a file name, such as /run/secrets/token, ./token or token.txt.
func isFileName(s string) bool {
	extension := len(filepath.Ext(s))
	return filepath.IsAbs(s) || strings.HasPrefix(s, ".") || extension >= 2 && extension <= 5
}
