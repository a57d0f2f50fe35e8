package sharedrun

import (
	"context"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

type Run = run

func NewRun(began time.Time, status probes.Status) *Run {
	return &run{began: began, result: probes.Result{Status: status}}
}

func (r *run) Began() time.Time             { return r.began }
func (r *run) Done() <-chan struct{}        { return r.done }
func (r *run) Result() probes.Result        { return r.result }
func (r *run) Answers(asked time.Time) bool { return r.answers(asked) }

// Join returns the run in progress, or starts one.
func (r *Runner) Join(ctx context.Context, minTime time.Duration,
	observe func(context.Context) probes.Result) *Run {
	return r.join(ctx, Question{Observe: observe, MinTime: minTime})
}
