package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// weight is an addition to a program, whose growth in size is measured. The programs are builds of package
// weigh without debug information. Their names are their build tags.
type weight struct {
	name   string
	base   string // program without the addition, but with the driver that the addition needs, if any
	alone  string // the same program without the driver; "" if the addition needs no driver
	with   string
	budget int64  // maximum growth over base in KB; 0 means no budget
	reason string // what the growth consists of
}

const rootWeight = "Echo, log/slog → + echohealth"

var weights = []weight{
	{
		rootWeight,
		"slog",
		"",
		"slog,root",
		568,
		"the system metrics (200 KB, most of it gopsutil), naming errors and masking passwords (54 KB), the " +
			"endpoints, the engine; 12 KB of it are for groups, liveness, switches and probes with defaults",
	},
	{
		"→ + WithPrometheus",
		"slog,root",
		"",
		"slog,root,prometheus",
		80,
		"the table of metrics, two formats, the snapshot",
	},
	{"→ + WithHistory", "slog,root", "", "slog,root,history", 80, "the rings, the columns, the parameters"},
	{
		"→ + WithPage",
		"slog,root",
		"",
		"slog,root,page",
		164,
		"the page itself (27 KB), its history, the badge, JSON and SHA-256; 8 KB of it are for the icon and the " +
			"links of the first paint, and for the forms of the badge",
	},
	{
		"→ + pgxprobe",
		"root,pgx",
		"root",
		"root,pgx,pgxprobe",
		88,
		"its own code, and the test of new connections",
	},
	{
		"→ + sqlprobe",
		"root,sql",
		"root",
		"root,sql,sqlprobe",
		116,
		"its own code, the test of new connections, and the question of RequireWritable",
	},
	{
		"→ + redisprobe",
		"root,redis",
		"root",
		"root,redis,redisprobe",
		988,
		"go-redis's cluster and ring clients, all commands of its UniversalClient, and its pipeliner, which " +
			"tells whether a client is closed; an application with a plain Client links none of them",
	},
	{"→ + amqpprobe", "root,amqp", "root", "root,amqp,amqpprobe", 128, "its own code, and the kept connection"},
	{
		"→ + celeryprobe",
		"root,amqp,redis",
		"root",
		"root,amqp,redis,celeryprobe",
		1128,
		"both transports, whichever is used, and Sentinel's client; see redisprobe",
	},
	{"→ + certprobe", "root", "", "root,certprobe", 64, "its own code; Echo links crypto/tls already"},
	{
		"→ + httpprobe",
		"root",
		"",
		"root,httpprobe",
		544,
		"net/http's client, which a service that calls others links already",
	},
	{"Echo → + alexliesenfeld/health", "", "", "alex", 0, ""},
	{"Echo → + hellofresh/health-go", "", "", "hello", 0, ""},
	{"Echo → + AppsFlyer/go-sundheit", "", "", "sundheit", 0, ""},
}

// weighed is a weight with its measured growth in KB.
type weighed struct {
	weight
	grown      int64
	grownAlone int64 // growth over alone, so including the driver
}

// weighAll builds all programs and returns the growth of each weight.
func weighAll() ([]weighed, error) {
	dir, err := os.MkdirTemp("", "weigh-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &scale{dir: dir, sizes: map[string]int64{}}
	all := make([]weighed, len(weights))
	for i, w := range weights {
		with := s.weigh(w.with)
		all[i] = weighed{w, kilobytes(with - s.weigh(w.base)), kilobytes(with - s.weigh(w.alone))}
	}
	return all, s.err
}

func kilobytes(bytes int64) int64 { return (bytes + 512) >> 10 }

// scale builds programs. It records their sizes and the first error.
type scale struct {
	dir   string
	sizes map[string]int64
	err   error
}

// weigh builds the program with these tags, without debug information, and returns its size in bytes.
func (s *scale) weigh(tags string) int64 {
	if size, ok := s.sizes[tags]; ok || s.err != nil {
		return size
	}
	out := filepath.Join(s.dir, "program")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags="+tags, "-o", out, "./weigh")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		s.err = fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, output)
		return 0
	}
	info, err := os.Stat(out)
	if err != nil {
		s.err = err
		return 0
	}
	s.sizes[tags] = info.Size()
	return info.Size()
}
