package plainjson

import (
	"bytes"
	"unicode/utf8"
)

// Reader walks over the members of one object. After it has given up, which OK
// tells, whatever it returned means nothing.
type Reader struct {
	text []byte
	at   int
	bad  bool
}

// Object returns a reader of text, which must be one object.
func Object(text []byte) Reader {
	r := Reader{text: text}
	r.expect('{')
	return r
}

// OK reports whether the object has been read to its end, and all of it was plain.
func (r *Reader) OK() bool { return !r.bad && r.at == len(r.text) }

// Next returns the name of the next member, nil at the end of the object. A name
// is plain if it needs no escapes.
func (r *Reader) Next() []byte {
	if r.bad {
		return nil
	}
	switch {
	case r.at >= len(r.text):
		r.bad = true
		return nil
	case r.text[r.at] == '}':
		r.at++
		return nil
	case r.at > 1:
		r.expect(',')
	}
	name := r.Raw()
	r.expect(':')
	if r.bad {
		return nil
	}
	return name
}

func (r *Reader) expect(c byte) {
	if r.at >= len(r.text) || r.text[r.at] != c {
		r.bad = true
		return
	}
	r.at++
}

// GiveUp leaves the rest to the full parser.
func (r *Reader) GiveUp() { r.bad = true }

// Raw returns the content of a string that contains no escape. It shares memory
// with the text.
func (r *Reader) Raw() []byte {
	content, escaped := r.content()
	if escaped {
		r.bad = true
	}
	return content
}

// Token returns what stands between a quote and the next one. It looks at nothing in
// between: it is for a string of which its user accepts no control character and no
// backslash. It shares memory with the text.
func (r *Reader) Token() []byte {
	r.expect('"')
	if r.bad {
		return nil
	}
	n := bytes.IndexByte(r.text[r.at:], '"')
	if n < 0 {
		r.bad = true
		return nil
	}
	start := r.at
	r.at += n + 1
	return r.text[start : start+n]
}

// String returns a string of its own memory.
func (r *Reader) String() string {
	content, escaped := r.content()
	if r.bad {
		return ""
	}
	if !escaped {
		return string(content)
	}
	text, ok := unescape(content)
	if !ok {
		r.bad = true
	}
	return text
}

// content returns what stands between quotes, and whether a backslash is in it.
func (r *Reader) content() (content []byte, escaped bool) {
	r.expect('"')
	if r.bad {
		return nil, false
	}
	start, ascii := r.at, true
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			content = r.text[start:i]
			if !ascii && !utf8.Valid(content) {
				r.bad = true
			}
			return content, escaped
		case c == '\\':
			escaped = true
			i++ // whatever it escapes; unescape looks at it
		case c < ' ':
			r.bad = true
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.bad = true
	return nil, false
}

// unescape resolves the escapes of two characters; ok is false for \u.
func unescape(content []byte) (text string, ok bool) {
	out := make([]byte, 0, len(content))
	for {
		i := bytes.IndexByte(content, '\\')
		if i < 0 {
			return string(append(out, content...)), true
		}
		out = append(out, content[:i]...)
		var c byte
		switch content[i+1] {
		case '"', '\\', '/':
			c = content[i+1]
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		default:
			return "", false
		}
		out, content = append(out, c), content[i+2:]
	}
}

// Integer returns a whole number of at most 18 digits, without sign.
func (r *Reader) Integer() (n int64) {
	start := r.at
	for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
		n = n*10 + int64(r.text[r.at]-'0')
		r.at++
	}
	digits := r.at - start
	if digits == 0 || digits > 18 || digits > 1 && r.text[start] == '0' {
		r.bad = true
	}
	if r.at < len(r.text) && r.text[r.at] != ',' && r.text[r.at] != '}' {
		r.bad = true // a fraction, an exponent
	}
	return n
}

// Peek returns the first byte of the value that comes next, 0 if there is none.
func (r *Reader) Peek() byte {
	if r.bad || r.at >= len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// Extent returns the text of an object as it stands there, up to the bracket that
// ends it. Whether it is valid, its user has to find out. It shares memory with
// the text.
func (r *Reader) Extent() []byte {
	if r.Peek() != '{' {
		r.bad = true
		return nil
	}
	start, depth, quoted := r.at, 0, false
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			if depth--; depth == 0 {
				r.at = i + 1
				return r.text[start:r.at]
			}
		}
	}
	r.bad = true
	return nil
}
