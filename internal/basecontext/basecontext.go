// Package basecontext gives a context the values of another one: hooks of an application's clients may want
// a value, such as a tenant, that a check's own context does not have.
package basecontext

import "context"

// With returns a context like ctx. If ctx has no value for a key, the context returns the value of base. It
// ignores the deadline and the cancellation of base. A nil base has no values.
func With(ctx, base context.Context) context.Context {
	if base == nil || base == context.Background() {
		return ctx
	}
	return valued{ctx, context.WithoutCancel(base)}
}

type valued struct {
	context.Context
	base context.Context
}

func (v valued) Value(key any) any {
	if value := v.Context.Value(key); value != nil {
		return value
	}
	return v.base.Value(key)
}
