package flight

import "context"

// WithValues returns ctx with the values of another context besides: those that ctx does not have. The
// deadline and the cancellation of the other one do not count.
func WithValues(ctx, values context.Context) context.Context {
	if values == context.Background() { // it has none
		return ctx
	}
	return valued{ctx, context.WithoutCancel(values)}
}

type valued struct {
	context.Context
	values context.Context
}

func (v valued) Value(key any) any {
	if value := v.Context.Value(key); value != nil {
		return value
	}
	return v.values.Value(key)
}
