package framing

// body follows the framing of one request body.
type body struct {
	left    int64 // bytes of the body, or of the chunk, still to come
	chunked bool
	step    step
	digits  int // of the chunk size read so far
	extra   int // bytes of extensions and trailers so far, all chunks together
	line    int // bytes of the trailer line so far
}

type step uint8

const (
	atSize step = iota
	inExtension
	atSizeLF
	inData
	atDataCR
	atDataLF
	atTrailer
	atTrailerLF
)

// maxExtra bounds chunk extensions and trailers, which nobody needs long.
const maxExtra = 8 << 10

// advance goes through b and returns how many of its bytes belong to the body,
// and whether the body ends there.
func (y *body) advance(b []byte) (n int, done bool, bad *Refusal) {
	if !y.chunked {
		if int64(len(b)) >= y.left {
			return int(y.left), true, nil
		}
		y.left -= int64(len(b))
		return len(b), false, nil
	}
	for n < len(b) {
		if y.step == inData {
			take := min(int64(len(b)-n), y.left)
			n += int(take)
			if y.left -= take; y.left == 0 {
				y.step = atDataCR
			}
			continue
		}
		done, bad := y.next(b[n])
		if bad != nil {
			return n, false, bad
		}
		n++
		if done {
			return n, true, nil
		}
	}
	return n, false, nil
}

// next takes one byte of the framing around chunks (RFC 9112 section 7.1).
func (y *body) next(c byte) (done bool, bad *Refusal) {
	switch y.step {
	case atSize:
		d, ok := hexDigit(c)
		switch {
		case ok && y.digits < 15:
			y.left = y.left<<4 | d
			y.digits++
		case y.digits == 0:
			return false, refuseChunk
		case c == '\r':
			y.step = atSizeLF
		case c == ';':
			y.step = inExtension
		default:
			return false, refuseChunk
		}
	case inExtension:
		switch {
		case c == '\r':
			y.step = atSizeLF
		case c < ' ' && c != '\t' || c == 0x7f:
			return false, refuseChunk
		default:
			if y.extra++; y.extra > maxExtra {
				return false, refuseChunkLines
			}
		}
	case atSizeLF:
		if c != '\n' {
			return false, refuseChunk
		}
		y.digits = 0
		if y.step = inData; y.left == 0 {
			y.step, y.line = atTrailer, 0
		}
	case atDataCR:
		if c != '\r' {
			return false, refuseChunk
		}
		y.step = atDataLF
	case atDataLF:
		if c != '\n' {
			return false, refuseChunk
		}
		y.step = atSize
	case atTrailer:
		switch {
		case c == '\r':
			y.step = atTrailerLF
		case c < ' ' && c != '\t' || c == 0x7f:
			return false, refuseChunk
		default:
			y.line++
			if y.extra++; y.extra > maxExtra {
				return false, refuseChunkLines
			}
		}
	case atTrailerLF:
		if c != '\n' {
			return false, refuseChunk
		}
		if y.line == 0 {
			return true, nil
		}
		y.step, y.line = atTrailer, 0
	}
	return false, nil
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10, true
	}
	return 0, false
}

func isHex(c byte) bool {
	_, ok := hexDigit(c)
	return ok
}
