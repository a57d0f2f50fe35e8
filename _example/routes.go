package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
)

const (
	listKey      = "example:notes" // key of the cached list
	listLifetime = 5 * time.Second
	longestNote  = 1000 // bytes
)

// service handles the requests.
type service struct {
	*parts
}

func addRoutes(e *echo.Echo, p *parts) {
	s := &service{p}
	e.GET("/", s.index)
	e.POST("/notes", s.addNote)
	e.GET("/notes", s.listNotes)
	e.POST("/jobs", s.addJob)
}

// overview is the answer to GET /.
const overview = `GET  /notes                  the newest notes: from the cache, or else from the database
POST /notes                  text=…: a new note
POST /jobs                   x=…, y=…: a job for a Celery worker that knows tasks.add
GET  /api/health/live/       is the process alive?
GET  /api/health/ready/      should it get requests?
GET  /api/health/detailed/   how is everything?
`

func (s *service) index(c echo.Context) error {
	return c.String(http.StatusOK, overview)
}

// addNote accepts text=… as a form, or {"text":"…"} as JSON.
func (s *service) addNote(c echo.Context) error {
	var body struct {
		Text string `form:"text" json:"text"`
	}
	if err := c.Bind(&body); err != nil {
		return err
	}
	if !validText(body.Text) {
		return echo.NewHTTPError(http.StatusBadRequest,
			fmt.Sprintf("text must be 1 to %d bytes of UTF-8", longestNote))
	}
	ctx := c.Request().Context()
	added, err := s.notes.add(ctx, body.Text)
	if err != nil {
		return unavailable(c, "database", err)
	}
	// The note is stored, so an error of the cache does not fail the request. The cached list is then outdated
	// until it expires.
	if err := s.cache.Del(ctx, listKey).Err(); err != nil {
		slog.Warn("cannot delete the cached list", "error", err)
	}
	return c.JSON(http.StatusCreated, added)
}

// validText reports whether PostgreSQL would accept the text. A text that it rejects is the client's error,
// so the answer must not be a 503.
func validText(text string) bool {
	return text != "" && len(text) <= longestNote && utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// listNotes queries the database only if the cache has no list. If the cache is down, listNotes fails,
// because the database could not handle all requests. So readiness depends on the cache too.
func (s *service) listNotes(c echo.Context) error {
	ctx := c.Request().Context()
	cached, err := s.cache.Get(ctx, listKey).Bytes()
	if err == nil {
		c.Response().Header().Set("X-Cache", "hit")
		return c.JSONBlob(http.StatusOK, cached)
	}
	if !errors.Is(err, redis.Nil) {
		return unavailable(c, "cache", err)
	}
	list, err := s.notes.newest(ctx)
	if err != nil {
		return unavailable(c, "database", err)
	}
	if err := s.cache.Set(ctx, listKey, list, listLifetime).Err(); err != nil {
		slog.Warn("cannot cache the list", "error", err)
	}
	c.Response().Header().Set("X-Cache", "miss")
	return c.JSONBlob(http.StatusOK, list)
}

// addJob accepts x=…&y=… as a form, or {"x":…,"y":…} as JSON.
func (s *service) addJob(c echo.Context) error {
	var body struct {
		X int `form:"x" json:"x"`
		Y int `form:"y" json:"y"`
	}
	if err := c.Bind(&body); err != nil {
		return err
	}
	job := newTask("tasks.add", body.X, body.Y)
	if err := s.queue.push(c.Request().Context(), job); err != nil {
		return unavailable(c, "queue", err)
	}
	return c.JSON(http.StatusAccepted, map[string]string{"id": job.id, "task": job.name})
}

// unavailable returns a 503 for a part that does not work. The answer names the part, but only the log
// contains the error.
func unavailable(c echo.Context, part string, err error) error {
	slog.Warn("part unavailable", "part", part, "route", c.Path(), "error", err)
	return echo.NewHTTPError(http.StatusServiceUnavailable, part+" unavailable")
}

// welcome returns the lines that the service prints at its start.
func welcome(addr net.Addr, p *parts) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	base := "http://" + net.JoinHostPort(host, port)
	text := "Serving " + base + "/\n"
	for _, endpoint := range []string{"live", "ready", "detailed"} {
		text += fmt.Sprintf("        %s/api/health/%s/\n", base, endpoint)
	}
	return text + "\n" + strings.Join(p.about, "\n") + "\n\nCtrl-C ends it.\n"
}
