package console

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs returns what templates can call, see the comment of the package.
func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"static":     func(name string) string { return "/static/" + c.version + "/" + name },
		"number":     anyNumber,
		"count":      counted,
		"time":       timeHTML,
		"day":        dayHTML,
		"searchURL":  searchURL,
		"queryURL":   queryURL,
		"projectURL": projectURL,
		"userURL":    userURL,
		"tokenURL":   tokenURL,
		"orgURL":     orgURL,
		"networkURL": networkURL,
		"eventURL":   eventURL,
		"sentence":   c.sentence,
		"words":      words,
		"mfa":        secondFactor,
		"seen":       seen,
		"plain":      plain,
	}
}

// An integer is what counts and positions are.
type integer interface {
	~int | ~int64 | ~uint64
}

// number returns n with a comma before each three digits.
func number[N integer](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(digits[i])
	}
	return sign + b.String()
}

// anyNumber is number for templates.
func anyNumber(n any) (string, error) {
	v, err := strconv.ParseInt(fmt.Sprint(n), 10, 64)
	if err != nil {
		return "", fmt.Errorf("console: %v is not a number", n)
	}
	return number(v), nil
}

// counted returns how many things there are: "1 event", "1,204 events".
func counted(n any, thing string) (string, error) {
	digits, err := anyNumber(n)
	if err != nil || digits == "1" {
		return digits + " " + thing, err
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return digits + " " + stem + "ies", nil
	}
	return digits + " " + thing + "s", nil
}

// timeHTML returns a time in UTC, to the second.
func timeHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return "at no known time"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("2006-01-02 15:04:05") + ` UTC</time>`) //nolint:gosec // a time has no markup
}

// dayHTML returns the day of a time in UTC.
func dayHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return "no known day"
	}
	day := t.UTC().Format(time.DateOnly)
	return template.HTML(`<time datetime="` + day + `">` + day + `</time>`) //nolint:gosec // a day has no markup
}

// words returns a name of ours as people write it.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// secondFactor says in words with which second factor a credential was got; ""
// if that is not known.
func secondFactor(mfa string) string {
	switch mfa {
	case "":
		return ""
	case "none":
		return "without a second factor"
	}
	return "with a second factor (" + words(mfa) + ")"
}

// seen returns a value as text in which nothing is hidden: characters that cannot
// be seen, or change how the text around them looks, stand there by their numbers.
func seen(text string) template.HTML {
	var b strings.Builder
	b.WriteString("<bdi>")
	from := 0
	for i, r := range text {
		if !unseen(r) || r == '\n' || r == '\t' {
			continue
		}
		b.WriteString(template.HTMLEscapeString(text[from:i]))
		fmt.Fprintf(&b, `<span class="word">%U</span>`, r)
		from = i + utf8.RuneLen(r)
	}
	b.WriteString(template.HTMLEscapeString(text[from:]))
	b.WriteString("</bdi>")
	return template.HTML(b.String()) //nolint:gosec // escaped
}

// plain returns a value as seen does, where there can be no markup: what cannot be
// seen is left out.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unseen(r):
			return -1
		}
		return r
	}, text)
}

// unseen reports whether r cannot be seen, or changes how the text around it looks.
func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point, unicode.Zl, unicode.Zp)
}
