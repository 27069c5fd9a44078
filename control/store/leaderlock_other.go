//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package store

import (
	"errors"
	"os"
)

// lockFile is not known for this system: leadership goes by the lease's time.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
