package sysmetrics

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

func measureConnections(files fs.FS) Connections {
	if files == nil {
		return Connections{Err: ErrUnsupported}
	}
	established, err := currEstab(files)
	return Connections{Active: established, Err: err}
}

// currEstab reads the kernel's own count. The file has two lines for each protocol, one with
// the names and one with the values.
func currEstab(files fs.FS) (int, error) {
	const name = "proc/net/snmp"
	text, err := readFile(files, name)
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "Tcp: ") {
			continue
		}
		fields := strings.Fields(line)
		switch i := slices.Index(names, "CurrEstab"); {
		case names == nil:
			names = fields
		case 0 <= i && i < len(fields):
			n, err := parseCount(name, fields[i])
			return int(n), err
		}
	}
	return 0, fmt.Errorf("%s has no CurrEstab", name)
}
