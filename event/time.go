package event

import "time"

// parseTime reads a time as RFC 3339 section 5.6 writes it, with upper-case T
// and Z, and returns microseconds since 1970, rounded down. It is what
// [time.Parse] does, without what that takes and RFC 3339 does not: a comma
// before the fraction, an hour of one digit.
func parseTime(b []byte) (micros int64, ok bool) {
	const shape = "2006-01-02T15:04:05"
	if len(b) < len(shape)+1 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	c1, c2 := digits(b, 0), digits(b, 2)
	month, day := digits(b, 5), digits(b, 8)
	hour, minute, second := digits(b, 11), digits(b, 14), digits(b, 17)
	if c1 < 0 || c2 < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	year := 100*c1 + c2
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // the month is shorter
		return 0, false
	}
	nanos, rest, ok := fraction(b[len(shape):])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	return (t.Unix()-offset)*1e6 + nanos/1e3, true
}

// digits returns the number that two digits of b from at write, or -1.
func digits(b []byte, at int) int {
	v := 0
	for _, c := range b[at : at+2] {
		if c < '0' || c > '9' {
			return -1
		}
		v = 10*v + int(c-'0')
	}
	return v
}

// fraction reads a fraction of a second, if there is one, to the nanosecond.
func fraction(b []byte) (nanos int64, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	i, unit := 1, int64(1e8)
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		nanos += int64(b[i]-'0') * unit
		unit /= 10
	}
	return nanos, b[i:], i > 1
}

// zone reads Z or ±hh:mm and returns seconds east of Greenwich.
func zone(b []byte) (seconds int64, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hours, minutes := digits(b, 1), digits(b, 4)
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	seconds = int64(hours*3600 + minutes*60)
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}
