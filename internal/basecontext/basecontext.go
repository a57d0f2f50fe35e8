// Package basecontext gives a context the values of another context. A hook of the application's client may
// need a value, such as a tenant, that only the other context has.
package basecontext

import "context"

// With returns ctx with the values of base. If both have a value for a key, that of ctx is used. The deadline
// and the cancellation of base have no effect. base may be nil.
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
