//go:build !unix

package sysmetrics

func maxOpenFiles() Figure[int] { return Figure[int]{Err: ErrUnsupported} }
