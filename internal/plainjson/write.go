package plainjson

import "github.com/go-json-experiment/json/jsontext"

// AppendString appends s as a JSON string, as the full encoder writes it. Its error
// is that s is not UTF-8.
func AppendString(out []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return appendEscaped(out, s, i)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"'), nil
}

// appendEscaped appends s, of which the first plain bytes need no escape. A line
// break is the most common escape by far: an SDP is made of lines.
func appendEscaped(out []byte, s string, plain int) ([]byte, error) {
	begin := len(out)
	out = append(append(out, '"'), s[:plain]...)
	from := plain
	for i := plain; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < 0x7f {
			continue
		}
		out = append(out, s[from:i]...)
		from = i + 1
		switch c {
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		case '"', '\\':
			out = append(out, '\\', c)
		default:
			return jsontext.AppendQuote(out[:begin], s)
		}
	}
	out = append(out, s[from:]...)
	return append(out, '"'), nil
}
