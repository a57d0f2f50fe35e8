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
	listKey      = "example:notes" // of the cached list
	listLifetime = 5 * time.Second
	longestNote  = 1000 // bytes
)

// service answers the requests.
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

// overview is what GET / answers.
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

// addNote takes text=… as a form, or {"text":"…"} as JSON.
func (s *service) addNote(c echo.Context) error {
	var body struct {
		Text string `form:"text" json:"text"`
	}
	if err := c.Bind(&body); err != nil {
		return err
	}
	if !validText(body.Text) {
		return echo.NewHTTPError(http.StatusBadRequest, fmt.Sprintf("text is 1 to %d bytes of UTF-8", longestNote))
	}
	ctx := c.Request().Context()
	added, err := s.notes.add(ctx, body.Text)
	if err != nil {
		return unavailable(c, "database", err)
	}
	// The note is safe by now: without the cache, the list is old for the rest of its lifetime.
	if err := s.cache.Del(ctx, listKey).Err(); err != nil {
		slog.Warn("the cached list stays", "error", err)
	}
	return c.JSON(http.StatusCreated, added)
}

// validText refuses what PostgreSQL would: that is the client's fault, and no reason for a 503.
func validText(text string) bool {
	return text != "" && len(text) <= longestNote && utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// listNotes goes to the database only when the cache says that it has nothing. Without a cache it gives up: the database is not made
// for all of its load, which is why the service is not ready then.
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
		slog.Warn("the list is not cached", "error", err)
	}
	c.Response().Header().Set("X-Cache", "miss")
	return c.JSONBlob(http.StatusOK, list)
}

// addJob takes x=…&y=… as a form, or {"x":…,"y":…} as JSON.
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

// unavailable answers for a part that doesn't do its work. The client hears which one, the log why.
func unavailable(c echo.Context, part string, err error) error {
	slog.Warn("unavailable", "part", part, "route", c.Path(), "error", err)
	return echo.NewHTTPError(http.StatusServiceUnavailable, part+" unavailable")
}

// welcome says where the service is, and what it is made of.
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
