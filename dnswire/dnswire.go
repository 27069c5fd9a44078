// Package dnswire holds the parts of DNS messages that both towers read and
// write byte by byte: names that are passed over, and TSIG (RFC 8945), with
// which control/zones/transfer asks and edge/dns answers.
//
//	SkipName, SkipPlainName  the offset behind a name
//	FindTSIG -> ReadTSIG     where a message's TSIG record begins; what it says
//	Unsigned                 the message that it covers
//	TSIG.Sum, TSIG.Append    its MAC over messages; the record behind one
//
// Nothing here decides: which keys there are, which errors are told and how much
// of a stream a signature covers are the callers' own. Skipping and finding
// allocate nothing.
package dnswire

import "encoding/binary"

// HeaderSize is that of a message.
const HeaderSize = 12

// maxName is the longest name in wire form (RFC 1035 section 2.3.4).
const maxName = 255

// SkipName returns the offset behind the name at o, which may end in a pointer;
// 0 when it is malformed. Where the pointer leads does not matter here.
func SkipName(b []byte, o int) int {
	for begin := o; o < len(b) && o-begin < maxName; {
		switch l := int(b[o]); {
		case l == 0:
			return o + 1
		case l >= 0xc0:
			if o+2 > len(b) {
				return 0
			}
			return o + 2
		case l > 63:
			return 0
		default:
			o += l + 1
		}
	}
	return 0
}

// SkipPlainName returns the offset behind the name at o, which is not
// compressed; 0 when there is none.
func SkipPlainName(b []byte, o int) int {
	for begin := o; o < len(b) && o-begin < maxName; o += int(b[o]) + 1 {
		switch {
		case b[o] == 0:
			return o + 1
		case b[o] > 63:
			return 0
		}
	}
	return 0
}

// readName reads the name at o, in lower case and without compression, and
// returns the offset behind it; 0 when it is malformed. Each pointer leads
// further ahead, so that none goes round.
func readName(b []byte, o int) (name []byte, end int) {
	for least := o; o < len(b); {
		switch l := int(b[o]); {
		case l == 0:
			if end == 0 {
				end = o + 1
			}
			return append(name, 0), end
		case l >= 0xc0:
			if o+2 > len(b) {
				return nil, 0
			}
			if end == 0 {
				end = o + 2
			}
			if o = int(binary.BigEndian.Uint16(b[o:]) & 0x3fff); o >= least {
				return nil, 0
			}
			least = o
		case l > 63 || o+1+l > len(b) || len(name)+l+2 > maxName:
			return nil, 0
		default:
			name = append(name, byte(l))
			for _, c := range b[o+1 : o+1+l] {
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				name = append(name, c)
			}
			o += l + 1
		}
	}
	return nil, 0
}
