package recipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
)

// InFlight counts the requests that are being answered.
type InFlight struct {
	Max     int64 // more than these are a warning
	current atomic.Int64
}

// Middleware counts a request. Add it after the health middleware, so that it does not count health requests.
func (f *InFlight) Middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		f.current.Add(1)
		defer f.current.Add(-1)
		return next(c)
	}
}

// Check compares the number with Max.
func (f *InFlight) Check(context.Context) probes.Result {
	n := f.current.Load()
	result := probes.Result{Status: probes.OK, Details: []slog.Attr{slog.Int64("in_flight", n)}}
	if n > f.Max {
		result.Status, result.Reason = probes.Warning, probes.ReasonAboveThreshold
		result.Err = fmt.Errorf("%d requests are being answered, more than %d", n, f.Max)
	}
	return result
}

// Tenants checks many dependencies of one kind, such as a database for each customer.
type Tenants struct {
	Names []string
	Ask   func(ctx context.Context, name string) error
}

// Check calls Ask for all names, at most eight at a time.
func (p *Tenants) Check(ctx context.Context) probes.Result {
	// This is below the check's timeout. Otherwise one tenant that hangs would make the whole check time out.
	ctx, cancel := context.WithTimeout(ctx, 600*time.Millisecond)
	defer cancel()
	errs := make([]error, len(p.Names))
	places := make(chan struct{}, 8)
	var running sync.WaitGroup
	for i, name := range p.Names {
		running.Go(func() {
			var err error
			select {
			case places <- struct{}{}:
				err = p.Ask(ctx, name)
				<-places
			case <-ctx.Done():
				err = ctx.Err()
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	running.Wait()
	return p.judge(errs)
}

// judge returns a warning if some tenants are down, because this replica still serves the others.
func (p *Tenants) judge(errs []error) probes.Result {
	down := 0
	for _, err := range errs {
		if err != nil {
			down++
		}
	}
	result := probes.Result{
		Status:  probes.OK,
		Err:     errors.Join(errs...), // the log has the names, an answer does not
		Details: []slog.Attr{slog.Int("tenants", len(errs)), slog.Int("tenants_down", down)},
	}
	switch down {
	case 0:
	case len(errs):
		result.Status = probes.Error // the reason is derived from Err
	default:
		result.Status, result.Reason = probes.Warning, "tenants_down"
	}
	return result
}

// fileProbe fails as long as the file exists.
func fileProbe(path string) probes.Func {
	return func(context.Context) error {
		_, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		return probes.Fail("switched_off", nil)
	}
}
