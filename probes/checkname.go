package probes

import "context"

// CheckName returns the name of the check whose run ctx belongs to. ok is false if ctx belongs to no run, for
// example if it is the context of an application's request. A trace filter can use CheckName to drop the
// spans of checks: one span a second for each check would fill a trace store. CheckName allocates nothing.
func CheckName(ctx context.Context) (name string, ok bool) {
	name, ok = ctx.Value(checkName{}).(string)
	return name, ok
}

// WithCheckName returns a copy of ctx that belongs to a run of the check with this name. The health checks
// call it for every check. An application needs it only to test its own filter.
func WithCheckName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, checkName{}, name)
}

type checkName struct{}
